"""The kernel distance of two sets of features, unbiased at any number of examples."""

from __future__ import annotations

import math

import numpy as np

from zatlas.evaluation.disentanglement.score import Array
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import check_pair

ROWS = 1000


def polynomial(a: Array, b: Array) -> Array:
    """(x . y / F + 1)^3 of each row of ``[N, F]`` with each of ``[M, F]``, ``[N, M]`` (Binkowski et al. 2018)."""
    inner = a @ b.T / a.shape[1] + 1
    return inner * inner * inner  # of arrays, **3 takes ten times as long


def kernel_distance(a: Array, b: Array) -> Figure:
    r"""The squared maximum mean discrepancy under a cubic kernel (Binkowski et al. 2018).

    .. math:: \frac{1}{N(N-1)} \sum_{i \ne j} k(a_i, a_j) + \frac{1}{M(M-1)} \sum_{i \ne j} k(b_i, b_j)
              - \frac{2}{NM} \sum_{ij} k(a_i, b_j)

    The mean over random subsets that is usually quoted has the same expectation, and more noise. Being unbiased it may
    fall below zero. The standard error is the jackknife's, each example of either set left out in turn; it is up to
    sqrt(2) too large where the two sets are of one distribution (Efron & Stein 1981).

    Args:
        a: features ``[N, F]``.
        b: features ``[M, F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    a, b = check_pair(a, b)
    n, m = len(a), len(b)
    (own_a, cross), (own_b, _) = _sums(a, b), _sums(b, a, crossed=False)
    cross_a, cross_b = cross
    within_a, within_b, between = own_a.sum(), own_b.sum(), cross_a.sum()
    value = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * between / (n * m)
    without_a = (within_a - 2 * own_a) / ((n - 1) * (n - 2)) - 2 * (between - cross_a) / ((n - 1) * m)
    without_b = (within_b - 2 * own_b) / ((m - 1) * (m - 2)) - 2 * (between - cross_b) / ((m - 1) * n)
    error = math.sqrt(without_a.var() * (n - 1) + without_b.var() * (m - 1))
    return Figure(float(value), error, min(n, m), f"kernel distance of {a.shape[1]} features, cubic, unbiased")


def _sums(a: Array, b: Array, crossed: bool = True) -> tuple[Array, tuple[Array, Array]]:
    """Sums of k(a_i, a_j) over j != i ``[N]``, and where asked of k(a_i, b_j) over j ``[N]`` and over i ``[M]``."""
    own, over_b, over_a = np.zeros(len(a)), np.zeros(len(a)), np.zeros(len(b))
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        itself = ((a[rows] ** 2).sum(axis=1) / a.shape[1] + 1) ** 3
        own[rows] = polynomial(a[rows], a).sum(axis=1) - itself
        if crossed:
            kernel = polynomial(a[rows], b)
            over_b[rows] = kernel.sum(axis=1)
            over_a += kernel.sum(axis=0)
    return own, (over_b, over_a)
