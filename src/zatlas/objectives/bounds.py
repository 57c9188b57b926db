"""Pure functions of an inference and the x it was made from, in nats per example."""

from __future__ import annotations

import torch
from torch import Tensor

from zatlas.distributions import closed_kl, stopped
from zatlas.types import Inference, Level


def distortion(inference: Inference, x: Tensor) -> Tensor:
    """-log p(x|z), ``[K, B]``: what is lost between x and its reconstruction."""
    return -inference.px.log_prob(x)


def rate(inference: Inference) -> Tensor:
    """Sum over levels of KL(q(z|x) || p(z)), ``[B]``: what the code costs.

    In closed form where there is one, else the mean of log q(z|x) - log p(z) over the K draws.
    """
    first, *rest = (level_rate(level) for level in inference.levels)
    return sum(rest, start=first)


def level_rate(level: Level) -> Tensor:
    """KL(q || p) of one level, ``[B]``; a level below another has a q for each of the K draws above it."""
    kl = closed_kl(level.q, level.p)
    if kl is None:
        kl = level.q.log_prob(level.z) - level.p.log_prob(level.z)
    return kl.mean(0) if kl.dim() > 1 else kl


def path_rate(inference: Inference) -> Tensor:
    """log q(z|x) - log p(z) at the draws, ``[B]``, with a gradient through z alone (Roeder et al. 2017, equation 8)."""
    levels = inference.levels
    terms = [stopped(level.q).log_prob(level.z) - level.p.log_prob(level.z) for level in levels]
    return torch.stack([term.mean(0) for term in terms]).sum(0)


def negative_elbo(inference: Inference, x: Tensor) -> Tensor:
    """The negative evidence lower bound ``[B]``: mean distortion over the K draws, plus the rate."""
    return distortion(inference, x).mean(0) + rate(inference)


def log_weights(inference: Inference, x: Tensor) -> Tensor:
    """log p(x|z) p(z) / q(z|x) of every draw, ``[K, B]`` (Burda et al. 2016)."""
    total = inference.px.log_prob(x)
    for level in inference.levels:
        total = total + level.p.log_prob(level.z) - level.q.log_prob(level.z)
    return total


def importance_bound(inference: Inference, x: Tensor) -> Tensor:
    """The importance-weighted bound log 1/K sum_k w_k, ``[B]``; at K = 1 an estimate of the ELBO."""
    weights = log_weights(inference, x)
    return torch.logsumexp(weights, 0) - torch.log(torch.tensor(float(len(weights)), device=weights.device))
