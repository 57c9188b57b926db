"""The BetaVAE score: a linear classifier on the mean difference of pairs."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.fitting import fit_settles
from zatlas.evaluation.disentanglement.points import listed
from zatlas.evaluation.disentanglement.sampling import FactorTable, Represent, represent_batches
from zatlas.evaluation.disentanglement.score import Score, binomial_error
from zatlas.evaluation.figure import Figure


def beta_vae(
    represent: Represent,
    factors: Array,
    *,
    batch_size: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
) -> Score:
    r"""Whether a linear classifier knows which factor was shared within pairs (Higgins et al. 2017, section 3).

    An example is the mean of |z - z'| over ``batch_size`` pairs of rows that share the value of one random factor; the
    score is the test accuracy of a logistic regression that names the factor (scikit-learn's default penalty, as in
    Locatello et al. 2019). Linear mixtures of units score high too: it is the mildest of these measures.

    Args:
        represent: row numbers ``[n]`` to posterior means ``[n, D]``; of codes at hand ``codes.__getitem__``.
        factors: integers ``[N, F]`` of all rows.
        batch_size: pairs an example.
        train: examples to learn from.
        test: examples to be scored on.
        seed: of every draw.

    Returns:
        The score; part ``train``; ``"difference"`` ``[D, F]``, the mean example of each factor.

    Raises:
        UsageError: factors that are no table of whole numbers, or codes that are not finite ``[n, D]``.
    """
    from sklearn.linear_model import LogisticRegression

    table, rng = FactorTable(factors), np.random.default_rng(seed)
    estimator = f"BetaVAE score, logistic regression on mean differences of {batch_size} pairs"
    told = list(table.warnings)

    def examples(count: int) -> tuple[Array, Array]:
        shared = rng.choice(table.varied, size=count) if table.varied else np.zeros(count, np.int64)
        first = rng.integers(table.count, size=(count, batch_size))
        both = np.concatenate([first, table.partners(first, shared, rng)], axis=1)
        apart = lambda z: np.abs(z[:, :batch_size] - z[:, batch_size:]).mean(axis=1, dtype=np.float64)
        return represent_batches(represent, both, apart), shared

    x, shared = examples(train)
    if dead := np.flatnonzero(x.max(axis=0) == 0).tolist():
        told.append(f"{listed('unit', dead)} never change: they carry nothing.")
    difference = np.zeros((x.shape[1], table.width))
    for f in table.varied:
        if (chosen := shared == f).any():
            difference[:, f] = x[chosen].mean(axis=0)
    if len(np.unique(shared)) < 2:  # nothing to choose between: the one answer is always right, and says nothing
        return Score(
            Figure(0.0, math.nan, test, estimator, over="draws"),
            {"train": 0.0},
            {"difference": difference},
            tuple(told),
        )
    model = LogisticRegression(max_iter=1000, solver="newton-cholesky")
    if not fit_settles(model, x, shared):
        told.append(f"The classifier had not settled after {model.max_iter} iterations.")
    accuracy = float(model.score(*examples(test)))
    error = binomial_error(accuracy, test)
    figure = Figure(accuracy, error, test, estimator, over="draws", fixed="the codes and the trained classifier")
    return Score(figure, {"train": float(model.score(x, shared))}, {"difference": difference}, tuple(told))
