"""The Kullback-Leibler divergence: of discrete distributions, and how that of Gaussians grows with μ and σ."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.figures.explain import kl as drawn
from zatlas.figures.view import View, arrays

FEW = 6  # terms that a sentence can hold
SMALL, HUGE = (0.0, 0.5), (100.0, 0.1)  # the (μ, σ) that a lecture asks about


def discrete_kl(p: npt.ArrayLike, q: npt.ArrayLike, *, normalise: bool = False) -> View:
    r"""KL(P‖Q) and KL(Q‖P) of two discrete distributions, term by term.

    .. math:: KL(P \| Q) = \sum_i p_i \log \frac{p_i}{q_i}, \qquad 0 \log 0 = 0

    Kullback and Leibler 1951, On information and sufficiency.

    Args:
        p: probabilities ``[N]``.
        q: probabilities ``[N]`` of the same outcomes.
        normalise: whether to divide each by its sum.

    Returns:
        p, q, and the terms of both directions, forward and reverse ``[N]`` in nats; a term may be infinite.

    Raises:
        UsageError: what is given are no distributions over the same outcomes.
    """
    first, second = _distribution("P", p, normalise), _distribution("Q", q, normalise)
    if len(first) != len(second):
        raise UsageError(
            f"P has {len(first)} outcomes and Q {len(second)}: give both a probability for each, 0 where one has none."
        )
    forward, reverse = _terms(first, second), _terms(second, first)
    told = [*_tell("P", "Q", first, second, forward), *_tell("Q", "P", second, first, reverse)]
    both = float(forward.sum()), float(reverse.sum())
    if np.isfinite(both).all():
        told.append(
            "The two are not the same: each weighs log p/q by the distribution that it begins with."
            if abs(both[0] - both[1]) > 1e-9
            else "The two are the same here by coincidence; in general they differ."
        )
        told.append("Single terms may be negative, their sum never (Gibbs): it is 0 only where P and Q are the same.")
    return View(
        arrays(p=first, q=second, forward=forward, reverse=reverse),
        drawn.discrete(first, second, forward, reverse),
        f"Two distributions over {len(first)} outcomes, and the terms of KL(P‖Q) and of KL(Q‖P).",
        tuple(told),
        {
            "kl_pq_nats": _finite(both[0]),
            "kl_qp_nats": _finite(both[1]),
            "terms": [
                {"outcome": i + 1, "p": float(a), "q": float(b), "p_log_p_q": _finite(f), "q_log_q_p": _finite(r)}
                for i, (a, b, f, r) in enumerate(zip(first, second, forward, reverse, strict=True))
            ],
        },
    )


def kl_curves() -> View:
    r"""KL(N(μ, σ²)‖N(0, 1)) over μ, over σ and over both: what the code of a VAE costs.

    .. math:: \tfrac12 (\mu^2 + \sigma^2 - 1 - \log \sigma^2)

    Kingma and Welling 2014, appendix B.

    Returns:
        mu, over_mu ``[4, M]`` at sigmas ``[4]``; sigma, over_sigma ``[3, S]`` at mus ``[3]``; map ``[S, W]`` at sigma
        and wide_mu; nats.
    """
    mu, sigma = np.linspace(-4, 4, 161), np.geomspace(0.02, 5, 201)
    sigmas, mus = np.array([0.1, 0.5, 1.0, 2.0]), np.array([0.0, 1.0, 2.0])
    wide = np.concatenate([np.linspace(0, 1, 61)[:-1], np.geomspace(1, 200, 121)])
    over_mu = to_standard(mu, sigmas[:, None])
    over_sigma = to_standard(mus[:, None], sigma)
    both = to_standard(wide, sigma[:, None])
    small, huge = (float(to_standard(*at)) for at in (SMALL, HUGE))
    marks = [(*SMALL, f"{small:.3f} nats"), (*HUGE, f"{huge:,.1f} nats")]
    told = (
        f"μ = 0, σ = 0.5: ½ (0 + 0.25 − 1 + {-np.log(0.25):.3f}) = {small:.3f} nats: small.",
        f"μ = 100, σ = 0.1: ½ (10,000 + 0.01 − 1 + {-np.log(0.01):.3f}) = {huge:,.1f} nats: huge, and all but "
        f"{huge - 5000:.1f} of it is ½ μ².",
        "Over μ it is a parabola, whatever σ is: to leave the prior's mean costs the square of the way.",
        "Over σ it is lowest at 1; towards 0 it grows only as −log σ, each factor of 10 costs 2.303 nats; above 1 it "
        "grows as ½ σ².",
    )
    return View(
        arrays(
            mu=mu, sigmas=sigmas, over_mu=over_mu, sigma=sigma, mus=mus, over_sigma=over_sigma, wide_mu=wide, map=both
        ),
        drawn.curves((mu, sigmas, over_mu), (sigma, mus, over_sigma), (wide, sigma, both), marks),
        "KL(N(μ, σ²)‖N(0, 1)) over μ for four σ, over σ for three μ, and as a map over both.",
        told,
        {"cases": [{"mu": at[0], "sigma": at[1], "kl_nats": value} for at, value in ((SMALL, small), (HUGE, huge))]},
    )


def to_standard(mu: Any, sigma: Any) -> Any:
    """KL(N(μ, σ²)‖N(0, 1)) in nats."""
    return 0.5 * (np.square(mu) + np.square(sigma) - 1) - np.log(sigma)


def _distribution(name: str, values: npt.ArrayLike, normalise: bool) -> Array:
    given = np.asarray(values, float)
    if given.ndim != 1 or not len(given):
        raise UsageError(f"{name} is no list of probabilities: give one for each outcome, as 0.1,0.4,0.5.")
    if not np.isfinite(given).all() or (given < 0).any():
        wrong = given[~(given >= 0) | np.isinf(given)][0]
        raise UsageError(f"{name} holds {wrong:g}: a probability is a number from 0 to 1.")
    total = float(given.sum())
    if total == 0 or (not normalise and abs(total - 1) > 1e-6):
        mends = "give at least one above 0" if total == 0 else "mend it or ask for it to be normalised (--normalise)"
        raise UsageError(f"the probabilities of {name} sum to {total:g}, not to 1: {mends}.")
    return given / total


def _terms(p: Array, q: Array) -> Array:
    """p log p/q of each outcome, ``[N]``: 0 where p is, infinite where q alone is."""
    terms = np.zeros_like(p)
    here = p > 0
    with np.errstate(divide="ignore"):
        terms[here] = p[here] * (np.log(p[here]) - np.log(q[here]))
    return terms


def _tell(a: str, b: str, p: Array, q: Array, terms: Array) -> list[str]:
    lacking = np.flatnonzero(np.isinf(terms))
    if len(lacking):
        i = int(lacking[0])
        return [
            f"KL({a}‖{b}) is infinite: outcome {i + 1} has probability {p[i]:g} under {a} and 0 under {b}, so that a "
            f"single one of them rules {b} out."
        ]
    total = float(terms.sum())
    name = f"KL({a}‖{b}) = Σ {a.lower()} log({a.lower()}/{b.lower()})"
    if len(p) <= FEW:
        spelt = " + ".join(f"{x:g}·log({x:g}/{y:g})" if x else "0" for x, y in zip(p, q, strict=True))
        shown = "".join(f" {'−' if t < 0 else '+'} {abs(t):.3f}" for t in terms).removeprefix(" + ").strip()
        name += f" = {spelt} = {shown}"
    most = int(terms.argmax())
    blame = (
        f" Most of it comes of outcome {most + 1}, to which {a} gives {p[most]:.3g} and {b} {q[most]:.3g}."
        if total > 1e-9
        else ""
    )
    return [f"{name} = {total:.4f} nats ({total / np.log(2):.4f} bits).{blame}"]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
