"""KL between Gaussians: the general formula, what the diagonal one leaves out, and a Monte Carlo check of both."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.figures.explain import kl as drawn
from zatlas.figures.view import View, arrays


class Gaussian(NamedTuple):
    """N(mean, covariance): ``[D]`` and ``[D, D]``."""

    mean: Array
    covariance: Array

    @property
    def tril(self) -> Array:
        """L with covariance = L Lᵀ."""
        return np.linalg.cholesky(self.covariance)

    def log_prob(self, x: Array) -> Array:
        """log density of ``[N, D]``, ``[N]`` nats."""
        white = np.linalg.solve(self.tril, (x - self.mean).T)
        return -0.5 * (white**2).sum(0) - np.log(np.diag(self.tril)).sum() - 0.5 * len(self.mean) * np.log(2 * np.pi)


class Parts(NamedTuple):
    """2 KL = trace + distance - dimensions + log_determinants."""

    trace: float
    distance: float
    dimensions: int
    log_determinants: float

    @property
    def kl(self) -> float:
        """Nats."""
        return 0.5 * (self.trace + self.distance - self.dimensions + self.log_determinants)


def gaussian_kl(
    mean1: npt.ArrayLike,
    cov1: npt.ArrayLike,
    mean2: npt.ArrayLike | None = None,
    cov2: npt.ArrayLike | None = None,
    *,
    draws: int = 100_000,
    seed: int = 0,
) -> View:
    r"""KL(N(μ₁, Σ₁)‖N(μ₂, Σ₂)) for any covariances, beside its diagonal simplification and a Monte Carlo estimate.

    .. math:: \tfrac12 \Big(\operatorname{tr}(\Sigma_2^{-1} \Sigma_1) + (\mu_2 - \mu_1)^T \Sigma_2^{-1} (\mu_2 - \mu_1)
              - D + \log \frac{|\Sigma_2|}{|\Sigma_1|}\Big)

    Rasmussen and Williams 2006, Gaussian processes for machine learning, equation A.23.

    Args:
        mean1: μ₁, ``[D]``.
        cov1: Σ₁, ``[D, D]``, symmetric and positive definite.
        mean2: μ₂; zeros when None.
        cov2: Σ₂; the identity when None.
        draws: of the estimate, from the first.
        seed: of the draws.

    Returns:
        means ``[2, D]``, covariances ``[2, D, D]``, draws ``[T]`` with the running estimate and its standard_error
        ``[T]`` in nats.

    Raises:
        UsageError: shapes that do not fit, or a covariance that is none.
    """
    if draws < 2:
        raise UsageError(f"{draws} draws have no standard error: give 2 or more.")
    one = _gaussian("1", mean1, cov1)
    dims = len(one.mean)
    two = _gaussian("2", np.zeros(dims) if mean2 is None else mean2, np.eye(dims) if cov2 is None else cov2)
    if len(two.mean) != dims:
        raise UsageError(f"the first Gaussian has {dims} dimensions and the second {len(two.mean)}: give as many.")
    parts, back = parts_of(one, two), parts_of(two, one).kl
    simple = parts_of(_diagonal(one), _diagonal(two)).kl
    standard = bool((two.mean == 0).all() and (two.covariance == np.eye(dims)).all())
    x = one.mean + np.random.default_rng(seed).standard_normal((draws, dims)) @ one.tril.T
    ratio = one.log_prob(x) - two.log_prob(x)
    error = float(ratio.std(ddof=1) / np.sqrt(draws))
    estimate = float(ratio.mean())
    z = (estimate - parts.kl) / error if error > 1e-12 else 0.0
    counts = np.unique(np.geomspace(min(10, draws), draws, 120).astype(int))
    running, running_error = _running(ratio, counts)
    levels = [("general", parts.kl), *([("diagonal", simple)] if abs(simple - parts.kl) > 1e-9 else [])]
    return View(
        arrays(
            means=[one.mean, two.mean],
            covariances=[one.covariance, two.covariance],
            draws=counts, estimate=running, standard_error=running_error,
        ),
        drawn.gaussian(
            (one.mean, two.mean), (one.covariance, two.covariance), (counts, running, running_error), levels
        ),
        f"Two Gaussians in {dims} dimensions, and the Monte Carlo estimate of their divergence over the draws.",
        (
            *_tell(parts, simple, two),
            f"Monte Carlo: the mean of log p₁(x) − log p₂(x) over {draws:,} draws of 1 is {estimate:.4f} ± "
            f"{error:.4f} nats, {abs(z):.1f} standard errors from the formula.",
            f"The other way, KL(2‖1) = {back:.4f} nats.",
        ),
        {
            "kl_nats": parts.kl,
            "reverse_kl_nats": back,
            "diagonal_nats": simple,
            "standard_normal": standard,
            "parts": parts._asdict(),
            "monte_carlo": {"value": estimate, "standard_error": error, "count": draws, "z": z},
        },
    )  # fmt: skip


def parts_of(one: Gaussian, two: Gaussian) -> Parts:
    """What the general formula adds up."""
    spread = np.linalg.solve(two.tril, one.tril)
    way = np.linalg.solve(two.tril, two.mean - one.mean)
    log_determinants = 2 * float(np.log(np.diag(two.tril)).sum() - np.log(np.diag(one.tril)).sum())
    return Parts(float((spread**2).sum()), float((way**2).sum()), len(one.mean), log_determinants)


def _diagonal(gaussian: Gaussian) -> Gaussian:
    return Gaussian(gaussian.mean, np.diag(np.diag(gaussian.covariance)))


def _gaussian(name: str, mean: npt.ArrayLike, covariance: npt.ArrayLike) -> Gaussian:
    centre, spread = np.asarray(mean, float), np.asarray(covariance, float)
    dims = len(centre) if centre.ndim == 1 else 0
    if not dims or spread.shape != (dims, dims):
        raise UsageError(
            f"mean {name} of shape {centre.shape} and covariance {name} of shape {spread.shape} do not fit: give D "
            "numbers, and D rows of D numbers."
        )
    if not (np.isfinite(centre).all() and np.isfinite(spread).all()):
        raise UsageError(f"mean {name} or covariance {name} holds NaN or infinity: give numbers.")
    if np.abs(spread - spread.T).max() > 1e-9 * np.abs(spread).max():
        raise UsageError(f"covariance {name} is not symmetric: entry i, j must equal entry j, i.")
    lowest = float(np.linalg.eigvalsh(spread)[0])
    if lowest <= 1e-12 * float(np.abs(spread).max()):
        raise UsageError(
            f"covariance {name} is not positive definite: its lowest eigenvalue is {lowest:.3g}, and along no "
            "direction may a variance be 0 or less; make the entries off its diagonal smaller."
        )
    return Gaussian(centre, spread)


def _running(values: Array, counts: Array) -> tuple[Array, Array]:
    """Mean and standard error of the first so many values."""
    mean = values.cumsum()[counts - 1] / counts
    centred = values - values.mean()  # against cancellation
    variance = (np.square(centred).cumsum() - centred.cumsum() ** 2 / np.arange(1, len(values) + 1))[counts - 1]
    return mean, np.sqrt(variance.clip(0) / np.maximum(counts - 1, 1) / counts)


def _tell(parts: Parts, simple: float, two: Gaussian) -> list[str]:
    signed = "".join(f" {'−' if v < 0 else '+'} {abs(v):.4f}" for v in (parts.distance, -parts.dimensions))
    last = f"{'−' if parts.log_determinants < 0 else '+'} {abs(parts.log_determinants):.4f}"
    told = [
        "KL(1‖2) = ½ (tr(Σ₂⁻¹Σ₁) + (μ₂ − μ₁)ᵀΣ₂⁻¹(μ₂ − μ₁) − D + log |Σ₂|/|Σ₁|) = "
        f"½ ({parts.trace:.4f}{signed} {last}) = {parts.kl:.4f} nats."
    ]
    formula = "½ Σ_d (σ₁²/σ₂² + (μ₁ − μ₂)²/σ₂² − 1 − log σ₁²/σ₂²)"
    if abs(simple - parts.kl) < 1e-9:
        told.append(f"With diagonal covariances it is {formula}, the same here: {simple:.4f} nats.")
    else:
        why = (
            "the rest is what the units of 1 know about one another (its total correlation)"
            if (two.covariance == np.diag(np.diag(two.covariance))).all()
            else "it does not see the correlations"
        )
        told.append(
            f"The diagonal simplification {formula} gives {simple:.4f} nats, {abs(parts.kl - simple):.4f} "
            f"{'less' if simple < parts.kl else 'more'}: {why}."
        )
    if (two.mean == 0).all() and (two.covariance == np.eye(len(two.mean))).all():
        told.append(
            "Against N(0, I) it is ½ (tr Σ₁ + |μ₁|² − D − log |Σ₁|), for a diagonal Σ₁ ½ Σ_d (σ² + μ² − 1 − log σ²): "
            "the rate of a VAE."
        )
    return told
