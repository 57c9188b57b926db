"""Why a posterior is learned as (μ, log σ²) and not as (μ, σ): descent in both, on a model with a known optimum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.figures.latents import number

X, NOISE = 1.0, 0.3  # x|z ~ N(z, NOISE²), z ~ N(0, 1), and what was seen
START = (-1.0, 0.1)  # (μ, σ)
STEPS = 120
PRECISION = 1 + 1 / NOISE**2  # of the true posterior


class Descent(NamedTuple):
    """Gradient descent on the negative ELBO.

    Attributes:
        rate: the learning rate.
        by_sigma: (μ, σ) after each step, ``[T, 2]``; it ends where σ is 0 or less, or where it flies off.
        by_log_variance: (μ, log σ²), ``[STEPS + 1, 2]``.
        optimum: (μ, σ) of the true posterior.
    """

    rate: float
    by_sigma: Array
    by_log_variance: Array
    optimum: tuple[float, float]


def loss(mu: Any, variance: Any) -> Any:
    """The negative ELBO of N(μ, σ²) without its constants, nats."""
    return 0.5 * (np.square((X - mu) / NOISE) + np.square(mu) + variance * PRECISION - 1 - np.log(variance))


def slope_sigma(sigma: Any) -> Any:
    """d loss/dσ = σ (1 + 1/noise²) - 1/σ."""
    return PRECISION * sigma - 1 / sigma


def slope_log_variance(log_variance: Any) -> Any:
    """d loss/d log σ² = ½ (σ² (1 + 1/noise²) - 1)."""
    return 0.5 * (PRECISION * np.exp(log_variance) - 1)


def descend(rate: float) -> Descent:
    """Descent from `START` in both parameterisations."""
    slope_mu = lambda mu: PRECISION * mu - X / NOISE**2
    by_sigma, by_log = [START], [(START[0], 2 * float(np.log(START[1])))]
    for _ in range(STEPS):
        mu, sigma = by_sigma[-1]
        if 0 < sigma < 1e6 and abs(mu) < 1e6:
            by_sigma.append((mu - rate * slope_mu(mu), sigma - rate * slope_sigma(sigma)))
        mu, log_variance = by_log[-1]
        if abs(log_variance) < 50 and abs(mu) < 1e6:
            by_log.append((mu - rate * slope_mu(mu), log_variance - rate * slope_log_variance(log_variance)))
    optimum = (X / NOISE**2 / PRECISION, PRECISION**-0.5)
    return Descent(rate, np.array(by_sigma), np.array(by_log), optimum)


def tell_descent(descent: Descent) -> list[str]:
    """What the two parameterisations do, in sentences."""
    n = lambda value: number(value, 3)
    told = [
        "Why log σ²: it may be any number, so a network's output needs no bound, and the KL to N(0, 1) has the slope "
        "½ (σ² − 1) in it, never below −½, where in σ it is σ − 1/σ: at σ = 0.1 that is −0.495 against −9.9, at "
        "σ = 0.01 −0.5 against −99.99.",
    ]
    sigmas = descent.by_sigma[:, 1]
    first = ", ".join(n(s) for s in sigmas[:4])
    fate = (
        "which is no standard deviation, and its logarithm no number"
        if sigmas[-1] <= 0
        else "and it stays above 0 at this rate"
    )
    told.append(
        f"Descent at rate {descent.rate:g} on a model whose posterior has σ = {n(descent.optimum[1])}, from σ = "
        f"{n(START[1])}: in σ it goes {first}{', …' if len(sigmas) > 4 else ''}, {fate}."
    )
    end = descent.by_log_variance[-1]
    told.append(
        f"In log σ² the same rate leads to μ = {n(end[0])}, σ = {n(float(np.exp(0.5 * end[1])))} in {STEPS} steps "
        f"(optimum μ = {n(descent.optimum[0])}, σ = {n(descent.optimum[1])})."
        if len(descent.by_log_variance) > STEPS and abs(end[0]) < 1e3
        else "In log σ² σ stays above 0 too; that μ flies off is the rate's doing, and the same in both."
    )
    told.append(
        f"At the optimum the curvature is ½ in log σ², however narrow the posterior; in σ it is 2/σ² = "
        f"{2 * PRECISION:.1f} here, so that σ only settles at rates below σ² = {1 / PRECISION:.3f}."
    )
    return told
