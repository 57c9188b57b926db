"""The separated attribute predictability score, by a linear classifier and by correlation."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.fitting import fit_settles
from zatlas.evaluation.disentanglement.points import Points, check_points, check_split, listed
from zatlas.evaluation.disentanglement.score import Score, if_unknown, jackknife_error, top_gap
from zatlas.evaluation.figure import Figure


def _mean_gap(matrix: Array, points: Points) -> float:
    return float(top_gap(matrix)[list(points.varied)].mean()) if points.varied else 0.0


def sap(
    codes: Array, factors: Array, codes_test: Array, factors_test: Array, *, c: float = 0.01, seed: int = 0
) -> Score:
    r"""The lead of the unit that best classifies a factor (Kumar et al. 2018, section 3; Locatello et al. 2019).

    .. math:: \frac1F \sum_f (S_{(1)f} - S_{(2)f})

    where S_df is the test accuracy of a linear support vector machine (squared hinge, classes balanced) that sees unit
    d alone. A line cuts one unit in two, so of many values only the outermost are told apart: even perfect units score
    well below 1, two balanced values at most 0.5.

    Args:
        codes: posterior means to learn from ``[N, D]``.
        factors: integers ``[N, F]``.
        codes_test: ``[M, D]``.
        factors_test: ``[M, F]``.
        c: inverse penalty.
        seed: of the groups of test points that the standard error is from.

    Returns:
        The score; ``"accuracy"`` ``[D, F]``, ``"gap"`` ``[F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    from sklearn.svm import LinearSVC

    train, test = check_split(codes, factors, codes_test, factors_test)
    hits = np.zeros((*train.shape, len(test)))
    unsettled = set()
    for f in train.varied:
        for d in range(train.shape[0]):
            model = LinearSVC(C=c, class_weight="balanced", dual=False)  # the primal is exact: nothing is drawn
            if not fit_settles(model, train.codes[:, d : d + 1], train.factors[:, f]):
                unsettled.add(f)
            hits[d, f] = model.predict(test.codes[:, d : d + 1]) == test.factors[:, f]
    accuracy = hits.mean(axis=2)
    told = list(train.warnings)
    if unsettled:
        told.append(f"The classifiers of {listed('factor', sorted(unsettled))} had not settled after 1000 iterations.")
    error = jackknife_error(lambda weights: _mean_gap(hits @ weights / len(test), train), len(test), seed)
    figure = Figure(
        _mean_gap(accuracy, train),
        error,
        len(test),
        f"SAP, linear SVM with C={c:g}, classes balanced",
        over="test points",
        fixed="the trained classifiers",
        caution=if_unknown(error),
    )
    return Score(figure, {}, {"accuracy": accuracy, "gap": _gaps(accuracy, train)}, tuple(told))


def sap_correlation(codes: Array, factors: Array, *, seed: int = 0) -> Score:
    """The same lead, with S_df the squared correlation of unit and factor (Kumar et al. 2018, section 3).

    For ordered factors; one whose numbers are mere names has no correlation to speak of.

    Args:
        codes: posterior means ``[N, D]``.
        factors: integers ``[N, F]``, taken as quantities.
        seed: of the groups that the standard error is from.

    Returns:
        The score; ``"correlation"``, squared, ``[D, F]``, ``"gap"`` ``[F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    points = check_points(codes, factors)
    units, quantities = points.codes.astype(np.float64), points.factors.astype(np.float64)
    whole = squared_correlation(units, quantities, np.ones(len(points)))
    error = jackknife_error(lambda w: _mean_gap(squared_correlation(units, quantities, w), points), len(points), seed)
    figure = Figure(
        _mean_gap(whole, points),
        error,
        len(points),
        "SAP, squared correlation of unit and factor",
        over="points",
        caution=if_unknown(error),
    )
    return Score(figure, {}, {"correlation": whole, "gap": _gaps(whole, points)}, points.warnings)


def squared_correlation(a: Array, b: Array, weights: Array) -> Array:
    """Of each column of ``[N, D]`` with each of ``[N, F]``, ``[D, F]``; 0 where one of the two never changes."""
    a, b = (x - weights @ x / weights.sum() for x in (a, b))
    covariance = a.T @ (weights[:, None] * b)
    variances = np.outer(weights @ a**2, weights @ b**2)
    changes = variances > 1e-12 * weights.sum() ** 2
    return np.where(changes, covariance**2 / np.where(changes, variances, 1), 0.0)


def _gaps(matrix: Array, points: Points) -> Array:
    gaps = np.zeros(points.shape[1])
    gaps[list(points.varied)] = top_gap(matrix)[list(points.varied)]
    return gaps
