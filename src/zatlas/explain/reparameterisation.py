"""The gradient of an expectation by two estimators, and the parameters in which a Gaussian is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.explain.log_variance import Descent, descend, loss, tell_descent
from zatlas.figures.explain import reparameterisation as drawn
from zatlas.figures.latents import number
from zatlas.figures.view import View, arrays

TARGET = 2.0  # f(z) = (z - TARGET)²: its gradients are known, and so are their variances
ESTIMATORS = ("score function", "with baseline", "reparameterised")
PARAMETERS = ("μ", "log σ²")
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)  # exact here: squares of the estimators are polynomials
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def reparameterisation(
    *, mu: float = 0.0, sigma: float = 1.0, draws: int = 20_000, rate: float = 0.1, seed: int = 0
) -> View:
    r"""The gradient of E_q f(z), q = N(μ, σ²), by the score function and by z = μ + σ ε; and why (μ, log σ²).

    .. math:: \nabla_\theta E_q f(z) = E_q\, (f(z) - b) \nabla_\theta \log q(z)
              = E_\varepsilon\, f'(\mu + \sigma \varepsilon)\, \nabla_\theta (\mu + \sigma \varepsilon)

    Here f(z) = (z - 2)² and b = E f(z). Williams 1992; Kingma and Welling 2014, section 2.4.

    Args:
        mu: μ of q.
        sigma: σ of q.
        draws: of each estimate.
        rate: learning rate of the descent that is drawn.
        seed: of the draws.

    Returns:
        gradients ``[3, 2, draws]`` of single draws (estimator; μ and log σ²), exact ``[2]``, variance ``[3, 2]`` of a
        single draw; sigmas ``[S]`` and variances ``[3, 2, S]`` there; path_sigma and path_log_variance ``[T, 2]``.

    Raises:
        UsageError: a number that cannot be.
    """
    for name, value, low, high in (
        ("mu", mu, -1e6, 1e6), ("sigma", sigma, 1e-3, 1e3), ("draws", draws, 2, 1e7), ("the rate", rate, 1e-6, 10),
    ):  # fmt: skip
        if not low <= value <= high:
            raise UsageError(f"{name} {value:g} cannot be shown: give {low:,g} to {high:,g}.")
    noise = np.random.default_rng(seed).standard_normal(draws)
    single = gradients(mu, sigma, noise)
    exact, variance = moments(mu, sigma)
    sigmas = np.geomspace(0.05, 4, 121)
    variances = np.stack([moments(mu, s)[1] for s in sigmas], axis=-1)
    mean, error = single.mean(-1), single.std(-1, ddof=1) / np.sqrt(draws)
    descent = descend(rate)
    return View(
        arrays(
            gradients=single, exact=exact, variance=variance, sigmas=sigmas, variances=variances,
            path_sigma=descent.by_sigma, path_log_variance=descent.by_log_variance,
        ),
        drawn.reparameterisation(single, exact, (sigmas, variances, sigma), ESTIMATORS, descent, loss),
        "Gradients by the score function and by reparameterisation: their spread and their variance over σ; and "
        "descent in (μ, σ) and in (μ, log σ²).",
        (*_tell(mu, sigma, exact, mean, error, variance, draws), *tell_descent(descent)),
        _facts(exact, mean, error, variance, descent, draws),
    )  # fmt: skip


def gradients(mu: float, sigma: float, noise: Array) -> Array:
    """The gradient by each draw ε ``[N]``, ``[3, 2, N]``: three estimators, for μ and for log σ²."""
    z = mu + sigma * noise
    value, slope = (z - TARGET) ** 2, 2 * (z - TARGET)
    score = np.stack([noise / sigma, 0.5 * (noise**2 - 1)])
    baseline = (mu - TARGET) ** 2 + sigma**2
    way = np.stack([np.ones_like(noise), 0.5 * sigma * noise])
    return np.stack([value * score, (value - baseline) * score, slope * way])


def moments(mu: float, sigma: float) -> tuple[Array, Array]:
    """The exact gradient ``[2]``, and the variance of a single draw of each estimator ``[3, 2]``, by quadrature."""
    at_nodes = gradients(mu, sigma, _NODES)
    mean = at_nodes @ _WEIGHTS
    return mean[-1], np.square(at_nodes - mean[..., None]) @ _WEIGHTS


def _tell(mu: float, sigma: float, exact: Array, mean: Array, error: Array, variance: Array, draws: int) -> list[str]:
    n = lambda value: number(value, 4)
    told = [
        f"q = N({n(mu)}, {n(sigma)}²), f(z) = (z − {TARGET:g})²: E f = (μ − {TARGET:g})² + σ², so the gradient is "
        f"2 (μ − {TARGET:g}) = {n(exact[0])} in μ and σ² = {n(exact[1])} in log σ².",
        "Score function: E f(z) ∇log q(z), of f's values alone; a baseline subtracts E f, which changes no mean since "
        "E ∇log q = 0. Reparameterised: z = μ + σ ε, so E f′(z) ∇(μ + σ ε), along f's slope.",
    ]
    far = float(np.abs((mean - exact) / error).max())
    told.append(
        f"All three agree with the exact gradient within {far:.1f} standard errors over {draws:,} draws: they "
        "differ in spread."
    )
    for i, name in enumerate(PARAMETERS):
        told.append(
            f"In {name} a single draw has variance {variance[0, i]:.4g} by the score function, {variance[1, i]:.4g} "
            f"with the baseline and {variance[2, i]:.4g} reparameterised: the score function wants "
            f"{variance[0, i] / variance[2, i]:,.1f} times as many draws ({variance[1, i] / variance[2, i]:,.1f} with "
            "the baseline)."
        )
    narrow = moments(mu, 0.1)[1]
    told.append(
        f"It is worse for a narrow q: at σ = 0.1 the factor in μ is {narrow[0, 0] / narrow[2, 0]:,.0f}, since the "
        "score grows as 1/σ while the slope does not."
    )
    return told


def _facts(exact: Array, mean: Array, error: Array, variance: Array, descent: Descent, draws: int) -> dict[str, Any]:
    rows = [
        {
            "parameter": parameter, "estimator": estimator, "exact": float(exact[p]), "mean": float(mean[e, p]),
            "standard_error": float(error[e, p]), "count": draws, "variance": float(variance[e, p]),
            "factor": float(variance[e, p] / variance[2, p]),
        }
        for p, parameter in enumerate(PARAMETERS)
        for e, estimator in enumerate(ESTIMATORS)
    ]  # fmt: skip
    return {
        "gradients": rows,
        "descent": {
            "learning_rate": descent.rate,
            "optimum": {"mu": descent.optimum[0], "sigma": descent.optimum[1]},
            "lowest_sigma": float(descent.by_sigma[:, 1].min()),
            "sigma_stays_positive": bool((descent.by_sigma[:, 1] > 0).all()),
            "last_by_log_variance": {
                "mu": float(descent.by_log_variance[-1, 0]),
                "sigma": float(np.exp(0.5 * descent.by_log_variance[-1, 1])),
            },
        },
    }
