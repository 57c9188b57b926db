"""Unsupervised disentanglement ranking: runs that found the same units found the right ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.points import check_codes, listed
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure

Similarity = Literal["lasso", "spearman"]

INFORMATIVE_NATS = 0.01  # Duan et al. 2020
LASSO_PENALTY = 0.1


def pair_score(similarity: Array) -> float:
    r"""How close similarities ``[A, B]`` of two runs' units are to a permutation (Duan et al. 2020).

    .. math:: \frac1{A + B} \left(\sum_b \frac{\max_a R_{ab}^2}{\sum_a R_{ab}}
              + \sum_a \frac{\max_b R_{ab}^2}{\sum_b R_{ab}}\right)

    >>> pair_score(np.eye(3))
    1.0
    """
    total = 0.0
    for axis in (0, 1):
        greatest, sums = similarity.max(axis=axis, initial=0.0), similarity.sum(axis=axis)
        total += np.divide(greatest**2, sums, out=np.zeros_like(sums), where=sums > 0).sum()
    return float(total / max(1, sum(similarity.shape)))


def similarities(a: Array, b: Array, kind: Similarity) -> Array:
    """Of standardised units ``[N, A]`` and ``[N, B]``: |Lasso weights| of b on a, or |rank correlation|, ``[A, B]``."""
    if 0 in (a.shape[1], b.shape[1]):
        return np.zeros((a.shape[1], b.shape[1]))
    if kind == "spearman":
        from scipy.stats import rankdata

        a, b = (_standardised(rankdata(x, axis=0)) for x in (a, b))
        return np.abs(a.T @ b) / len(a)
    from sklearn.linear_model import Lasso

    return np.abs(Lasso(alpha=LASSO_PENALTY).fit(a, b).coef_.reshape(b.shape[1], a.shape[1])).T


def _standardised(x: Array) -> Array:
    x = x.astype(np.float64)
    return (x - x.mean(axis=0)) / x.std(axis=0)


def udr(
    codes: Sequence[Array], *, unit_rates: Sequence[Array] | None = None, similarity: Similarity = "lasso"
) -> Score:
    """The mean agreement of runs, without any factors; each run's is the median over the others (Duan et al. 2020).

    Args:
        codes: for each of R runs the posterior means ``[N, D]`` of the same examples in the same order.
        unit_rates: for each run the mean rate of each unit ``[D]`` in nats; units of 0.01 or less are left out.
            Without it every unit that changes counts, also those of noise.
        similarity: ``"lasso"`` weights, or ``"spearman"`` rank correlations.

    Returns:
        The mean over runs; ``"run"`` ``[R]`` the scores to rank them by, ``"pair"`` ``[R, R]``, in which entry (i, j)
        has run i explain run j.

    Raises:
        UsageError: fewer than two runs, rows or units that do not match, or NaN.
    """
    if similarity not in ("lasso", "spearman"):
        raise UsageError(f"similarity must be lasso or spearman, not {similarity!r}.")
    if len(codes) < 2:
        raise UsageError(f"UDR compares runs, and needs at least 2; {len(codes)} given.")
    tables = [check_codes(z, f"the codes of run {i}") for i, z in enumerate(codes)]
    if len({len(z) for z in tables}) > 1:
        raise UsageError(f"the runs have {[len(z) for z in tables]} rows; encode the same examples with each.")
    informative = [z.min(axis=0) != z.max(axis=0) for z in tables]
    if unit_rates is not None:
        rates = [np.asarray(r, np.float64) for r in unit_rates]
        if [r.shape for r in rates] != [z.shape[1:] for z in tables]:
            raise UsageError("unit_rates must give, for each run, one number for each of its units.")
        informative = [mask & (r > INFORMATIVE_NATS) for mask, r in zip(informative, rates, strict=True)]
    told = []
    if empty := [i for i, mask in enumerate(informative) if not mask.any()]:
        told.append(f"{listed('run', empty)} have no informative unit, and agree with none.")
    units = [_standardised(z[:, mask]) for z, mask in zip(tables, informative, strict=True)]
    n = len(units)
    pairs = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                pairs[i, j] = pair_score(similarities(units[i], units[j], similarity))
    runs = np.array([np.median(np.delete(pairs[:, j], j)) for j in range(n)])
    figure = Figure(
        float(runs.mean()), math.nan, n, f"UDR, {similarity} similarity, median over the other runs", over="trainings"
    )
    return Score(figure, {}, {"run": runs, "pair": pairs}, tuple(told))
