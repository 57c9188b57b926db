"""Gaussians with a full covariance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.broadcasting import broadcast_shapes
from zatlas.distributions.gaussian import LOG_2PI, DiagonalGaussian
from zatlas.types import Shape


class FullGaussian(Distribution):
    r"""N(mean, L L^T), one event over the last dimension.

    .. math:: \log N(x; \mu, L L^T) = -\tfrac12 \big(D \log 2\pi + |L^{-1}(x - \mu)|^2\big) - \sum_d \log L_{dd}

    Args:
        mean: ``[..., D]``.
        scale_tril: L, lower triangular with a positive diagonal, ``[..., D, D]``, broadcastable with ``mean``.

    >>> q = FullGaussian(torch.zeros(5, 2), torch.eye(2))
    >>> q.rsample((3,)).shape, q.log_prob(torch.zeros(5, 2)).shape
    (torch.Size([3, 5, 2]), torch.Size([5]))
    """

    has_rsample = True
    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(self, mean: Tensor, scale_tril: Tensor) -> None:
        batch = broadcast_shapes(mean.shape[:-1], scale_tril.shape[:-2])
        self._mean = mean.expand(*batch, -1)
        self.scale_tril = scale_tril.expand(*batch, -1, -1)
        super().__init__(batch, mean.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self._mean

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1)

    @property
    def half_log_determinant(self) -> Tensor:
        """Half the log determinant of the covariance, ``[...]``."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def from_noise(self, noise: Tensor) -> Tensor:
        """mean + L noise, for standard normal noise ``[..., *batch, D]``."""
        # no matrix product: under autocast it would round the draw to bfloat16
        return self._mean + (self.scale_tril * noise[..., None, :]).sum(-1)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self._mean.shape
        return self.from_noise(torch.randn(shape, dtype=self._mean.dtype, device=self._mean.device))

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)

    def whitened(self, value: Tensor) -> Tensor:
        """L^-1 (value - mean), ``[..., *batch, D]``: the noise that gives ``value``."""
        distance = value - self._mean
        # all samples of one batch entry are right-hand sides of one system, so that L is not copied for each
        columns = distance.reshape(-1, *distance.shape[distance.dim() - self._mean.dim() :]).movedim(0, -1)
        solved = torch.linalg.solve_triangular(self.scale_tril, columns, upper=False)
        return solved.movedim(-1, 0).reshape(distance.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        squared = (LOG_2PI + self.whitened(value).square()).sum(-1)
        return -0.5 * squared - self.half_log_determinant

    def entropy(self) -> Tensor:
        return 0.5 * (1 + LOG_2PI) * self.event_shape[0] + self.half_log_determinant

    def expand(self, batch_shape: Shape, _instance: object = None) -> FullGaussian:
        return FullGaussian(
            self._mean.expand(torch.Size(batch_shape) + self.event_shape),
            self.scale_tril.expand(torch.Size(batch_shape) + 2 * self.event_shape),
        )


def full(q: DiagonalGaussian) -> FullGaussian:
    """A diagonal Gaussian over ``[..., D]`` as one with a full covariance."""
    return FullGaussian(q.mean, torch.diag_embed(q.stddev))
