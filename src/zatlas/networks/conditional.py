"""Conditionals: a network and a family make an encoder q(z|x,y), a decoder p(x|z,y) or a prior p(z|y).

Each is a module whose forward returns a Distribution. Networks may run in bfloat16; densities never do.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.distributions import DiagonalGaussian, Flat, Point
from zatlas.networks.likelihood import Likelihood
from zatlas.networks.starting import start_log_variance
from zatlas.parts import SORTS, Context, Settings, posterior, prior


class Standardise(nn.Module):
    """(x - shift) / scale, with shift and scale taken from training data once."""

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.shift) / self.scale


class PosteriorSettings(Settings):
    """The settings of every posterior with a density."""

    start_log_variance: float | None = Field(
        None, ge=-12, le=2, description="of an untrained posterior; None: -4, or 0 for the course's networks"
    )

    def resolve(self, context: Context) -> None:
        self.start_log_variance = start_log_variance(context)


@posterior(
    "diagonal",
    when="independent units: fast, and axes that mean something",
    source="Kingma & Welling 2014",
    order=1,
    settings=PosteriorSettings,
    traits="gaussian by_unit",
    outputs=lambda context: 2 * context.latent_dim,
)
class GaussianEncoder(nn.Module):
    """q(z|x,y) = N(mean, diag exp(log_variance)); the network's 2D outputs are means, then log-variances.

    Args:
        net: ``(x, y) -> [B, 2 D]``.
        standardise: applied to x first.
        log_variance: added to the network's, so where an untrained posterior starts. As wide as the prior (0), the
            codes of different x cannot be told apart at first, and the decoder may learn to ignore them.
    """

    def __init__(self, net: nn.Module, standardise: nn.Module | None = None, log_variance: float = 0.0) -> None:
        super().__init__()
        self.net = net
        self.standardise = standardise or nn.Identity()
        self.start = log_variance

    @classmethod
    def of(
        cls, settings: PosteriorSettings, context: Context, net: nn.Module, first: nn.Module | None
    ) -> GaussianEncoder:
        """Read from a network's outputs."""
        return cls(net, first, log_variance=start_log_variance(context))

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiagonalGaussian:
        mean, log_variance = self.net(self.standardise(x), y).float().chunk(2, -1)
        if self.start:
            log_variance = log_variance + self.start
        # no posterior is e^10 times wider than the prior: without the lid one wild step overflows exp and ends in NaN
        return DiagonalGaussian(mean, log_variance.clamp_max(10))


class PointEncoder(nn.Module):
    """The autoencoder's posterior: all mass at the network's D outputs."""

    def __init__(self, net: nn.Module, standardise: nn.Module | None = None) -> None:
        super().__init__()
        self.net = net
        self.standardise = standardise or nn.Identity()

    def forward(self, x: Tensor, y: Tensor | None = None) -> Point:
        return Point(self.net(self.standardise(x), y).float())


class Decoder(nn.Module):
    """p(x|z,y): the network's output plus a learned offset, read by the likelihood.

    Args:
        net: ``(z [..., D], y [..., Y]) -> [..., per_value * C, *rest]``.
        likelihood: makes the Distribution.
        mean: the mean example ``[*data]``; the offset starts there, so that training does not begin by learning the
            mean image. None: no offset.
    """

    def __init__(self, net: nn.Module, likelihood: Likelihood, mean: Tensor | None = None) -> None:
        super().__init__()
        self.net = net
        self.likelihood = likelihood
        if mean is None:
            self.register_parameter("offset", None)
        else:
            start = likelihood.link(mean)
            rest = [torch.zeros_like(start)] * (likelihood.per_value - 1)
            parameters = torch.cat([start, *rest], 0)
            self.shape = parameters.shape
            self.offset = nn.Parameter(parameters.flatten())  # flat as every bias is, so that no weight decay takes it

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        if y is not None:
            y = y.expand(*z.shape[:-1], y.shape[-1])
        parameters = self.net(z, y)
        return self.likelihood(parameters if self.offset is None else parameters + self.offset.view(self.shape))


@prior(
    "normal",
    when="N(0, I): one round cloud that can be walked and sampled anywhere",
    order=1,
    settings=Settings,
    traits="gaussian standard",
)
class StandardNormal(nn.Module):
    """p(z) = N(0, I), whatever y."""

    zeros: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)

    @classmethod
    def of(cls, settings: Settings, context: Context) -> StandardNormal:
        """Over the model's units."""
        return cls(context.latent_dim)

    def forward(self, y: Tensor | None = None) -> DiagonalGaussian:
        return DiagonalGaussian(self.zeros, self.zeros)


def check_conditional(config: Any) -> None:
    """p(z|y) wants a model with labels."""
    if not SORTS["model"].get(config.model.kind).conditional:
        kinds = [kind.name for kind in SORTS["model"].parts() if kind.has("conditional", "rate")]
        raise ValueError(f"prior.kind = 'conditional' goes with model.kind = {' or '.join(map(repr, kinds))} only")


@prior(
    "conditional",
    when="p(z|y) learned, one Gaussian for each label: cvae only",
    order=5,
    settings=Settings,
    traits="gaussian",
    check=check_conditional,
)
class ConditionalNormal(nn.Module):
    """p(z|y) = N(mean(y), diag exp(log_variance(y))), linear in y, N(0, I) at the start."""

    def __init__(self, latent_dim: int, label_dim: int) -> None:
        super().__init__()
        self.net = nn.Linear(label_dim, 2 * latent_dim)
        nn.init.zeros_(self.net.weight)
        nn.init.zeros_(self.net.bias)

    @classmethod
    def of(cls, settings: Settings, context: Context) -> ConditionalNormal:
        """One for each label."""
        return cls(context.latent_dim, context.label_dim)

    def forward(self, y: Tensor | None = None) -> DiagonalGaussian:
        if y is None:
            raise ValueError("p(z|y) needs y")
        mean, log_variance = self.net(y).float().chunk(2, -1)
        return DiagonalGaussian(mean, log_variance)


class FlatPrior(nn.Module):
    """The autoencoder's prior: density one everywhere, so that only the distortion counts."""

    anchor: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def forward(self, y: Tensor | None = None) -> Flat:
        return Flat(self.latent_dim, self.anchor)
