"""Modularity: does a unit tell of one factor only? Explicitness: can a factor be read off linearly?"""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.fitting import fit_settles
from zatlas.evaluation.disentanglement.information import BINS, Information
from zatlas.evaluation.disentanglement.points import check_points, check_split, listed
from zatlas.evaluation.disentanglement.score import Score, if_unknown, jackknife_error
from zatlas.evaluation.figure import Figure


def unit_modularities(information: Array, varied: tuple[int, ...]) -> Array:
    """1 - sum of the squared lesser informations / (F - 1) / the greatest squared, ``[D]``; 0 for a unit with none."""
    if len(varied) < 2:
        return (information.sum(axis=1) > 0).astype(np.float64)
    squared = information[:, list(varied)] ** 2
    greatest = squared.max(axis=1)
    lesser = (squared.sum(axis=1) - greatest) / (len(varied) - 1)
    return np.where(greatest > 0, 1 - lesser / np.where(greatest > 0, greatest, 1), 0.0)


def modularity(codes: Array, factors: Array, *, bins: int = BINS, seed: int = 0) -> Score:
    r"""Whether each unit tells of a single factor (Ridgeway & Mozer 2018; binned as Locatello et al. 2019).

    .. math:: \frac1D \sum_d \left(1 - \frac{\sum_{f \ne f^*} I(z_d; v_f)^2}{(F - 1)\, I(z_d; v_{f^*})^2}\right)

    with f* the factor of which unit d tells most. The mean is over all units: one of pure noise counts by what chance
    gives it, and one that never changes counts 0.

    Args:
        codes: posterior means ``[N, D]``.
        factors: integers ``[N, F]``.
        bins: of equal width between a unit's extremes.
        seed: of the groups that the standard error is from.

    Returns:
        The score; ``"information"`` ``[D, F]`` in nats, ``"unit"`` ``[D]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    points = check_points(codes, factors)
    counted = Information(points, bins)
    information, _ = counted.matrices()
    units = unit_modularities(information, points.varied)
    again = lambda weights: float(unit_modularities(counted.matrices(weights)[0], points.varied).mean())
    error = jackknife_error(again, len(points), seed)
    figure = Figure(
        float(units.mean()),
        error,
        len(points),
        f"modularity, means in {bins} bins of equal width",
        over="points",
        caution=if_unknown(error),
    )
    return Score(figure, {}, {"information": information, "unit": units}, points.warnings)


def one_against_rest(scores: Array, positive: Array) -> Array:
    """Area under the ROC curve of each column, ``[N, V] -> [V]``; NaN where a column's value is none or all."""
    from scipy.stats import rankdata

    ones, zeros = positive.sum(axis=0), (~positive).sum(axis=0)
    ranks = (rankdata(scores, axis=0) * positive).sum(axis=0)
    pairs = np.where(ones * zeros > 0, ones * zeros, np.nan)
    return (ranks - ones * (ones + 1) / 2) / pairs


def explicitness(codes: Array, factors: Array, codes_test: Array, factors_test: Array) -> Score:
    r"""How well a logistic regression on all units ranks each value of each factor (Ridgeway & Mozer 2018).

    .. math:: \frac1F \sum_f \frac1{V_f} \sum_v \mathrm{AUC}(\text{is } v_f = v \mid z)

    on the test points: 0.5 is chance, 1 is perfect. Units are standardised by the training points, and the regression
    is multinomial with scikit-learn's default penalty, as in Locatello et al. 2019.

    Args:
        codes: posterior means to learn from ``[N, D]``.
        factors: integers ``[N, F]``.
        codes_test: ``[M, D]``.
        factors_test: ``[M, F]``.

    Returns:
        The score; parts ``train`` and ``normalised`` (2 AUC - 1, 0 is chance); ``"factor"`` ``[F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    from sklearn.linear_model import LogisticRegression

    train, test = check_split(codes, factors, codes_test, factors_test)
    mean, stddev = train.codes.mean(axis=0), np.where(np.ptp(train.codes, axis=0) > 0, train.codes.std(axis=0), 1)
    areas = np.full((2, train.shape[1]), 0.5)
    absent, unsettled = [], []
    for f in train.varied:
        # Newton's method: with many values lbfgs does not settle in 1000 iterations and five times the time
        model = LogisticRegression(max_iter=1000, solver="newton-cholesky")
        if not fit_settles(model, (train.codes - mean) / stddev, train.factors[:, f]):
            unsettled.append(f)
        for i, points in enumerate((train, test)):
            scores = model.predict_proba((points.codes - mean) / stddev)
            found = one_against_rest(scores, points.factors[:, f, None] == model.classes_)
            kept = found[~np.isnan(found)]
            areas[i, f] = kept.mean() if len(kept) else 0.5
            if len(kept) < len(found) and f not in absent:
                absent.append(f)
    told = list(train.warnings)
    if absent:
        told.append(f"{listed('factor', absent)} miss values among the test points, which are left out of the mean.")
    if unsettled:
        told.append(f"The regressions of {listed('factor', unsettled)} had not settled after 1000 iterations.")
    on_train, on_test = (float(row[list(train.varied)].mean()) if train.varied else 0.5 for row in areas)
    estimator = "explicitness, test area under the ROC curve of multinomial logistic regression"
    parts = {"train": on_train, "normalised": 2 * on_test - 1}
    return Score(
        Figure(on_test, math.nan, len(test), estimator, over="test points"), parts, {"factor": areas[1]}, tuple(told)
    )
