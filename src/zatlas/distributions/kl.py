"""Kullback-Leibler divergences, whole and unit by unit, in nats."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence
from torch.distributions.kl import register_kl

from zatlas.distributions.flow import Flow
from zatlas.distributions.full import FullGaussian, full
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


@register_kl(FullGaussian, DiagonalGaussian)  # type: ignore[untyped-decorator]
def _full_diagonal(q: FullGaussian, p: DiagonalGaussian) -> Tensor:
    squared = q.variance + (q.mean - p.mean).square()
    per_unit = squared * (-p.log_variance).exp() - 1 + p.log_variance
    return 0.5 * per_unit.sum(-1) - q.half_log_determinant


@register_kl(FullGaussian, FullGaussian)  # type: ignore[untyped-decorator]
def _full(q: FullGaussian, p: FullGaussian) -> Tensor:
    r"""tr(S_p^-1 S_q)/2 + |L_p^-1 (mu_q - mu_p)|^2/2 - D/2 + log|L_p| - log|L_q|."""
    ratio = torch.linalg.solve_triangular(p.scale_tril, q.scale_tril, upper=False)
    squared = ratio.square().sum((-2, -1)) + p.whitened(q.mean).square().sum(-1)
    return 0.5 * (squared - q.event_shape[0]) + p.half_log_determinant - q.half_log_determinant


@register_kl(DiagonalGaussian, FullGaussian)  # type: ignore[untyped-decorator]
def _diagonal_full(q: DiagonalGaussian, p: FullGaussian) -> Tensor:
    return _full(full(q), p)


@register_kl(Point, Flat)  # type: ignore[untyped-decorator]
def _point(q: Point, p: Flat) -> Tensor:
    """Zero by convention: an autoencoder is not charged for its codes."""
    return torch.zeros(q.batch_shape, dtype=q.value.dtype, device=q.value.device)


def closed_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) ``[...]`` in closed form, or None where there is none and draws have to do."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


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
    if isinstance(q, FullGaussian):
        return FullGaussian(q.mean.detach(), q.scale_tril.detach())
    if isinstance(q, Flow):
        return q.stopped()
    raise NotImplementedError(f"{type(q).__name__} has no stopped form")


__all__ = ["closed_kl", "gaussian_kl_per_unit", "kl_divergence", "rate_per_unit", "stopped"]
