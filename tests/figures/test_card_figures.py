"""The figures of the model card: convergence, reliability, heat, and sets of images side by side."""

import numpy as np
import pytest

from tests.figures.test_figures import drawn
from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures import Estimate

rng = np.random.default_rng(0)
BOUND = [Estimate(1, -95.0, 0.5), Estimate(10, -92.0, 0.4), Estimate(100, -91.0, 0.4)]


def test_convergence_writes_where_each_line_ends(tmp_path):
    lines = {"bound": BOUND[::-1], "$prior": [Estimate(1, -300.0, 4.0), Estimate(10_000, -120.0, 2.0)]}
    texts = drawn(figures.convergence(lines, mark=(-90.5, "annealed"), title="Title"), tmp_path)
    assert {"−91.0", "−120.0", "bound", "$prior", "annealed", "Title"} <= set(texts)


@pytest.mark.parametrize("line", [BOUND[:1], [Estimate(1, -3.0, np.nan)], [Estimate(5, 0.0, 0.0)] * 2])
def test_convergence_of_few_points(line, tmp_path):
    drawn(figures.convergence({"bound": line}), tmp_path)


def test_convergence_holds_every_bar_and_the_mark():
    low, high = figures.convergence({"bound": BOUND}, mark=(-80.0, "exact")).axes[0].get_ylim()
    assert low < -95.5
    assert high > -80


@pytest.mark.parametrize("lines", [{}, {"a": []}, {"a": [Estimate(1, np.nan, 0.1)]}, {"a": [Estimate(0, 1.0, 0.1)]}])
def test_convergence_refuses_what_is_no_curve(lines):
    with pytest.raises(UsageError, match="number of samples"):
        figures.convergence(lines)


def test_reliability_leaves_empty_bins_out(tmp_path):
    edges = np.linspace(0, 1, 6)
    confidence = np.array([np.nan, 0.3, 0.5, 0.7, 0.95])
    accuracy = np.array([np.nan, 0.0, 0.4, 0.6, 1.0])
    figure = figures.reliability(edges, confidence, accuracy, [0, 1, 4, 10, 85], title="Bayes' rule")
    assert "Bayes' rule" in drawn(figure, tmp_path)
    dots = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    np.testing.assert_array_equal(dots.get_xydata(), np.stack([confidence[1:], accuracy[1:]], 1))
    assert [bar.get_height() for bar in figure.axes[1].patches] == [0, 0.01, 0.04, 0.1, 0.85]
    with pytest.raises(UsageError):
        figures.reliability(edges, confidence, accuracy, np.zeros(5))
    with pytest.raises(UsageError):
        figures.reliability(edges[:-1], confidence, accuracy, np.ones(5))


def test_heat_writes_each_number_and_leaves_unknown_ones_empty(tmp_path):
    matrix = np.array([[0.0, 1.0], [0.25, np.nan], [0.5, 0.125]])
    figure = figures.heat(matrix, ["z1", "z2", "$z"], ["shape", "a name far too long for its column"], title="Title")
    texts = drawn(figure, tmp_path)
    assert [t for t in texts if t[0] in "01"] == ["0.00", "1.00", "0.25", "0.50", "0.12"]
    assert {"z1", "z2", "$z", "shape", "Title"} <= set(texts)
    assert any(t.endswith("…") for t in texts)
    colours = {t.get_text(): t.get_color() for t in figure.axes[0].texts}
    assert colours["0.00"] != colours["1.00"]  # white on dark, black on bright
    with pytest.raises(UsageError, match="does not fit"):
        figures.heat(matrix, ["a", "b"], ["c", "d"])


def test_sets_of_images_stand_under_their_names(tmp_path):
    images = rng.random((4, 1, 6, 5))
    figure = figures.beside([("data", images), ("samples", images)], columns=2, scale=3)
    texts = drawn(figure, tmp_path)
    assert texts == ["data", "samples"]
    assert figure.axes[0].texts[0].xy[0] < figure.axes[0].texts[1].xy[0]
    with pytest.raises(UsageError, match="as many in each"):
        figures.beside([("data", images), ("samples", images[:2])], columns=2)
    with pytest.raises(UsageError):
        figures.beside([])
