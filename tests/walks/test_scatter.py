"""Codes in two dimensions, by label, by factor, with their posteriors."""

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.figures.scatter import scatter as draw
from zatlas.latent.planes import principal
from zatlas.walks import scatter


@pytest.fixture(scope="module")
def factors(run, tmp_path_factory):
    """Codes of images with a factor of three values and one of twenty."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "known.npz"
    known = np.stack([np.arange(120) % 3, np.arange(120) % 20], 1)
    images = rng.integers(0, 255, (120, 4, 4), dtype=np.uint8)
    np.savez(path, images=images, factors=known, factor_names=["shape", "place"])
    return run("vae", str(path))


def test_ellipses_are_the_posteriors_seen_in_the_plane(run):
    view = scatter(run("vae"), ellipses=True, n=40, split="train")
    directions = principal(view["mean"]).directions
    np.testing.assert_allclose(view["points"], (view["mean"] - view["mean"].mean(0)) @ directions.T, atol=1e-5)
    one = directions @ np.diag(view["std"][3] ** 2) @ directions.T
    np.testing.assert_allclose(view["covariances"][3], one, rtol=1e-5)
    direct = scatter(run("vae"), units=(2, 0), ellipses=True, n=40)
    np.testing.assert_allclose(direct["points"], direct["mean"][:, [2, 0]])
    np.testing.assert_allclose(direct["covariances"][:, 0, 0], direct["std"][:, 2] ** 2, rtol=1e-6)
    np.testing.assert_allclose(direct["covariances"][:, 0, 1], 0)


def test_an_ellipse_is_drawn_as_wide_and_as_turned_as_its_covariance():
    turn = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    covariance = turn @ np.diag([4.0, 1.0]) @ turn.T
    figure = draw(np.zeros((1, 2)), covariances=covariance[None])
    (drawn,) = figure.axes[0].collections[1:]
    widths, heights, angles = drawn.get_widths(), drawn.get_heights(), drawn.get_angles()
    sizes = {round(float(w), 6): float(a) for w, a in ((widths[0], angles[0]), (heights[0], angles[0] + 90))}
    assert sorted(sizes) == [2.0, 4.0]
    assert np.tan(np.radians(sizes[4.0])) == pytest.approx(np.tan(0.5))


def test_factors_colour_as_classes_where_they_are_few(factors):
    few, many = scatter(factors, by="shape"), scatter(factors, by="place")
    assert few["by"].dtype.kind == "i"
    assert many["by"].dtype.kind == "f"
    np.testing.assert_array_equal(few["by"], few["rows"] % 3)
    assert "coloured by place" in many.alt
    assert "by" not in scatter(factors, by="none").arrays
    assert "by" not in scatter(factors).arrays  # there is no label
    with pytest.raises(UsageError, match="did you mean shape"):
        scatter(factors, by="shap")


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        ("vae", {"projection": "tsne"}, "there is no projection 'tsne'; known are auto, pca, umap"),
        ("vae", {"projection": "pca", "units": (0, 1)}, "choose units or a projection"),
        ("vae", {"projection": "umap", "ellipses": True}, "an ellipse does not stay one"),
        ("vae", {"by": "colour"}, "no label or factor 'colour'"),
        ("ae", {"ellipses": True}, "points without a spread"),
        ("gan", {}, "Choose a model with an encoder"),
    ],
)
def test_words_that_cannot_be(kind, words, said, run):
    with pytest.raises(UsageError, match=said):
        scatter(run(kind), **words)


def test_umap_gives_two_dimensions(run):
    pytest.importorskip("umap")
    assert scatter(run("vae"), projection="umap", n=30)["points"].shape == (30, 2)
