import numpy as np
import pytest

from zatlas.data import open_source
from zatlas.data.sprites import GRID, draw
from zatlas.errors import UsageError


def centres(images):
    """Centre of mass (x, y) in pixels."""
    mass = images[:, 0].astype(float)
    total = mass.sum((1, 2))
    ticks = np.arange(64)
    return (mass.sum(1) * ticks).sum(1) / total, (mass.sum(2) * ticks).sum(1) / total


def test_factors_are_what_is_drawn():
    base = np.tile([2, 3, 7, 10, 20], (32, 1))
    moved = base.copy()
    moved[:, 3] = np.arange(32)
    x, y = centres(draw(moved))
    np.testing.assert_allclose(np.diff(x), 1)
    np.testing.assert_allclose(y, y[0])
    lowered = base.copy()
    lowered[:, 4] = np.arange(32)
    np.testing.assert_allclose(np.diff(centres(draw(lowered))[1]), 1)


def test_scale_sets_area():
    factors = np.array([[shape, scale, 0, 16, 16] for shape in range(3) for scale in range(6)])
    areas = draw(factors).astype(float).sum((1, 2, 3)).reshape(3, 6) / 255
    np.testing.assert_allclose(areas / areas[:, -1:], np.tile(np.linspace(0.5, 1, 6) ** 2, (3, 1)), rtol=0.02)
    np.testing.assert_allclose(areas[:2, -1], [450, 15**2 / 2 * np.pi], rtol=0.02)


def test_orientation_turns_within_the_frame():
    factors = np.array([[shape, 5, k, 31, 31] for shape in range(3) for k in range(40)])
    areas = draw(factors).astype(float).sum((1, 2, 3)).reshape(3, 40)
    np.testing.assert_allclose(areas, areas.mean(1, keepdims=True).repeat(40, 1), rtol=0.01)
    heart = draw(np.array([[2, 5, 0, 16, 16]]))[0, 0]
    assert np.abs(heart.astype(float) - heart[:, ::-1]).mean() < 1
    assert heart[:, 32].argmax() > heart[:, 26].argmax()  # the cleft between its lobes
    widths = (heart > 127).sum(1)
    assert widths[40:].max() < widths.max()  # it narrows to a point below
    assert widths[widths > 0][-1] < 6


def test_the_same_rows_everywhere():
    source = open_source("sprites:500")
    assert source.fingerprint() == open_source("sprites:500").fingerprint() != open_source("sprites:501").fingerprint()
    rows = np.array([7, 3, 499])
    np.testing.assert_array_equal(source.read(rows), draw(source.factors[rows]))
    np.testing.assert_array_equal(source.read_labels(rows), source.factors[rows, 0])
    assert source.factors[:3].tolist() == FIRST
    more = {tuple(row) for row in open_source("sprites:1000").factors.tolist()}
    assert {tuple(row) for row in source.factors.tolist()} < more


FIRST = [[0, 0, 0, 22, 13], [0, 0, 1, 18, 1], [0, 0, 1, 27, 9]]


@pytest.mark.slow
def test_the_whole_grid():
    source = open_source("sprites:all")
    assert len(source) == 737_280
    assert len(np.unique(np.ravel_multi_index(tuple(source.factors.T), GRID))) == 737_280


@pytest.mark.parametrize("count", ["0", "-3", "737281", "many", "", "1.5", "²"])
def test_refused_counts(count):
    with pytest.raises(UsageError, match="737280"):
        open_source(f"sprites:{count}")
