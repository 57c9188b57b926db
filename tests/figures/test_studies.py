"""Figures of many models: pixels where they belong, spots and bars where the numbers are."""

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.figures import Model, Panel, Spot, against, frontier, layout, themed_svg, undominated


def test_every_image_stands_unresampled_in_its_cell():
    rng = np.random.default_rng(0)
    cells = {(i, j): rng.integers(0, 256, (4, 5, 5), dtype=np.uint8) for i in range(2) for j in range(3)}
    del cells[1, 2]
    figure = layout(cells, ["a", "b"], ["1", "2", "3"], gap=1, empty={(1, 2): "none"})
    picture = figure.axes[0].images[0].get_array()
    side, space = 2 * 5 + 1, max(4, 11 // 12)
    for (i, j), images in cells.items():
        top, left = i * (side + space), j * (side + space)
        for number, image in enumerate(images):
            y, x = top + (number // 2) * 6, left + (number % 2) * 6
            assert np.array_equal(picture[y : y + 5, x : x + 5, 0], image)
    assert not picture[side + space :, 2 * (side + space) :, 3].any()  # transparent where there is no model
    assert {"a", "b", "1", "2", "3", "none"} <= {text.get_text() for text in figure.axes[0].texts}
    width, _ = figure.axes[0].get_window_extent().size
    assert width % picture.shape[1] == pytest.approx(0, abs=1e-6)  # a whole number of figure pixels


def test_cells_of_different_size_are_refused():
    with pytest.raises(UsageError, match="cells of different size cannot be laid out"):
        layout({(0, 0): np.zeros((4, 5, 5)), (0, 1): np.zeros((4, 6, 6))}, [""], ["a", "b"])
    with pytest.raises(UsageError, match="at least one cell"):
        layout({}, [""], [""])


def test_spots_and_bars_stand_where_the_numbers_are():
    lines = {"1": [Spot(2, 5.0, 0.5), Spot(50, 3.0, 0.25), Spot(10, 4.0, None)], "5": [Spot(2, 9.0, None)]}
    figure = against([Panel("loss", "nats", lines)], "latent size", others="beta")
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"  # 50 is 25 times 2
    line = axes.lines[0]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([2, 10, 50], [5.0, 4.0, 3.0])
    bars = [segment.tolist() for collection in axes.collections for segment in collection.get_segments()]
    assert bars == [[[2, 4.5], [2, 5.5]], [[50, 2.75], [50, 3.25]]]
    assert [text.get_text() for text in figure.texts] == ["beta", "1", "5"]
    assert against([Panel("loss", "nats", {"": [Spot(2, 5.0), Spot(10, 4.0)]})], "x").axes[0].get_xscale() == "linear"


def test_drawn_values_are_not_joined_and_words_stand_side_by_side():
    cloud = {"": [Spot(10.0**-k, float(k)) for k in range(1, 20)]}
    axes = against([Panel("loss", "nats", cloud)], "rate", log=True, joined=False).axes[0]
    assert axes.lines[0].get_linestyle() == "None"
    assert "math" not in themed_svg(axes.figure, alt="a cloud")
    axes = against([Panel("loss", "", {"": [Spot("mlp", 1.0), Spot("conv", 2.0), Spot(None, 3.0)]})], "network").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["mlp", "conv", "none"]
    with pytest.raises(UsageError, match="no figure to draw against"):
        against([Panel("loss", "", {"": []})], "network")


def test_the_frontier_is_what_no_other_point_beats():
    rng = np.random.default_rng(1)
    points = [tuple(map(float, p)) for p in rng.integers(0, 12, (60, 2))]
    kept = undominated(points)
    for i, p in enumerate(points):
        beaten = any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)
        assert beaten == (p not in [points[k] for k in kept]), i
    assert [points[k][0] for k in kept] == sorted(points[k][0] for k in kept)


def test_the_plane_has_every_model_and_its_name_once():
    models = [
        Model(0, 206, "2", "40"),
        Model(0.01, 205.9, "10", "40"),
        Model(5, 161, "2", "1"),
        Model(17, 106, "10", "1"),
    ]
    figure = frontier(models, lines="latent size", along="beta")
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("40") == 1  # two models at one place
    assert words.count("1") == 2
    assert "at the points: beta" in words
    with pytest.raises(UsageError, match="finite figures"):
        frontier([Model(float("nan"), 1, "", "")])
