"""Classification by Bayes' rule, from a model of the examples of each class."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.codes.calibration import BINS, calibration_error, check_table
from zatlas.evaluation.disentanglement.score import Score, binomial_error
from zatlas.evaluation.figure import Figure


def log_posterior(log_joint: Array, temperature: float = 1.0) -> Array:
    """log p(y|x) from log p(x, y) up to a constant of x, each divided by the temperature, ``[N, Y]``, in nats."""
    scaled = np.asarray(log_joint, np.float64) / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


def fit_temperature(log_joint: Array, labels: Array) -> float:
    """The temperature of least log loss (Guo et al. 2017, section 4.2), between e^-10 and e^10.

    Fit it on rows that are not the test's: Bayes' rule over hundreds of pixels is far too sure, for no model has all
    their correlations.

    Args:
        log_joint: log p(x, y) up to a constant of x, ``[N, Y]``, in nats.
        labels: class numbers ``[N]``.

    Raises:
        UsageError: no table, NaN, or labels of other rows.
    """
    from scipy.optimize import minimize_scalar

    table, labels = check_table(log_joint, labels, "the log joint probabilities")
    loss = lambda log_t: -log_posterior(table, math.exp(log_t))[np.arange(len(table)), labels].mean()
    return math.exp(minimize_scalar(loss, bounds=(-10, 10), method="bounded").x)  # unimodal: convex in 1 / T


def bayes_rule(
    log_joint: Array, labels: Array, *, temperature: float = 1.0, bins: int = BINS, seed: int = 0
) -> dict[str, Score]:
    r"""How well p(y|x) = p(x|y) p(y) / sum_y' p(x|y') p(y') classifies.

    Args:
        log_joint: log p(x|y) + log p(y) up to a constant of x, ``[N, Y]``, in nats; bounds and estimates will do.
        labels: class numbers ``[N]``.
        temperature: that the log joint is divided by; ``fit_temperature`` of other rows.
        bins: of the calibration error.
        seed: of its bootstrap.

    Returns:
        ``accuracy``; ``log_loss``, the mean -log p(y|x) in nats; ``calibration_error`` with its reliability table.

    Raises:
        UsageError: no table, NaN, or labels of other rows.
    """
    table, labels = check_table(log_joint, labels, "the log joint probabilities")
    log_p = log_posterior(table, temperature)
    count = len(table)
    warm = "" if temperature == 1 else f", temperature {temperature:.3g}"
    hits = float((log_p.argmax(axis=1) == labels).mean())
    losses = -log_p[np.arange(count), labels]
    error = float(losses.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    return {
        "accuracy": Score(
            Figure(hits, binomial_error(hits, count), count, "accuracy of Bayes' rule", fixed="p(x|y) as estimated"),
            {},
            {},
        ),
        "log_loss": Score(
            Figure(float(losses.mean()), error, count, f"log loss of Bayes' rule{warm}", unit="nats"), {}, {}
        ),
        "calibration_error": calibration_error(np.exp(log_p), labels, bins=bins, seed=seed),
    }
