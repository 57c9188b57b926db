"""From image to image: what every kind of model can do, and what it says otherwise."""

import numpy as np
import pytest

from tests.family import MODELS
from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures import View
from zatlas.latent import paths
from zatlas.walks import interpolate, manifold, scatter, traverse

WALKS = {
    "manifold": lambda run: manifold(run, n=3),
    "principal": lambda run: manifold(run, n=3, principal=True),
    "through": lambda run: manifold(run, n=3, through=(1, 2, 30)),
    "traverse": lambda run: traverse(run, steps=3, row=5),
    "draws": lambda run: interpolate(run, n=3),
    "rows": lambda run: interpolate(run, rows=(1, 2, 5), path="spherical", n=3),
    "all": lambda run: interpolate(run, rows=(1, 2), path="all", n=3),
    "scatter": lambda run: scatter(run, ellipses=True, n=50),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(paths, "STEPS", 5)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["digits", "columns"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_walks_or_says_in_one_sentence_why_not(kind, source, run, tmp_path, monkeypatch):
    if source == "columns":
        rng = np.random.default_rng(0)
        source = str(tmp_path / "columns.npz")
        np.savez(source, x=rng.normal(size=(200, 6)).astype(np.float32), y=np.arange(200) % 3)
    opened, walked, refusals = run(kind, source), set(), []
    for name, walk in WALKS.items():
        try:
            view = walk(opened)
        except UsageError as error:
            refusals.append(str(error))
            continue
        walked.add(name)
        assert isinstance(view, View)
        assert view.alt
        assert (view.figure is not None) == (opened.spec.is_image or name == "scatter")
        assert all(np.isfinite(a).all() for a in view.arrays.values() if a.dtype.kind == "f")
        # the same figures of other kinds hold other numbers, and these are finite
        drawn = (kind in ("cvae", "vqvae") and source == "digits") or name == "scatter"
        if drawn and view.figure is not None:
            figures.save(view.figure, tmp_path / f"{name}.svg")
        if drawn and view.frames is not None:
            figures.save_animation(view.frames, tmp_path / f"{name}.gif")
    assert all(said[-1] in ".?" and "\n" not in said for said in refusals)
    kind = opened.kind
    assert "draws" in walked
    assert ("traverse" in walked) == ("through" in walked) == (kind.axes and kind.infers)
    assert ("scatter" in walked) == (kind.axes and kind.infers and not kind.point)


@pytest.mark.slow
def test_the_ends_are_the_images_own_reconstructions(run):
    vae = run("vae")
    codes = vae.encode(np.array([7, 3]))
    for path in paths.PATHS:
        view = interpolate(vae, rows=(7, 3), path=path, n=4)
        assert view["mean"].shape == (4, 1, 8, 8)
        np.testing.assert_allclose(view["z"][[0, -1]], codes.mean, rtol=1e-6)
        np.testing.assert_allclose(view["mean"][[0, -1]], vae.decode(codes.mean).mean, atol=1e-6)


def test_all_paths_share_their_anchors_and_say_how_dense_they_are(run):
    view = interpolate(run("vae"), rows=(7, 3, 9), path="all", n=3)
    assert view["paths"].tolist() == list(paths.PATHS)
    assert view["z"].shape == (3, 5, 3)
    assert view["log_density"].shape == (3, 5)
    np.testing.assert_array_equal(view["anchors"], [0, 2, 4])
    assert (view["z"][:, view["anchors"]] == view["z"][0, view["anchors"]]).all()
    mean = {name: path["mean_log_density_nats"] for name, path in view.facts["paths"].items()}
    assert mean["density"] >= mean["linear"]
    assert "above the median" in view.sentences[-1]
    assert len(view.frames) == 5


def test_draws_depend_on_the_seed_and_rows_on_their_own_label(run):
    one, two, again = (interpolate(run("cvae"), seed=seed, n=2)["z"] for seed in (0, 1, 0))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, two)
    cvae = run("cvae")
    codes = cvae.encode(np.array([3]))  # a three
    np.testing.assert_allclose(
        interpolate(cvae, rows=(3, 4), n=2)["mean"][0], cvae.decode(codes.mean, codes.y).mean[0], atol=1e-6
    )
    other = interpolate(cvae, rows=(3, 4), n=2, label="8")["mean"][0]
    np.testing.assert_allclose(other, cvae.decode(codes.mean, cvae.labels_for(1, "8")).mean[0], atol=1e-6)
    assert "several labels" in interpolate(cvae, rows=(3, 4), n=2).sentences[0]


def test_given_codes_come_with_their_labels(run):
    z, y = np.zeros((2, 3)), np.eye(10, dtype=np.float32)[[4, 4]]
    view = interpolate(run("cvae"), codes=z, y=y, n=3)
    np.testing.assert_allclose(view["mean"][1], run("cvae").decode(z[:1], y[:1]).mean[0], atol=1e-6)
    for words, said in (
        ({"codes": z, "rows": (1, 2)}, "choose one"),
        ({"codes": np.zeros((2, 4))}, r"wants \[A, 3\]"),
        ({"codes": z, "y": y[:, :4]}, r"want \[2, 10\]"),
        ({"rows": (1,)}, "at least two"),
        ({"path": "sphericl"}, "did you mean spherical"),
    ):
        with pytest.raises(UsageError, match=said):
            interpolate(run("cvae"), **words)
