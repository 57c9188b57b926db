"""Images with another label, and the content of one in the style of another."""

import numpy as np
import pytest

from tests.figures.test_figures import drawn
from tests.walks.test_directions import trained
from zatlas.errors import UsageError
from zatlas.figures.directions import archetype, archetypes, moved
from zatlas.figures.editing import relabelled, transfers
from zatlas.runs.opened import Run
from zatlas.walks.relabel import relabel, transfer

ROWS = [3, 14, 25]


@pytest.fixture(scope="module")
def conditional(digits_run):
    return Run(digits_run)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain"), "digits", "ppca")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A conditional model of images with two real labels, and an unconditional one."""
    folder = tmp_path_factory.mktemp("real")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (120, 5, 4), dtype=np.uint8)
    np.savez(folder / "data.npz", x=x, y=rng.normal(size=(120, 2)))
    return trained(folder, folder / "data.npz", "cvae"), trained(folder, folder / "data.npz", "vae")


@pytest.mark.parametrize("which", ["conditional", "plain"])
def test_an_image_with_its_own_label_is_its_reconstruction(which, request):
    run = request.getfixturevalue(which)
    x, codes, back = run.reconstruct(np.array(ROWS))
    view = relabel(run, rows=ROWS)
    own = codes.y.argmax(1)
    assert view["mean"].shape == (3, 10, 1, 8, 8)
    np.testing.assert_allclose(view["mean"][np.arange(3), own], back.mean, atol=1e-5)
    np.testing.assert_array_equal(view["x"], x)
    matrix = transfer(run, content=ROWS)
    np.testing.assert_allclose(matrix["mean"][np.arange(3), np.arange(3)], back.mean, atol=1e-5)


def test_a_conditional_model_decodes_the_same_z_with_the_other_label(conditional):
    view = relabel(conditional, rows=ROWS, to=["7", "1"])
    for column, label in enumerate(["7", "1"]):
        shown = conditional.decode(view["z"], conditional.labels_for(3, label)).mean
        np.testing.assert_allclose(view["mean"][:, column], shown, atol=1e-6)
    assert view.facts["to"] == ["7", "1"]
    assert view.facts["how"] == "label"
    matrix = transfer(conditional, content=ROWS, style=[40, 41])
    assert matrix["mean"].shape == (3, 2, 1, 8, 8)
    for row in range(3):
        y = matrix["y"][row : row + 1].repeat(2, 0)
        np.testing.assert_allclose(matrix["mean"][row], conditional.decode(matrix["z"], y).mean, atol=1e-6)


def test_an_unconditional_model_adds_the_difference_of_mean_codes(plain):
    train = plain.rows("train")
    codes, labels = plain.encode(train).mean, plain.source.read_labels(train)
    means = np.stack([codes[labels == k].mean(0) for k in range(10)])
    view = relabel(plain, rows=ROWS)
    own = view["y"].argmax(1)
    expected = view["z"] - means[own] + means[6]
    np.testing.assert_allclose(view["mean"][:, 6], plain.decode(expected).mean, atol=1e-4)
    assert view.facts["how"] == "arithmetic"
    assert "not conditional" in view.sentences[0]


def test_images_are_chosen_class_after_class(plain):
    view = relabel(plain, n=12)
    labels = plain.source.read_labels(view["rows"])
    np.testing.assert_array_equal(labels, [*range(10), 0, 1])
    assert len(set(view["rows"].tolist())) == 12
    assert set(view["rows"].tolist()) <= set(plain.rows("test").tolist())


def test_real_labels_are_changed_one_column_at_a_time(real, tmp_path):
    run, plain = real
    view = relabel(run, rows=[0, 1], to=["-1", "0.5"], label="y1")
    y = view["y"].copy()
    y[:, 1] = 0.5
    np.testing.assert_allclose(view["mean"][:, 1], run.decode(view["z"], y).mean, atol=1e-6)
    np.testing.assert_allclose(view["reconstruction"], run.reconstruct(np.array([0, 1]))[2].mean, atol=1e-6)
    assert "y1 = −1" in drawn(view.figure, tmp_path)
    assert relabel(run)["mean"].shape[:2] == (10, 7)
    matrix = transfer(run, content=[0, 1, 2], style=[3, 4])
    assert matrix["mean"].shape[:2] == (3, 2)
    for words, sentence in (
        ({"label": "y7"}, "no label column 'y7'; known are y0, y1"),
        ({"to": ["big"]}, "values of a real label are numbers"),
    ):
        with pytest.raises(UsageError, match=sentence):
            relabel(run, **words)
    for ask in (relabel, transfer):
        with pytest.raises(UsageError, match=r"is not conditional and .* has no classes: train --model cvae"):
            ask(plain)


def test_what_cannot_be_is_refused(conditional, tmp_path):
    with pytest.raises(UsageError, match="there is no class '44'; did you mean 4"):
        relabel(conditional, to=["44"])
    with pytest.raises(UsageError, match="there is no row 5000"):
        relabel(conditional, rows=[5000])
    with pytest.raises(UsageError, match="there is no row 5000"):
        transfer(conditional, content=[1], style=[5000])
    with pytest.raises(UsageError, match="has classes and no label column 'y0'"):
        relabel(conditional, label="y0")
    generator = trained(tmp_path, "digits", "cgan")
    for ask in (relabel, transfer):
        with pytest.raises(UsageError, match="cannot say which code made an example"):
            ask(generator)


def test_figures_name_what_they_show(conditional, tmp_path):
    view = relabel(conditional)
    assert {"original", *map(str, range(10))} <= set(drawn(view.figure, tmp_path))
    assert len(view.frames) == 10
    assert len(view.figure.axes[0].patches) == 10  # each reconstruction is framed
    assert {"style →", "content ↓"} <= set(drawn(transfer(conditional, n=3).figure, tmp_path))


@pytest.mark.parametrize("channels", [1, 3])
def test_figures_take_any_images_and_long_names(channels, tmp_path):
    images = np.random.default_rng(0).random((3, 5, channels, 6, 9))
    long = [f"a name that is long {k}" for k in range(5)]
    assert set(long) <= set(drawn(relabelled(images[:, 0], images, long, [0, None, 4], title="Title"), tmp_path))
    drawn(transfers(images[:, 0], images[0], images), tmp_path)
    drawn(archetype(images[0, 0], [images[0], images[1]], rows=2, names="abc"), tmp_path)
    drawn(archetypes(images[:, 0], [images, images[:, :2]], long[:3], names="abc", title="Title"), tmp_path)
    spots = (np.zeros(3), np.ones(2))
    texts = drawn(
        moved(images[:, 0], images, range(-2, 3), row_labels=[*"aab"], spots=spots, names=("a", "b")), tmp_path
    )
    assert texts.count("a") == 2  # once for two rows, once for the histogram
    for draw in (
        lambda: relabelled(images[:, 0], images, long[:4]),
        lambda: relabelled(images[0], images, long),
        lambda: transfers(images[:, 0], images[0, :4], images),
        lambda: archetypes(images[:, 0], [images[:2], images], long[:3], names="abc"),
        lambda: moved(images[:, 0], images, [0, 1]),
    ):
        with pytest.raises(UsageError, match="do not fit"):
            draw()
