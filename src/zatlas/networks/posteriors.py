"""Posteriors q(z|x,y) richer than a diagonal Gaussian."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from zatlas.distributions.flow import Flow
from zatlas.distributions.full import FullGaussian
from zatlas.distributions.gaussian import DiagonalGaussian
from zatlas.networks.conditional import PosteriorSettings
from zatlas.networks.flows import CouplingFlow
from zatlas.networks.starting import start_log_variance
from zatlas.parts import Context, posterior

LOG_VARIANCE_LID = 10  # no posterior is e^10 times wider than the prior: one wild step would overflow exp


FLOW_CONTEXT = 64  # numbers by which a flow posterior is told of x


@posterior(
    "full",
    when="a covariance for each example: tighter bounds for up to some fifty units",
    source="Kingma & Welling 2019, section 2.5.1",
    order=2,
    settings=PosteriorSettings,
    traits="gaussian",
    outputs=lambda context: FullGaussianEncoder.outputs(context.latent_dim),
)
class FullGaussianEncoder(nn.Module):
    r"""q(z|x,y) = N(mean, L L^T); the network says means, log-variances, and L below its diagonal, row by row.

    .. math:: L_{ij} = \sigma_i l_{ij}, \quad L_{ii} = \sigma_i = \exp(\tfrac12 \text{log variance}_i)

    (Kingma & Welling 2019, section 2.5.1, with rows in units of sigma, so that a narrow posterior is no more skewed
    than a wide one.)

    Args:
        latent_dim: D.
        net: ``(x, y) -> [B, outputs]``.
        standardise: applied to x first.
        log_variance: added to the network's, so where an untrained posterior starts.
    """

    place: Tensor

    def __init__(
        self, latent_dim: int, net: nn.Module, standardise: nn.Module | None = None, log_variance: float = 0.0
    ) -> None:
        super().__init__()
        self.net = net
        self.standardise = standardise or nn.Identity()
        self.start = log_variance
        below = latent_dim * (latent_dim - 1) // 2
        self.sizes = (latent_dim, latent_dim, below)
        # where each entry of L is found among the below, after a zero for those on and above the diagonal
        place = torch.zeros(latent_dim, latent_dim, dtype=torch.long)
        place[tuple(torch.tril_indices(latent_dim, latent_dim, -1))] = torch.arange(1, below + 1)
        self.register_buffer("place", place, persistent=False)

    @classmethod
    def of(
        cls, settings: PosteriorSettings, context: Context, net: nn.Module, first: nn.Module | None
    ) -> FullGaussianEncoder:
        """Read from a network's outputs."""
        return cls(context.latent_dim, net, first, log_variance=start_log_variance(context))

    @staticmethod
    def outputs(latent_dim: int) -> int:
        """How many numbers the network has to say: D + D (D + 1) / 2."""
        return latent_dim + latent_dim * (latent_dim + 1) // 2

    def forward(self, x: Tensor, y: Tensor | None = None) -> FullGaussian:
        mean, log_variance, below = self.net(self.standardise(x), y).float().split(self.sizes, -1)
        sigma = (0.5 * (log_variance + self.start).clamp_max(LOG_VARIANCE_LID)).exp()
        unit = F.pad(below, (1, 0))[..., self.place] + torch.eye(self.sizes[0], device=mean.device)
        return FullGaussian(mean, sigma[..., None] * unit)


class FlowPosteriorSettings(PosteriorSettings):
    """The settings of a flow posterior."""

    layers: int = Field(8, ge=1, le=1000, description="number of couplings")
    width: int = Field(256, ge=1, le=10**6, description="of each one's network, of one hidden layer")


@posterior(
    "flow",
    when="a normalising flow for each example: the tightest bound, no closed-form rate",
    source="Rezende & Mohamed 2015; Dinh et al. 2017",
    order=3,
    settings=FlowPosteriorSettings,
    outputs=lambda context: FlowEncoder.outputs(context.latent_dim, FLOW_CONTEXT),
)
class FlowEncoder(nn.Module):
    """q(z|x,y): a diagonal Gaussian through couplings that see a context of x; the Gaussian alone at the start.

    The network says means, log-variances and the context. Couplings and not an inverse autoregressive flow (Kingma et
    al. 2016): they are as fast backwards, so q has a density at any z and not only at its own draws.

    Args:
        latent_dim: D.
        net: ``(x, y) -> [B, 2 D + context_dim]``.
        standardise: applied to x first.
        log_variance: added to the network's, so where an untrained posterior starts.
        context_dim: C.
        layers: number of couplings.
        hidden: width of each one's net, of one hidden layer.
    """

    def __init__(
        self,
        latent_dim: int,
        net: nn.Module,
        standardise: nn.Module | None = None,
        log_variance: float = 0.0,
        *,
        context_dim: int = 64,
        layers: int = 4,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.net = net
        self.standardise = standardise or nn.Identity()
        self.start = log_variance
        self.sizes = (latent_dim, latent_dim, context_dim)
        self.flow = CouplingFlow(latent_dim, layers=layers, hidden=(hidden,), context_dim=context_dim)

    @classmethod
    def of(
        cls, settings: FlowPosteriorSettings, context: Context, net: nn.Module, first: nn.Module | None
    ) -> FlowEncoder:
        """Read from a network's outputs."""
        start = start_log_variance(context)
        size = {"layers": settings.layers, "hidden": settings.width}
        return cls(context.latent_dim, net, first, log_variance=start, context_dim=FLOW_CONTEXT, **size)

    @staticmethod
    def outputs(latent_dim: int, context_dim: int = 64) -> int:
        """How many numbers the network has to say: 2 D + C."""
        return 2 * latent_dim + context_dim

    def forward(self, x: Tensor, y: Tensor | None = None) -> Flow:
        mean, log_variance, context = self.net(self.standardise(x), y).float().split(self.sizes, -1)
        log_variance = (log_variance + self.start).clamp_max(LOG_VARIANCE_LID)
        return Flow(DiagonalGaussian(mean, log_variance), self.flow, context)
