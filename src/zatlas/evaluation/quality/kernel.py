"""The kernel distance of two sets of features, unbiased at any number of examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zatlas.arrays import Array
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
    fall below zero. The standard error is over both sets redrawn. The jackknife, each example left out in turn, counts
    twice what is quadratic in the two sets' difference (Efron & Stein 1981), and of two sets of one distribution there
    is nothing else; so that is taken off once,

    .. math:: \frac{2 s_{aa}}{N^2} + \frac{2 s_{bb}}{M^2} + \frac{4 s_{ab}}{NM}

    with s the mean squares of the kernels, centred by rows and by columns.

    Args:
        a: features ``[N, F]``.
        b: features ``[M, F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    a, b = check_pair(a, b)
    n, m = len(a), len(b)
    own_a, own_b, cross = _Sums.of(a, a), _Sums.of(b, b), _Sums.of(a, b)
    within_a, within_b, between = own_a.rows.sum(), own_b.rows.sum(), cross.rows.sum()
    value = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * between / (n * m)
    without_a = (within_a - 2 * own_a.rows) / ((n - 1) * (n - 2)) - 2 * (between - cross.rows) / ((n - 1) * m)
    without_b = (within_b - 2 * own_b.rows) / ((m - 1) * (m - 2)) - 2 * (between - cross.columns) / ((m - 1) * n)
    jackknife = without_a.var() * (n - 1) + without_b.var() * (m - 1)
    quadratic = 2 * own_a.centred() / n**2 + 2 * own_b.centred() / m**2 + 4 * cross.centred() / (n * m)
    error = math.sqrt(max(jackknife - quadratic, jackknife / 2))
    estimator = f"kernel distance of {a.shape[1]} features, cubic, unbiased"
    return Figure(float(value), error, min(n, m), estimator, over="examples of each set")


@dataclass(frozen=True)
class _Sums:
    """Sums of k(a_i, b_j) over j ``[N]`` and over i ``[M]``, and of its square; of a set with itself without i = j."""

    rows: Array
    columns: Array
    squares: float
    pairs: int

    @classmethod
    def of(cls, a: Array, b: Array) -> _Sums:
        rows, columns, squares = np.zeros(len(a)), np.zeros(len(b)), 0.0
        for start in range(0, len(a), ROWS):
            part = slice(start, start + ROWS)
            kernel = polynomial(a[part], b)
            if a is b:
                kernel[np.arange(len(kernel)), np.arange(len(b))[part]] = 0
            rows[part] = kernel.sum(axis=1)
            columns += kernel.sum(axis=0)
            squares += float(np.vdot(kernel, kernel))
        return cls(rows, columns, squares, len(a) * (len(b) - (a is b)))

    def centred(self) -> float:
        """The mean square of the kernel less its rows' and columns' means, without what their own noise adds to it."""
        n, m = len(self.rows), len(self.columns)
        square = self.squares / self.pairs
        # the mean of k(i, j) k(i, l) over j != l: rows of the squared sums, their diagonal taken out
        width, height = self.pairs / n, self.pairs / m
        by_row = (np.mean(self.rows**2) - width * square) / (width * (width - 1))
        by_column = (np.mean(self.columns**2) - height * square) / (height * (height - 1))
        return float(max(0.0, square - by_row - by_column + (self.rows.sum() / self.pairs) ** 2))
