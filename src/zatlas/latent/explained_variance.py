"""What labels and known factors say of the units of a code, from the codes of rows that have them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zatlas.arrays import Array

_BLOCKS = 20  # of rows, for the jackknife


def explained_by_group(codes: Array, groups: Array) -> tuple[Array, Array]:
    """The share of each unit's variance that a factor accounts for, ``[D]``, and its standard error.

    .. math:: R^2 = 1 - \\frac{SS_{within} / (N - G)}{SS_{total} / (N - 1)}

    One-way analysis of variance, adjusted: 0 in the mean for a factor that says nothing; the factor's values need no
    order and may be an angle's. Errors are by the jackknife over 20 blocks of rows.

    Args:
        codes: ``[N, D]``.
        groups: the factor's value in each row, ``[N]``.
    """
    _, group = np.unique(groups, return_inverse=True)

    def adjusted(rows: Array) -> Array:
        member = np.eye(group.max() + 1)[group[rows]]
        member = member[:, member.any(axis=0)]
        z = codes[rows] - codes[rows].mean(axis=0)
        total = np.square(z).sum(axis=0)
        within = total - (np.square(member.T @ z) / member.sum(axis=0)[:, None]).sum(axis=0)
        return 1 - _over(within / max(len(rows) - member.shape[1], 1), total / (len(rows) - 1))

    return _jackknifed(adjusted, len(codes))


def explained_by_number(codes: Array, numbers: Array) -> tuple[Array, Array]:
    """The squared correlation of each unit with a real label ``[N]``, ``[D]``, and its standard error by blocks."""

    def squared(rows: Array) -> Array:
        z, v = (x[rows] - x[rows].mean(axis=0) for x in (codes, numbers))
        return _over((v @ z) ** 2, (v @ v) * np.square(z).sum(axis=0))

    return _jackknifed(squared, len(codes))


def _jackknifed(statistic: Callable[[Array], Array], count: int) -> tuple[Array, Array]:
    rows = np.arange(count)
    blocks = min(_BLOCKS, count)
    left_out = np.stack([statistic(rows[rows % blocks != block]) for block in range(blocks)])
    return statistic(rows), np.sqrt((blocks - 1) * left_out.var(axis=0))


def class_contrasts(codes: Array, labels: Array, classes: int) -> tuple[Array, Array]:
    """d' of each class against all others along every unit, ``[D, G]``, with its standard error; NaN without rows.

    .. math:: d' = (\\bar z_c - \\bar z_{rest}) / \\sqrt{(s_c^2 + s_{rest}^2) / 2}

    The error is that of Hedges & Olkin (1985, equation 5.15), for large samples.
    """
    contrast, error = (np.full((codes.shape[1], classes), np.nan) for _ in range(2))
    for c in range(classes):
        mine, rest = codes[labels == c], codes[labels != c]
        if min(len(mine), len(rest)) > 1:
            pooled = np.sqrt((mine.var(axis=0, ddof=1) + rest.var(axis=0, ddof=1)) / 2)
            contrast[:, c] = _over(mine.mean(axis=0) - rest.mean(axis=0), pooled)
            error[:, c] = np.sqrt(1 / len(mine) + 1 / len(rest) + contrast[:, c] ** 2 / (2 * len(codes)))
    return contrast, error


def _over(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above, float), where=np.asarray(below) > 1e-20)
