"""Diagonal Gaussians, with their own draw."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.types import Shape

LOG_2PI = math.log(2 * math.pi)


class DiagonalGaussian(Distribution):
    r"""N(mean, diag exp(log_variance)), one event over the last ``event_dims`` dimensions.

    .. math:: \log N(x; \mu, \sigma^2) = -\tfrac12 \sum_d \left(\log 2\pi + \log\sigma_d^2
              + (x_d - \mu_d)^2 / \sigma_d^2\right)

    Why not ``Independent(Normal)``: torch's ``rsample`` draws in place, which fails under
    ``torch.vmap(randomness="different")``, and argument validation costs a synchronisation on every construction.

    Args:
        mean: ``[..., *event]``.
        log_variance: broadcastable with ``mean``.
        event_dims: how many trailing dimensions form one event.

    >>> q = DiagonalGaussian(torch.zeros(5, 2), torch.zeros(5, 2))
    >>> q.log_prob(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    has_rsample = True
    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(self, mean: Tensor, log_variance: Tensor, event_dims: int = 1) -> None:
        self._mean, self.log_variance = torch.broadcast_tensors(mean, log_variance)
        split = self._mean.dim() - event_dims
        super().__init__(self._mean.shape[:split], self._mean.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self._mean

    @property
    def stddev(self) -> Tensor:
        return (0.5 * self.log_variance).exp()

    @property
    def variance(self) -> Tensor:
        return self.log_variance.exp()

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """A draw ``[*sample_shape, *batch, *event]`` with a gradient to mean and variance."""
        shape = torch.Size(sample_shape) + self._mean.shape
        return self.from_noise(torch.randn(shape, dtype=self._mean.dtype, device=self._mean.device))

    def from_noise(self, noise: Tensor) -> Tensor:
        """mean + stddev * noise, for standard normal noise ``[..., *event]`` (Kingma & Welling 2014, section 2.4)."""
        return self._mean + self.stddev * noise

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)

    def log_prob_per_unit(self, value: Tensor) -> Tensor:
        """The log density before summing over the event, ``[..., *event]``."""
        squared = (value - self._mean).square() * (-self.log_variance).exp()
        return -0.5 * (LOG_2PI + self.log_variance + squared)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def entropy(self) -> Tensor:
        return 0.5 * (1 + LOG_2PI + self.log_variance).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> DiagonalGaussian:
        shape = torch.Size(batch_shape) + self.event_shape
        return DiagonalGaussian(self._mean.expand(shape), self.log_variance.expand(shape), len(self.event_shape))


def standard_normal(dim: int, like: Tensor) -> DiagonalGaussian:
    """N(0, I) over ``[dim]``, on the device of ``like``."""
    zeros = torch.zeros(dim, device=like.device)
    return DiagonalGaussian(zeros, zeros)
