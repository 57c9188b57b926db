"""Kullback-Leibler divergences, whole and unit by unit, in nats."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence
from torch.distributions.kl import register_kl

from zatlas.distributions.gaussian import DiagonalGaussian
from zatlas.distributions.point import Flat, Point


def gaussian_kl_per_unit(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    r"""KL(q || p) of each unit, ``[..., D]``.

    .. math:: \tfrac12\left(\log\frac{\sigma_p^2}{\sigma_q^2} - 1
              + \frac{\sigma_q^2 + (\mu_q - \mu_p)^2}{\sigma_p^2}\right)
    """
    ratio = q.log_variance - p.log_variance
    distance = (q.mean - p.mean).square() * (-p.log_variance).exp()
    return 0.5 * (ratio.exp() + distance - 1 - ratio)


@register_kl(DiagonalGaussian, DiagonalGaussian)  # type: ignore[untyped-decorator]
def _gaussian(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    return gaussian_kl_per_unit(q, p).flatten(-len(q.event_shape)).sum(-1)


@register_kl(Point, Flat)  # type: ignore[untyped-decorator]
def _point(q: Point, p: Flat) -> Tensor:
    """Zero by convention: an autoencoder is not charged for its codes."""
    return torch.zeros(q.batch_shape, dtype=q.value.dtype, device=q.value.device)


def rate_per_unit(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) of each latent unit, ``[..., D]``, where both factorise over units.

    Raises:
        NotImplementedError: q or p does not factorise, so units have no rate of their own.
    """
    if isinstance(q, DiagonalGaussian) and isinstance(p, DiagonalGaussian):
        return gaussian_kl_per_unit(q, p)
    if isinstance(q, Point) and isinstance(p, Flat):
        return torch.zeros_like(q.value)
    raise NotImplementedError(f"{type(q).__name__} against {type(p).__name__} does not factorise over units")


def stopped(q: Distribution) -> Distribution:
    """The same density with parameters that carry no gradient, so that it flows through the value alone.

    Raises:
        NotImplementedError: a family whose parameters are not known here.
    """
    if isinstance(q, DiagonalGaussian):
        return DiagonalGaussian(q.mean.detach(), q.log_variance.detach(), len(q.event_shape))
    raise NotImplementedError(f"{type(q).__name__} has no stopped form")


__all__ = ["gaussian_kl_per_unit", "kl_divergence", "rate_per_unit", "stopped"]
