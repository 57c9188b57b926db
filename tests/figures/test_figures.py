"""Every figure draws from whatever arrays may come, and leaves pyplot and the caller's settings alone."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures.style import PALETTE

rng = np.random.default_rng(0)


def drawn(figure, tmp_path):
    """Render for real: most failures of matplotlib come only then."""
    assert isinstance(figure, Figure)
    path = figures.save(figure, tmp_path / "figure.png", pixels_per_inch=96)
    assert path.stat().st_size > 200
    size = figure.get_size_inches() * 96
    np.testing.assert_allclose(size, np.round(size), atol=1e-6)
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [t.get_text() for t in figure.texts]


@pytest.mark.parametrize("shape", [(7, 1, 5, 9), (6, 3, 8, 4), (2, 28, 28), (1, 4, 3, 3)])
def test_grid_shows_each_pixel_as_a_whole_square(shape, tmp_path):
    array = rng.integers(0, 255, shape, dtype=np.uint8)
    figure = figures.grid(array, columns=2, scale=3, row_labels=["a"] * -(-shape[0] // 2), title="Title")
    texts = drawn(figure, tmp_path)
    assert "Title" in texts
    from PIL import Image

    plain = figures.grid(array[:, :3] if array.ndim == 4 else array, columns=2, scale=3, gap=0)
    figures.save(plain, tmp_path / "plain.png", pixels_per_inch=96, background="black")
    with Image.open(tmp_path / "plain.png") as file:
        got = np.asarray(file.convert("RGB"))
    want = figures.tile(array[:, :3] if array.ndim == 4 else array, 2, 0, background=0)
    want = want if want.ndim == 3 else np.repeat(want[..., None], 3, -1)
    np.testing.assert_array_equal(got, want.repeat(3, 0).repeat(3, 1))


def test_pairs_of_a_short_last_band(tmp_path):
    array = rng.random((7, 1, 6, 6))
    texts = drawn(figures.pairs(array, array, columns=3), tmp_path)
    assert texts.count("original") == texts.count("reconstruction") == 3
    with pytest.raises(UsageError, match="cannot be paired"):
        figures.pairs(array, array[:3])


def test_progress_names_its_steps(tmp_path):
    snapshots = [(step, label, rng.random((4, 3, 6, 5))) for step, label in ((0, "start"), (1500, "half-way"))]
    assert "step 1,500" in drawn(figures.progress(snapshots), tmp_path)
    with pytest.raises(UsageError):
        figures.progress([])


@pytest.mark.parametrize("n", [1, 2, 8, 20])
def test_manifold_draws_the_largest_second_unit_at_the_top(n, tmp_path):
    ticks = np.linspace(-2, 2, n) if n > 1 else [0.0]
    figure = figures.manifold(rng.random((n, n, 1, 4, 4)), ticks)
    drawn(figure, tmp_path)
    heights = {
        label.get_text(): y
        for y, label in zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True)
    }
    if n > 2:
        assert heights["2"] < heights["−2"]  # pixels count downwards
    with pytest.raises(UsageError):
        figures.manifold(rng.random((n, n + 1, 1, 4, 4)), ticks)


def test_traversals_stand_in_order_of_rate_and_mark_the_dead(tmp_path):
    array = rng.random((3, 5, 3, 6, 6))
    figure = figures.traversals(array, ["a", "b", "c"], np.linspace(-2, 2, 5), [0.5, 0.001, 2.0])
    texts = drawn(figure, tmp_path)
    assert [t for t in texts if t in "abc"] == ["c", "a", "b"]
    assert "dead" in texts
    drawn(figures.traversals(array, ["a", "b", "c"], np.linspace(-2, 2, 5)), tmp_path)


@pytest.mark.parametrize("classes", [None, 1, 2, 10, 15, 100])
@pytest.mark.parametrize("count", [1, 300])
def test_scatter_of_any_number_of_classes(classes, count, tmp_path):
    codes = rng.normal(size=(count, 2))
    labels = None if classes is None else rng.integers(0, classes, count)
    texts = drawn(figures.scatter(codes, labels, names=[f"n{i}" for i in range(classes or 0)]), tmp_path)
    named = {t for t in texts if t.startswith("n")}
    if labels is not None and 1 < len(np.unique(labels)) <= 20:
        assert named == {f"n{i}" for i in np.unique(labels)}
    else:
        assert not named


@pytest.mark.slow
def test_scatter_of_real_labels_and_of_values_that_are_not_finite(tmp_path):
    codes = rng.normal(size=(50, 2))
    codes[3] = np.nan
    labels = rng.random(50)
    labels[5] = np.nan
    drawn(figures.scatter(codes, labels, label_name="slant", prior=False), tmp_path)
    drawn(figures.scatter(codes, np.full(50, 2.5)), tmp_path)
    drawn(figures.scatter(codes, rng.integers(0, 3, 50)), tmp_path)
    drawn(figures.scatter(np.zeros((4, 2)), [1, 1, 2, 2], ["<b>", "$x", "$\\frac"], prior=False), tmp_path)
    with pytest.raises(UsageError):
        figures.scatter(rng.normal(size=(5, 3)))


@pytest.mark.slow
def test_scatter_keeps_many_points_small(tmp_path):
    codes = rng.normal(size=(60_000, 2))
    figure = figures.scatter(codes, rng.integers(0, 10, 60_000))
    assert len(figure.axes[0].collections[0].get_offsets()) == 20_000
    assert len(figures.themed_svg(figure)) < 900_000


def line(step, split="train", **values):
    return {"step": step, "split": split, **values}


@pytest.mark.parametrize(
    "history",
    [
        [line(1, loss=3.0, distortion=2.0, rate=1.0)],
        [line(i, loss=5.0 / (i + 1)) for i in range(300)],
        [line(i, loss=np.nan if i % 3 else 2.0, rate=None) for i in range(20)],
        [line(i, loss=1.0) for i in range(5)] + [line(4, "validation", loss=1.0), line(4, "test", loss=1.0)],
        [line(2, "val", loss=3.0), line(1, "val", loss=4.0)],
        [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("inf")}, {"epoch": 1, "loss": 1.0}],
    ],
)
def test_curves_of_incomplete_histories(history, tmp_path):
    drawn(figures.curves(history), tmp_path)


def test_curves_write_the_last_value_of_each_split(tmp_path):
    history = [line(i, loss=100.0, rate=2.0) for i in range(4)] + [line(3, "validation", loss=135.24, rate=2.5)]
    texts = drawn(figures.curves(history), tmp_path)
    assert {"100.0", "135.2", "2.00", "2.50", "train", "validation"} <= set(texts)
    untrained = [line(i, loss=540.0 if i < 3 else 150.0 - i / 10) for i in range(100)] + [line(0, "test", loss=540.0)]
    assert figures.curves(untrained).axes[0].get_ylim()[1] < 250  # the plunge does not flatten the rest
    with pytest.raises(UsageError, match="no curve"):
        figures.curves([line(0, loss=np.nan)])


@pytest.mark.parametrize("nats", [[0.0], [2.0, 0.001, 1.0], rng.exponential(1, 200) - 0.2, [np.nan, 1.0]])
def test_rates(nats, tmp_path):
    figure = figures.rates(nats)
    drawn(figure, tmp_path)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == sorted(np.nan_to_num(nats), reverse=True)
    if len(nats) <= 24:
        names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
        assert [np.nan_to_num(nats)[int(name) - 1] for name in names] == heights


def test_palette_keeps_its_contrast_on_white_and_on_black():
    linear = np.array([[((c + 0.055) / 1.055) ** 2.4 if c > 0.04 else c / 12.92 for c in to_rgb(p)] for p in PALETTE])
    light = linear @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (light + 0.05)).min() > 1.85
    assert ((light + 0.05) / 0.0575).min() > 3.2


def test_the_settings_of_the_caller_stay():
    before = dict(matplotlib.rcParams)
    figures.rates([1.0])
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported():
    code = "import sys, zatlas.figures as f; f.themed_svg(f.rates([1.0])); sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_text_but_the_numbers_at_ticks_is_made_fit_to_be_shown():
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    from zatlas.figures.style import styled, texts

    @styled
    def drawn():
        figure = Figure()
        axes, other = figure.subplots(1, 2)
        axes.set_title("a\x1bb")
        axes.set_xticks([0, 1], ["c\x1b", "d"])
        axes.plot([0, 1], label="e\x1b")
        axes.legend()
        figure.text(0, 0, "f\x1b")
        other.xaxis.set_major_formatter(NullFormatter())
        return figure

    figure = drawn()
    figure.draw_without_rendering()
    ticks = figure.axes[0].get_xticklabels()
    shown = {text.get_text() for text in [*texts(figure), *ticks]}
    assert all(words.isprintable() for words in shown)
    assert {"d"} < shown
    assert sum(any(letter in words for words in shown) for letter in "acef") == 4
