"""From the decoder's numbers to p(x|z). Each likelihood says how many numbers it wants for one data value."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.distributions import Bernoulli, DiagonalGaussian, DiscretisedLogistic


class Likelihood(Protocol):
    """A module from parameters ``[..., per_value * C, *rest]`` to a Distribution over ``[..., C, *rest]``."""

    per_value: int

    def __call__(self, parameters: Tensor) -> Distribution: ...

    def link(self, mean: Tensor) -> Tensor:
        """The parameter that gives this mean: where an untrained decoder had best start."""
        ...


class BernoulliLikelihood(nn.Module):
    """Logits; p(x|z) of bits, and the grey loss of intensities in [0, 1]."""

    per_value = 1

    def __init__(self, event_dims: int) -> None:
        super().__init__()
        self.event_dims = event_dims

    def forward(self, parameters: Tensor) -> Bernoulli:
        return Bernoulli(parameters.float(), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        # within +-5, so that a pixel which was never on can still come on
        return torch.logit(mean, eps=1e-6).clamp(-5, 5)


class GaussianLikelihood(nn.Module):
    """N(f(z), sigma^2) with one sigma for all values, fixed or learned (sigma-VAE, Rybkin et al. 2021).

    Args:
        event_dims: dimensions of one example.
        scale: unit of the data, broadcastable with ``*data``; sigma counts in it.
        shift: the data's zero; the network's 0 means this value.
        sigma: standard deviation, its start where it is learned.
        learned: whether it is a parameter.
    """

    per_value = 1
    shift: Tensor
    scale: Tensor

    def __init__(self, event_dims: int, shift: Tensor, scale: Tensor, *, sigma: float, learned: bool) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        log_variance = 2 * torch.tensor(sigma).log()
        if learned:
            self.log_variance = nn.Parameter(log_variance)
        else:
            self.register_buffer("log_variance", log_variance)

    def forward(self, parameters: Tensor) -> DiagonalGaussian:
        mean = self.shift + self.scale * parameters.float()
        # a floor of exp(-12), about 1/400 of the data's unit: without it a constant pixel has unbounded density
        log_variance = self.log_variance.clamp_min(-12) + 2 * self.scale.log()
        return DiagonalGaussian(mean, log_variance, self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return (mean - self.shift) / self.scale


class PerValueGaussianLikelihood(nn.Module):
    """N(f(z), sigma(z)^2) with the decoder saying sigma for every value."""

    per_value = 2
    shift: Tensor
    scale: Tensor

    def __init__(self, event_dims: int, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def forward(self, parameters: Tensor) -> DiagonalGaussian:
        mean, log_variance = parameters.float().chunk(2, -self.event_dims)
        # soft floor at exp(-9): a pixel that never changes would otherwise reward ever smaller sigma
        log_variance = torch.nn.functional.softplus(log_variance + 9) - 9
        return DiagonalGaussian(self.shift + self.scale * mean, log_variance + 2 * self.scale.log(), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return (mean - self.shift) / self.scale


class LogisticLikelihood(nn.Module):
    """The discretised logistic over 256 values, location and scale for each."""

    per_value = 2

    def __init__(self, event_dims: int) -> None:
        super().__init__()
        self.event_dims = event_dims

    def forward(self, parameters: Tensor) -> DiscretisedLogistic:
        location, log_scale = parameters.float().chunk(2, -self.event_dims)
        # starts at a scale of exp(-2); from exp(-7) on one bin holds nearly all the mass
        return DiscretisedLogistic(location, (log_scale - 2).clamp(-7, 3), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return mean
