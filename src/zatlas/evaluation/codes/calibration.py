"""Whether probabilities mean what they say."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.score import Score, if_unknown, jackknife_error
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.modes import check_classes

BINS = 15  # Guo et al. 2017


def check_table(table: Array, labels: Array, what: str) -> tuple[Array, Array]:
    """A finite float64 table ``[N, Y]`` and the classes ``[N]`` of its rows.

    Raises:
        UsageError: no table, NaN, labels of other rows or beyond Y.
    """
    table, labels = np.asarray(table, np.float64), check_classes(labels, "the labels")
    if table.ndim != 2 or table.shape[1] < 2:
        raise UsageError(f"{what} must be a table [N, Y] of two classes or more, not of shape {table.shape}.")
    if len(table) != len(labels):
        raise UsageError(
            f"{what} have {len(table)} rows and the labels {len(labels)}; give both for the same examples."
        )
    if labels.max() >= table.shape[1]:
        raise UsageError(f"there is a label {labels.max()}, and {what} have {table.shape[1]} classes.")
    if not np.isfinite(table).all():
        raise UsageError(f"{what} hold NaN or infinity in {(~np.isfinite(table)).any(axis=1).sum()} rows.")
    return table, labels


def calibration_error(probabilities: Array, labels: Array, *, bins: int = BINS, seed: int = 0) -> Score:
    r"""The mean gap between confidence and accuracy over bins of equal width (Guo et al. 2017, equation 3).

    .. math:: \sum_b \frac{n_b}{N} \left| \mathrm{acc}_b - \mathrm{conf}_b \right|

    with the confidence the probability of the likeliest class. Sampling noise alone makes gaps: part ``floor`` is what
    a perfectly calibrated predictor of the same confidences would score, by the normal approximation.

    Args:
        probabilities: p(y|x), ``[N, Y]``, rows summing to 1.
        labels: class numbers ``[N]``.
        bins: from 0 to 1.
        seed: of the groups that the standard error is from.

    Returns:
        The error; parts ``floor``, ``largest`` (gap of any bin) and ``overconfidence`` (mean confidence - accuracy);
        for a plot ``"edges"`` ``[bins + 1]`` and ``"confidence"``, ``"accuracy"`` (NaN in empty bins), ``"count"``
        ``[bins]``.

    Raises:
        UsageError: no probabilities, NaN, or labels of other rows.
    """
    table, labels = check_table(probabilities, labels, "the probabilities")
    if table.min() < -1e-6 or np.abs(table.sum(axis=1) - 1).max() > 1e-3:
        raise UsageError("probabilities must be at least 0 and add up to 1 in every row.")
    confidence, hit = table.max(axis=1), table.argmax(axis=1) == labels
    cell = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    total = lambda weights: np.bincount(cell, weights, minlength=bins)
    gap = lambda weights: float(np.abs(total(weights * (hit - confidence))).sum() / weights.sum())
    count = np.bincount(cell, minlength=bins)
    mean = lambda values: np.divide(total(values), count, out=np.full(bins, np.nan), where=count > 0)
    matrices = {
        "edges": np.linspace(0, 1, bins + 1),
        "confidence": mean(confidence),
        "accuracy": mean(hit.astype(np.float64)),
        "count": count,
    }
    spread = np.sqrt(total((confidence * (1 - confidence)).clip(0)))
    parts = {
        "floor": float(math.sqrt(2 / math.pi) * spread.sum() / len(table)),
        "largest": float(np.nanmax(np.abs(matrices["accuracy"] - matrices["confidence"]))),
        "overconfidence": float(confidence.mean() - hit.mean()),
    }
    error = jackknife_error(gap, len(table), seed)
    figure = Figure(
        gap(np.ones(len(table))),
        error,
        len(table),
        f"expected calibration error, {bins} bins",
        caution=if_unknown(error),
    )
    return Score(figure, parts, matrices)
