"""The FactorVAE score: a majority vote on the unit that varies least."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.points import listed
from zatlas.evaluation.disentanglement.sampling import FactorTable, Represent, represent_batches
from zatlas.evaluation.disentanglement.score import Score, binomial_error
from zatlas.evaluation.figure import Figure

PRUNED_STDDEV = 0.05  # Locatello et al. 2019


def factor_vae(
    represent: Represent,
    factors: Array,
    *,
    batch_size: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    variance_rows: int = 10_000,
    seed: int = 0,
) -> Score:
    r"""Whether the unit that varies least names the factor that was fixed (Kim & Mnih 2018, section 4).

    A vote: fix a random factor at the value of a random row, draw a batch of rows that share it, and take
    argmin_d Var(z_d) / Var over all rows. The classifier gives each unit the factor most often fixed when that unit was
    least; the score is its accuracy on other votes. Units with a standard deviation below 0.05 have no vote.

    Args:
        represent: row numbers ``[n]`` to posterior means ``[n, D]``; of codes at hand ``codes.__getitem__``.
        factors: integers ``[N, F]`` of all rows.
        batch_size: rows a vote.
        train: votes that the classifier is made of.
        test: votes that it is scored on.
        variance_rows: rows that the units' overall variances are taken of.
        seed: of every draw.

    Returns:
        The score; part ``train``; ``"votes"`` ``[D, F]`` of the training votes and ``"stddev"`` ``[D]``.

    Raises:
        UsageError: factors that are no table of whole numbers, or codes that are not finite ``[n, D]``.
    """
    table, rng = FactorTable(factors), np.random.default_rng(seed)
    rows = rng.integers(table.count, size=(max(2, variance_rows), 1))
    overall = represent_batches(represent, rows, lambda z: z[:, 0]).var(axis=0, ddof=1, dtype=np.float64)
    active = np.sqrt(overall) >= PRUNED_STDDEV
    told = list(table.warnings)
    if not active.all():
        told.append(f"{listed('unit', np.flatnonzero(~active).tolist())} hardly vary (below {PRUNED_STDDEV}): no vote.")
    votes = np.zeros((2, len(overall), table.width))
    if active.any() and table.varied:
        scale = np.where(active, overall, 1.0)
        least = lambda z: np.where(active, z.var(axis=1, ddof=1, dtype=np.float64) / scale, np.inf).argmin(axis=1)
        for i, count in enumerate((train, test)):
            fixed = rng.choice(table.varied, size=count)
            anchors = np.repeat(rng.integers(table.count, size=(count, 1)), batch_size, axis=1)
            unit = represent_batches(represent, table.partners(anchors, fixed, rng), least)
            np.add.at(votes[i], (unit, fixed), 1)
    factor_of = votes[0].argmax(axis=1)
    hits = votes[:, np.arange(len(overall)), factor_of].sum(axis=1) / np.maximum(1, votes.sum(axis=(1, 2)))
    estimator = f"FactorVAE score, majority vote of {train} batches of {batch_size}"
    error = binomial_error(hits[1], test)
    figure = Figure(float(hits[1]), error, test, estimator, over="votes", fixed="the codes and the trained votes")
    return Score(figure, {"train": float(hits[0])}, {"votes": votes[0], "stddev": np.sqrt(overall)}, tuple(told))
