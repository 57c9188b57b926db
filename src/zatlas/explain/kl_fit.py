"""One Gaussian for a mixture of two: what each direction of the divergence seeks."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.figures.explain import kl as drawn
from zatlas.figures.latents import number
from zatlas.figures.view import View, arrays

Pair = tuple[float, float]


def kl_fit(*, means: Pair = (-2.0, 2.0), sigmas: Pair = (0.6, 0.8), weight: float = 0.6) -> View:
    r"""The Gaussians q that minimise KL(p‖q) and KL(q‖p) for p = w N(m₁, s₁²) + (1 - w) N(m₂, s₂²).

    The first has p's own mean and variance (it covers the mass); the second is found by descent from each bump, and
    where the bumps lie apart each has a minimum of its own (it seeks a mode). Bishop 2006, section 10.1.2.

    Args:
        means: m₁ and m₂.
        sigmas: s₁ and s₂.
        weight: w.

    Returns:
        x ``[G]``, p ``[G]``; covering ``[2]`` and seeking ``[R, 2]`` as (μ, σ), the best of the latter first.

    Raises:
        UsageError: a weight outside (0, 1), or a standard deviation of 0 or less.
    """
    if not 0 < weight < 1 or min(sigmas) <= 0:
        raise UsageError("a mixture wants a weight between 0 and 1 and standard deviations above 0.")
    reach = 6 * max(sigmas)
    x = np.linspace(min(means) - reach, max(means) + reach, 4001)
    p = weight * normal(x, means[0], sigmas[0]) + (1 - weight) * normal(x, means[1], sigmas[1])
    shares = np.array([weight, 1 - weight])
    mean = float(shares @ means)
    covering = (mean, float(np.sqrt(shares @ (np.square(sigmas) + np.square(means)) - mean**2)))
    found = [_descend(x, p, start) for start in zip(means, sigmas, strict=True)]
    kept: list[Pair] = []
    for fit in sorted(found, key=lambda fit: kl(x, normal(x, *fit), p)):
        if not any(np.allclose(fit, other, atol=1e-3) for other in kept):
            kept.append(fit)
    forward = kl(x, p, normal(x, *covering))
    reverse = [kl(x, normal(x, *fit), p) for fit in kept]
    best = kept[0]
    told = [
        f"p = {weight:g} N({number(means[0])}, {sigmas[0]:g}²) + {1 - weight:g} N({number(means[1])}, {sigmas[1]:g}²) "
        "has two bumps, q only one.",
        f"KL(p‖q) is least where q has p's mean and variance, μ = {number(covering[0], 3)}, σ = {covering[1]:.3f} "
        f"({forward:.3f} nats): where p has mass q must not vanish, so q covers all, the empty middle too.",
        f"KL(q‖p) is least at μ = {number(best[0], 3)}, σ = {best[1]:.3f} ({reverse[0]:.3f} nats): where p vanishes q "
        "must too, so q keeps to one bump and loses the other"
        + (f"; on the other bump there is a minimum as well, {reverse[1]:.3f} nats." if len(kept) > 1 else "."),
        "Maximum likelihood minimises KL(data‖model); the ELBO minimises KL(q(z|x)‖p(z|x)): models smear, and "
        "posteriors come out too narrow.",
    ]
    name = lambda nats: f"{nats:.3f} nats"
    sides = [
        ("KL(p‖q): covers the mass", "q", [(normal(x, *covering), name(forward))]),
        ("KL(q‖p): seeks a mode", "q", [(normal(x, *f), name(v)) for f, v in zip(kept, reverse, strict=True)]),
    ]
    return View(
        arrays(x=x, p=p, covering=covering, seeking=kept),
        drawn.fits(x, p, sides),
        "A density of two bumps with the Gaussian nearest in KL(p‖q), which covers both, and those in KL(q‖p), which "
        "each keep to one.",
        tuple(told),
        {
            "covering": {"mu": covering[0], "sigma": covering[1], "kl_nats": forward},
            "seeking": [{"mu": f[0], "sigma": f[1], "kl_nats": v} for f, v in zip(kept, reverse, strict=True)],
        },
    )


def normal(x: Array, mu: float, sigma: float) -> Array:
    """The density of N(μ, σ²)."""
    return np.exp(-0.5 * np.square((x - mu) / sigma)) / (sigma * np.sqrt(2 * np.pi))


def kl(x: Array, p: Array, q: Array) -> float:
    """KL(p‖q) of densities on an even grid, nats; where both have vanished there is nothing to add."""
    tiny = np.finfo(float).tiny
    return float((p * (np.log(p.clip(tiny)) - np.log(q.clip(tiny)))).sum() * (x[1] - x[0]))


def _descend(x: Array, p: Array, start: Pair) -> Pair:
    """(μ, σ) of the minimum of KL(q‖p) below ``start``, over (μ, log σ)."""
    from scipy.optimize import minimize

    cost = lambda at: kl(x, normal(x, at[0], np.exp(at[1])), p)
    mu, log_sigma = minimize(cost, [start[0], np.log(start[1])], method="BFGS", options={"gtol": 1e-8}).x
    return float(mu), float(np.exp(log_sigma))
