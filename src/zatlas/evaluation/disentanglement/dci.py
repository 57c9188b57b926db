"""Disentanglement, completeness and informativeness, from the importances that ensembles of trees give to units."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.information import entropy
from zatlas.evaluation.disentanglement.points import Points, check_split
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure

FOREST_TREES = 50
FOREST_LEAF = 20  # grown to the last row, trees split on noise, and units of noise become important


def concentration(importance: Array) -> float:
    """1 - the rows' normalised entropies, weighted by the rows' sums, of ``[R, C]``; 0 for nothing at all."""
    total = importance.sum()
    if total <= 0:
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    rows = importance.sum(axis=1)
    shares = np.divide(importance, rows[:, None], out=np.zeros_like(importance), where=rows[:, None] > 0)
    return float(((1 - entropy(shares) / math.log(importance.shape[1])) * rows).sum() / total)


def dci(
    codes: Array,
    factors: Array,
    codes_test: Array,
    factors_test: Array,
    *,
    seed: int = 0,
    workers: int | None = None,
) -> Score:
    r"""Disentanglement by gradient-boosted trees (Eastwood & Williams 2018, section 2; Locatello et al. 2019).

    .. math:: \sum_d \rho_d \left(1 - H_F(P_{d\cdot})\right),\qquad P_{df} = R_{df} / \sum_f R_{df},\qquad
              \rho_d = \sum_f R_{df} / \sum R

    with R_df the importance of unit d to the trees that predict factor f, and H_F the entropy to base F. Completeness
    is the same across factors, with columns for rows; informativeness is the mean accuracy of the predictions.

    Args:
        codes: posterior means to learn from ``[N, D]``.
        factors: integers ``[N, F]``.
        codes_test: ``[M, D]``.
        factors_test: ``[M, F]``.
        seed: of the order in which trees look at units, which decides between equal splits.
        workers: threads, one a factor; as many as there are cores where None.

    Returns:
        The score; parts ``completeness``, ``informativeness`` (test) and ``informativeness_train``; ``"importance"``
        ``[D, F]``, columns summing to 1, and ``"accuracy"`` (test) ``[F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    make = lambda: GradientBoostingClassifier(random_state=seed % 2**32)
    return _score(make, "gradient-boosted trees", check_split(codes, factors, codes_test, factors_test), workers)


def dci_forest(
    codes: Array,
    factors: Array,
    codes_test: Array,
    factors_test: Array,
    *,
    seed: int = 0,
    workers: int | None = None,
) -> Score:
    """As ``dci``, by extremely randomised forests: much faster, and not comparable with published figures."""
    from sklearn.ensemble import ExtraTreesClassifier

    # every tree sees all units at a split: with a few drawn at random, the absent best unit lends others its importance
    make = lambda: ExtraTreesClassifier(
        FOREST_TREES, min_samples_leaf=FOREST_LEAF, max_features=None, random_state=seed % 2**32
    )
    return _score(make, "extremely randomised forests", check_split(codes, factors, codes_test, factors_test), workers)


def _score(make: Callable[[], Any], name: str, split: tuple[Points, Points], workers: int | None) -> Score:
    train, test = split
    importance, accuracy = np.zeros(train.shape), np.zeros((2, train.shape[1]))

    def fit(f: int) -> None:
        model = make().fit(train.codes, train.factors[:, f])
        importance[:, f] = model.feature_importances_
        accuracy[:, f] = [np.mean(model.predict(p.codes) == p.factors[:, f]) for p in (train, test)]

    # threads are enough: growing a tree lets go of the interpreter; the longest first, so that none waits at the end
    by_size = sorted(train.varied, key=lambda f: -len(np.unique(train.factors[:, f])))
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        list(pool.map(fit, by_size))
    used = list(train.varied)
    told = train.warnings
    if used and not importance.any():
        told = (*told, "No unit was of any importance to any factor.")
    learnt, kept = (accuracy[:, used].mean(axis=1) if used else np.zeros(2)).tolist()
    parts = {
        "completeness": concentration(importance[:, used].T),
        "informativeness": kept,
        "informativeness_train": learnt,
    }
    value = concentration(importance[:, used])
    figure = Figure(value, math.nan, len(train), f"DCI disentanglement, importances of {name}", over="points")
    return Score(figure, parts, {"importance": importance, "accuracy": accuracy[1]}, told)
