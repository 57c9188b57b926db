"""The interventional robustness score."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.points import check_points
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure


def irs(codes: Array, factors: Array, *, quantile: float = 0.99) -> Score:
    r"""How little a unit moves while its own factor stays and all others change (Suter et al. 2019).

    .. math:: \frac{\sum_d m_d \max_f R_{df}}{\sum_d m_d},\qquad
              R_{df} = 1 - \frac1{m_d V_f} \sum_v Q\left(|z_d - E[z_d | v_f = v]|\right)

    with m_d the greatest distance of unit d from its mean, so that units weigh by their range, and Q a quantile over
    the points of one value. Factors are taken to be independent and without noise. The library of Locatello et al. 2019
    first puts factors into 20 bins; here each value stands for itself, which is the same for 20 or fewer evenly spaced.

    Args:
        codes: posterior means ``[N, D]``.
        factors: integers ``[N, F]``.
        quantile: 1 is the maximum of the paper, 0.99 what is usual.

    Returns:
        The score; ``"robustness"`` R ``[D, F]``, ``"deviation"`` m ``[D]``; a unit that never moves is zero in both.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    points = check_points(codes, factors)
    units = points.codes.astype(np.float64)
    deviation = np.abs(units - units.mean(axis=0)).max(axis=0)
    deviation[units.min(axis=0) == units.max(axis=0)] = 0.0
    moves, used = deviation > 0, list(points.varied)
    robustness = np.zeros(points.shape)
    for f in used:
        groups = [units[points.factors[:, f] == value] for value in np.unique(points.factors[:, f])]
        spread = np.mean([np.quantile(np.abs(g - g.mean(axis=0)), quantile, axis=0) for g in groups], axis=0)
        robustness[moves, f] = 1 - spread[moves] / deviation[moves]
    best = robustness[:, used].max(axis=1) if used else np.zeros(len(deviation))
    value = float(best @ deviation / deviation.sum()) if moves.any() else 0.0
    figure = Figure(value, math.nan, len(points), f"IRS, {quantile:g} quantile of deviations", over="points")
    return Score(figure, {}, {"robustness": robustness, "deviation": deviation}, points.warnings)
