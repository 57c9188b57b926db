"""A row for each unit, whatever its images are."""

import numpy as np
import pytest

from tests.figures.test_figures import drawn
from zatlas.errors import UsageError
from zatlas.figures.units import Link, UnitRow, units

rng = np.random.default_rng(0)
LINKS = [Link("slant", -0.97, 0.01, "−12.0 ± 0.2°"), Link("<b> $x", 0.2, 0.3, sure=False)]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 64, 64), (1, 28, 20)])
def test_each_unit_has_its_images_its_heat_and_its_links(shape, tmp_path):
    rows = [
        UnitRow(f"z{i}", "1.93 nats", rng.random((5, *shape)), rng.random(shape[1:]), LINKS[: 2 - i]) for i in range(3)
    ]
    texts = drawn(units(rows, np.linspace(-2, 2, 5), title="Units"), tmp_path)
    assert {"z0", "z2", "slant", "<b> $x", "−12.0 ± 0.2°", "where", "Units", "−2"} <= set(texts)
    assert texts.count("slant") == 2


def test_pictures_lie_on_whole_pixels_and_show_whole_pixels():
    row = UnitRow("z1", "", rng.random((3, 1, 8, 8)), rng.random((8, 8)), LINKS)
    figure = units([row, row], [-1, 0, 1], scale=5)
    strip = figure.axes[0].get_window_extent()
    np.testing.assert_allclose([strip.width, strip.height], [(3 * 9 - 1) * 5, 40], atol=1e-6)


def test_bars_have_the_length_of_r_and_errors_stay_within_one():
    row = UnitRow("z1", "", None, None, [Link("a", -0.5, 0.1), Link("b", 0.99, 0.2)])
    axes = units([row], []).axes[-1]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([-0.5, 0.99])
    ends = [line.get_xdata().tolist() for line in axes.lines]
    np.testing.assert_allclose(ends, [[-0.7, -0.3], [0.59, 1]])


def test_a_unit_that_changes_nothing_or_has_no_links_is_drawn(tmp_path):
    row = UnitRow("z1", "dead", np.zeros((3, 1, 6, 6)), np.zeros((6, 6)), [])
    drawn(units([row], [-1, 0, 1]), tmp_path)


def test_images_that_do_not_fit_the_values_are_refused():
    row = UnitRow("z1", "", np.zeros((3, 1, 6, 6)), np.zeros((6, 6)), [])
    with pytest.raises(UsageError, match="2 images"):
        units([row], [-1, 1])
    with pytest.raises(UsageError, match="at least one unit"):
        units([], [-1, 1])
