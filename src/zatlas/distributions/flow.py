"""Gaussians pushed through an invertible network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.func import functional_call

from zatlas.distributions.broadcasting import broadcast_shapes
from zatlas.distributions.gaussian import DiagonalGaussian
from zatlas.types import Shape

MOMENT_PAIRS = 32


@lru_cache
def _moment_noise(dim: int) -> NDArray[np.float32]:
    """Always the same 64 points ``[64, D]`` in opposite pairs, mean 0 and variance 1 in every unit."""
    points = np.random.default_rng(0).standard_normal((MOMENT_PAIRS, dim))
    points /= np.sqrt(np.square(points).mean(0))
    return np.concatenate([points, -points]).astype(np.float32)


class Flow(Distribution):
    r"""The density of z = f(u) for u ~ N(mean, diag variance) and f a network that runs both ways.

    .. math:: \log p(z) = \log N\big(f^{-1}(z); \mu, \sigma^2\big)
              + \log \left|\det \frac{\partial f^{-1}(z)}{\partial z}\right|

    (Rezende & Mohamed 2015, equation 5.) Mean and variance have no closed form: they are those of f at 64 fixed points
    whose own mean is 0 and variance 1, so they have no noise, and are exact where f scales and shifts each unit.

    Args:
        base: N(mean, diag variance) over ``[..., D]``.
        transform: ``(value, context, inverse=False) -> value [..., D], log |det| [...]``, from u to z or back.
        context: ``[..., C]`` that f depends on, with the batch of ``base``, or None.
        state: the transform's parameters and buffers; None: those that it has now. The density keeps the weights that
            it was made with, so it is the same inside ``torch.func.functional_call`` and after it.
    """

    has_rsample = True
    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(
        self,
        base: DiagonalGaussian,
        transform: nn.Module,
        context: Tensor | None = None,
        *,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.base = base
        self.transform = transform
        self.context = context
        self.state = {**dict(transform.named_parameters()), **dict(transform.named_buffers())}
        if state is not None:
            self.state = dict(state)
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    def _map(self, value: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        mapped: tuple[Tensor, Tensor] = functional_call(
            self.transform, self.state, (value, self.context), {"inverse": inverse}
        )
        return mapped

    def from_noise(self, noise: Tensor) -> Tensor:
        """f(mean + stddev * noise), for standard normal noise ``[..., *batch, D]``."""
        return self._map(self.base.from_noise(noise), inverse=False)[0]

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        mean = self.base.mean
        return self.from_noise(torch.randn(torch.Size(sample_shape) + mean.shape, dtype=mean.dtype, device=mean.device))

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        value = value.expand(broadcast_shapes(value.shape, self.base.mean.shape))
        u, log_determinant = self._map(value, inverse=True)
        return self.base.log_prob(u) + log_determinant

    def _at_fixed_points(self) -> Tensor:
        """z at the 64 points, ``[64, *batch, D]``."""
        mean = self.base.mean
        noise = torch.from_numpy(_moment_noise(mean.shape[-1])).to(mean)
        return self.from_noise(noise.view(-1, *(1 for _ in self.batch_shape), mean.shape[-1]).expand(-1, *mean.shape))

    @property
    def mean(self) -> Tensor:
        return self._at_fixed_points().mean(0)

    @property
    def variance(self) -> Tensor:
        return self._at_fixed_points().var(0, correction=0)

    def stopped(self) -> Flow:
        """The same density, no gradient reaching base, context or weights."""
        base = DiagonalGaussian(self.base.mean.detach(), self.base.log_variance.detach())
        context = None if self.context is None else self.context.detach()
        return Flow(base, self.transform, context, state={name: t.detach() for name, t in self.state.items()})

    def expand(self, batch_shape: Shape, _instance: object = None) -> Flow:
        context = self.context
        if context is not None:
            context = context.expand(torch.Size(batch_shape) + context.shape[-1:])
        return Flow(self.base.expand(batch_shape), self.transform, context, state=self.state)
