"""A point posterior and a flat prior: what makes an autoencoder a latent-variable model like the others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.broadcasting import broadcast_shapes
from zatlas.errors import UsageError
from zatlas.types import Shape


class Point(Distribution):
    """All mass at one place; ``log_prob`` is 0 there and minus infinity elsewhere.

    Args:
        value: ``[..., *event]``.
        event_dims: how many trailing dimensions form one event.
    """

    has_rsample = True
    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)

    def __init__(self, value: Tensor, event_dims: int = 1) -> None:
        self.value = value
        split = value.dim() - event_dims
        super().__init__(value.shape[:split], value.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.value

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.value)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.value.expand(torch.Size(sample_shape) + self.value.shape)

    def from_noise(self, noise: Tensor) -> Tensor:
        """The place itself, whatever the noise ``[..., D]``."""
        return self.value.expand(broadcast_shapes(noise.shape, self.value.shape))

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        return self.rsample(sample_shape).detach()

    def log_prob(self, value: Tensor) -> Tensor:
        here = (value == self.value).flatten(-len(self.event_shape)).all(-1)
        return torch.where(here, 0.0, -torch.inf)

    def expand(self, batch_shape: Shape, _instance: object = None) -> Point:
        return Point(self.value.expand(torch.Size(batch_shape) + self.event_shape), len(self.event_shape))


class Flat(Distribution):
    """The improper prior of density one everywhere. It scores; it cannot draw.

    Args:
        dim: D.
        like: a tensor on the wanted device.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)

    def __init__(self, dim: int, like: Tensor, batch_shape: Shape = ()) -> None:
        self._like = like
        super().__init__(torch.Size(batch_shape), torch.Size((dim,)), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return torch.zeros(value.shape[:-1], dtype=value.dtype, device=value.device)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Refuses: a density of one everywhere is no distribution.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "an autoencoder has no distribution over codes to draw from: fit one to its codes (zatlas prior RUN), "
            "or train a vae to sample."
        )

    def expand(self, batch_shape: Shape, _instance: object = None) -> Flat:
        return Flat(self.event_shape[0], self._like, batch_shape)
