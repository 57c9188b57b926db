"""The evidence lower bound on a model small enough to integrate: one latent unit, one observed number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.figures.explain import elbo as drawn
from zatlas.figures.latents import number
from zatlas.figures.view import View, arrays

GROUPS = (1, 4, 16, 64, 256)  # draws in one importance-weighted bound
LOG_2PI = float(np.log(2 * np.pi))
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)  # exact here: log p(x|z) is a polynomial of degree 4
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Model(NamedTuple):
    """z ~ N(0, 1), x|z ~ N(f(z), noise²) with f(z) = ½ z (z + 1), and the x that was seen."""

    x: float
    noise: float

    def log_likelihood(self, z: Any) -> Any:
        """log p(x|z), nats."""
        return -0.5 * (LOG_2PI + np.square((self.x - mean_of(z)) / self.noise)) - np.log(self.noise)

    def log_joint(self, z: Any) -> Any:
        """log p(x, z), nats."""
        return self.log_likelihood(z) - 0.5 * (LOG_2PI + np.square(z))

    def grid(self, mu: float = 0.0, sigma: float = 1.0) -> Array:
        """Even places z that cover the posterior and N(μ, σ²), and miss no bend of either."""
        far = 9 + np.sqrt(2 * abs(self.x))
        reach = max(far, abs(mu) + 10 * sigma)
        step = min(self.noise / (3 * far), sigma / 4)
        return np.linspace(-reach, reach, 2 * int(np.ceil(reach / step)) + 1)

    def log_evidence(self) -> float:
        """log p(x) = log ∫ p(x, z) dz by the trapezoidal rule, nats."""
        z = self.grid()
        return _log_sum(self.log_joint(z)) + float(np.log(z[1] - z[0]))


class Parts(NamedTuple):
    """What a q = N(μ, σ²) comes to, nats: log p(x) = reconstruction - rate + gap."""

    mu: float
    sigma: float
    reconstruction: float
    rate: float
    gap: float

    @property
    def elbo(self) -> float:
        return self.reconstruction - self.rate


def elbo(*, x: float = 1.0, noise: float = 0.5, mu: float = -1.0, sigma: float = 0.6, seed: int = 0) -> View:
    r"""ELBO, KL to the true posterior and log p(x), all by quadrature, for a q of yours and for the best one.

    .. math:: \log p(x) = \underbrace{E_q \log p(x|z) - KL(q(z) \| p(z))}_{ELBO} + KL(q(z) \| p(z|x))

    Kingma and Welling 2014, equations 1 to 3; the bounds in between: Burda et al. 2016, theorem 1.

    Args:
        x: what was seen.
        noise: standard deviation of x given z.
        mu: mean of your q.
        sigma: its standard deviation.
        seed: of the draws of the importance-weighted bounds.

    Returns:
        z, prior, posterior, q, best ``[G]`` as densities; samples ``[5]`` with iwae and iwae_error ``[2, 5]`` of your q
        and of the best; mus ``[M]``, log_sigmas ``[S]`` and the ELBO over them as map ``[S, M]``, nats.

    Raises:
        UsageError: a number that cannot be, or that no grid can hold.
    """
    _check(x, noise, mu, sigma)
    model = Model(x, noise)
    evidence = model.log_evidence()
    yours = parts_of(model, mu, sigma, evidence)
    mus, log_sigmas = np.linspace(-4, 4, 121), np.linspace(-3.5, 1.0, 91)
    over = expected(model, mus, np.exp(log_sigmas)[:, None])
    tops = [parts_of(model, *top, evidence) for top in _tops(model, mus, log_sigmas, over)]
    best = tops[0]
    rng = np.random.default_rng(seed)
    bounds = np.array([importance_weighted(model, q.mu, q.sigma, rng) for q in (yours, best)])
    z = np.linspace(-4, 4, 801)
    prior, posterior = np.exp(-0.5 * (z**2 + LOG_2PI)), np.exp(model.log_joint(z) - evidence)
    ours, fit = (_normal(z, q.mu, q.sigma) for q in (yours, best))
    return View(
        arrays(
            z=z, prior=prior, posterior=posterior, q=ours, best=fit, samples=GROUPS, iwae=bounds[:, 0],
            iwae_error=bounds[:, 1], mus=mus, log_sigmas=log_sigmas, map=over,
        ),
        drawn.elbo(
            drawn.World(z, mean_of(z), x, noise, prior, posterior, evidence),
            [drawn.Candidate("your q", ours, *yours, *bounds[0]), drawn.Candidate("best q", fit, *best, *bounds[1])],
            GROUPS,
            (mus, log_sigmas, over),
        ),
        "A model with one latent unit: its posterior and two Gaussians, log p(x) as ELBO and KL, the ELBO as q moves.",
        tuple(_tell(model, evidence, yours, tops, bounds)),
        {
            "log_px_nats": evidence,
            "q": {**yours._asdict(), "elbo": yours.elbo},
            "best": {**best._asdict(), "elbo": best.elbo},
            "iwae": [{"samples": k, "q": float(a), "best": float(b)}
                     for k, a, b in zip(GROUPS, *bounds[:, 0], strict=True)],
        },
    )  # fmt: skip


def mean_of(z: Any) -> Any:
    """f(z), the mean of x given z."""
    return 0.5 * z * (z + 1)


def expected(model: Model, mu: Any, sigma: Any) -> Any:
    """ELBO of N(μ, σ²) in nats, for any shapes that broadcast."""
    mu, sigma = np.broadcast_arrays(mu, sigma)
    return _reconstruction(model, mu, sigma) - _rate(mu, sigma)


def parts_of(model: Model, mu: float, sigma: float, evidence: float) -> Parts:
    """The terms of q = N(μ, σ²); the gap by its own integral, not as a difference."""
    z = model.grid(mu, sigma)
    log_q = -0.5 * (LOG_2PI + np.square((z - mu) / sigma)) - np.log(sigma)
    gap = float((np.exp(log_q) * (log_q - (model.log_joint(z) - evidence))).sum() * (z[1] - z[0]))
    reconstruction = float(_reconstruction(model, np.array(mu), np.array(sigma)))
    return Parts(mu, sigma, reconstruction, float(_rate(mu, sigma)), gap)


def importance_weighted(model: Model, mu: float, sigma: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """E log (1/k) Σ p(x, z_i) / q(z_i) for each k of `GROUPS`, and its standard error, ``[5]`` each, nats.

    All bounds take the same draws, grouped: so that they rise with k as they do in expectation.
    """
    noise = rng.standard_normal(2**18)
    log_weights = model.log_joint(mu + sigma * noise) + 0.5 * (LOG_2PI + noise**2) + np.log(sigma)
    values, errors = [], []
    for k in GROUPS:
        grouped = log_weights.reshape(-1, k)
        top = grouped.max(1)
        bound = top + np.log(np.exp(grouped - top[:, None]).mean(1))
        values.append(bound.mean())
        errors.append(bound.std(ddof=1) / np.sqrt(len(bound)))
    return np.array(values), np.array(errors)


def _reconstruction(model: Model, mu: Array, sigma: Array) -> Array:
    return np.asarray(model.log_likelihood(mu[..., None] + sigma[..., None] * _NODES) @ _WEIGHTS)


def _rate(mu: Any, sigma: Any) -> Any:
    return 0.5 * (np.square(mu) + np.square(sigma) - 1) - np.log(sigma)


def _normal(z: Array, mu: float, sigma: float) -> Array:
    return np.exp(-0.5 * np.square((z - mu) / sigma)) / (sigma * np.sqrt(2 * np.pi))


def _log_sum(values: Array) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).sum()))


def _tops(model: Model, mus: Array, log_sigmas: Array, over: Array) -> list[tuple[float, float]]:
    """(μ, σ) of the local maxima of the ELBO, the highest first."""
    from scipy.optimize import minimize

    inner = over[1:-1, 1:-1]
    around = [np.roll(over, (i, j), (0, 1))[1:-1, 1:-1] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    places = np.argwhere(np.all([inner >= other for other in around], axis=0)) + 1
    if not len(places):  # the best lies beyond the map
        places = np.array([np.unravel_index(over.argmax(), over.shape)])
    cost = lambda at: -float(expected(model, at[0], np.exp(at[1])))
    found = [minimize(cost, [mus[j], log_sigmas[i]], method="BFGS", options={"gtol": 1e-7}) for i, j in places]
    return [(float(fit.x[0]), float(np.exp(fit.x[1]))) for fit in sorted(found, key=lambda fit: fit.fun)]


def _check(x: float, noise: float, mu: float, sigma: float) -> None:
    for name, value, low, high in (
        ("x", x, -100, 100), ("noise", noise, 0.01, 100), ("mu", mu, -20, 20), ("sigma", sigma, 0.001, 10),
    ):  # fmt: skip
        if not low <= value <= high:
            raise UsageError(f"{name} {value:g} cannot be integrated on a grid here: give {low:g} to {high:g}.")


def _tell(model: Model, evidence: float, yours: Parts, tops: list[Parts], bounds: Array) -> list[str]:
    n = lambda value: number(value, 4)
    told = [f"z ~ N(0, 1), x|z ~ N(f(z), {model.noise:g}²) with f(z) = ½ z (z + 1), and seen was x = {n(model.x)}."]
    inside = 1 + 8 * model.x
    if inside > 0:
        low, high = ((-1 + sign * np.sqrt(inside)) / 2 for sign in (-1, 1))
        told.append(
            f"Two codes explain it, z = {n(high)} and z = {n(low)}; the prior likes the one nearer to 0 better."
        )
    told.append(
        f"log p(x) = log ∫ p(x|z) p(z) dz = {n(evidence)} nats: an integral over one unit, and out of reach over many."
    )
    for name, q in (("Your", yours), ("The best", tops[0])):
        told.append(
            f"{name} q = N({n(q.mu)}, {n(q.sigma)}²): ELBO = E_q log p(x|z) − KL(q‖p(z)) = {n(q.reconstruction)} − "
            f"{n(q.rate)} = {n(q.elbo)}; KL(q‖p(z|x)) = {n(q.gap)}; together {n(q.elbo + q.gap)}, which is log p(x)."
        )
    told.append(
        f"log p(x) does not depend on q: to raise the ELBO over q is to lower KL(q‖p(z|x)). The best Gaussian leaves "
        f"{n(tops[0].gap)} nats, since the posterior is none."
    )
    if len(tops) > 1:
        told.append(
            f"At μ = {n(tops[1].mu)}, σ = {n(tops[1].sigma)} the ELBO has another top, {n(tops[1].elbo)} nats: where "
            "the ascent begins decides which code is found."
        )
    climbing = ", ".join(f"{n(value)} (k = {k})" for k, value in zip(GROUPS, bounds[0, 0], strict=True))
    told.append(
        f"With k draws, weighed by p(x, z)/q(z), the bound climbs from the ELBO to log p(x); for yours: {climbing}."
    )
    if bounds[0, 0, -1] > bounds[1, 0, -1]:
        told.append(
            "With many draws yours is above the best: the ELBO rewards a q that keeps to one bump, and draws that "
            "never see the other cannot count it."
        )
    return told
