import numpy as np
import pytest

from zatlas.latent import Neighbours
from zatlas.latent import neighbours as module


def by_float64(codes, query, k):
    distance = np.sqrt(((codes.astype(np.float64) - query) ** 2).sum(1))
    order = np.argsort(distance, kind="stable")[:k]
    return order, distance[order]


@pytest.mark.parametrize("shift", [0.0, 1e4])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_it_is_the_search_in_float64(shift, spread, monkeypatch):
    """Also where float32 alone would order wrongly: codes far from the origin, and close to each other."""
    monkeypatch.setattr(module, "_BLOCK", 700)
    rng = np.random.default_rng(1)
    codes = (shift + rng.normal(size=(5000, 6)) * [1, 1, 1, 1, spread, spread]).astype(np.float32)
    codes[:300] = codes[0] + rng.normal(size=(300, 6)) * 1e-4  # a knot
    found = Neighbours(codes)
    queries = np.concatenate([codes[:3], codes[4000:4003], shift + rng.normal(size=(3, 6)) * 9])
    index, distance = found.nearest(queries, 40)
    for query, i, d in zip(queries, index, distance, strict=True):
        expected, gaps = by_float64(codes, query, 40)
        np.testing.assert_allclose(d, gaps, rtol=1e-12)
        np.testing.assert_array_equal(i, expected)


def test_equal_ones_come_in_order_and_all_may_be_asked_for():
    index, distance = Neighbours(np.ones((7, 2))).nearest(np.ones((1, 2)), 20)
    assert index.tolist() == [list(range(7))]
    assert (distance == 0).all()
