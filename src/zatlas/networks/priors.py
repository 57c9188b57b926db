"""Priors p(z) that are learned with the rest of the model."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from zatlas.distributions.flow import Flow
from zatlas.distributions.gaussian import DiagonalGaussian
from zatlas.distributions.mixture import GaussianMixture
from zatlas.networks.flows import CouplingFlow
from zatlas.parts import SORTS, Context, Settings, prior

SPREAD = 0.5  # standard deviation of a mixture's means at the start


class Components(Settings):
    """The settings of a prior that is a mixture."""

    components: int = Field(100, ge=1, le=10**6, description="how many Gaussians or pseudo-inputs")


@prior("mixture", when="a learned mixture of Gaussians: data in groups", order=2, settings=Components)
class MixturePrior(nn.Module):
    """p(z) a mixture of M Gaussians with weights, means and variances learned; as wide as N(0, I) at the start.

    Args:
        latent_dim: D.
        components: M.
    """

    def __init__(self, latent_dim: int, components: int = 100) -> None:
        super().__init__()
        self.shape = (components, latent_dim)
        # flat as every bias is, so that no weight decay takes them
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(SPREAD * torch.randn(components * latent_dim))
        self.log_variances = nn.Parameter(torch.full((components * latent_dim,), math.log(1 - SPREAD**2)))

    @classmethod
    def of(cls, settings: Components, context: Context) -> MixturePrior:
        """Over the model's units."""
        return cls(context.latent_dim, settings.components)

    def forward(self, y: Tensor | None = None) -> GaussianMixture:
        return GaussianMixture(self.logits, self.means.view(self.shape), self.log_variances.view(self.shape))


def check_vamp(config: Any) -> None:
    """Posteriors of pseudo-inputs have no labels, and are mixed as diagonal Gaussians."""
    model = SORTS["model"].get(config.model.kind)
    if model.conditional or not SORTS["posterior"].get(config.posterior.kind).has("by_unit"):
        raise ValueError(
            "prior.kind = 'vamp' goes with model.kind = 'vae' and posterior.kind = 'diagonal' only: it is a mixture "
            "of posteriors of pseudo-inputs, which have no labels"
        )


@prior(
    "vamp",
    when="VampPrior, a mixture of posteriors of learned pseudo-inputs: better likelihood, an atlas of prototypes",
    source="Tomczak & Welling 2018, equation 9",
    order=3,
    settings=Components,
    check=check_vamp,
    examples=lambda settings: settings.components,
)
class VampPrior(nn.Module):
    r"""The mixture of the posteriors of M learned pseudo-inputs (Tomczak & Welling 2018, equation 9).

    .. math:: p(z) = \tfrac1M \textstyle\sum_m q(z|u_m)

    The encoder is the model's own: it is referred to and is no part of this module, so that its parameters are counted
    and saved once. Copying the model copies the reference to the copied encoder.

    Args:
        encoder: ``(x, None) -> q(z|x)``, diagonal Gaussians.
        pseudo_inputs: u at the start, ``[M, *data]``: training examples.
        limits: the least and the greatest value that data can have; None: any.

    Raises:
        ValueError: from the encoder, if it wants y.
    """

    def __init__(self, encoder: nn.Module, pseudo_inputs: Tensor, limits: tuple[float, float] | None = None) -> None:
        super().__init__()
        self._encoder = (encoder,)  # in a tuple, where a Module does not look for its children
        self.shape = pseudo_inputs.shape
        self.pseudo_inputs = nn.Parameter(pseudo_inputs.detach().clone().flatten())  # flat: no weight decay
        self.limits = limits

    @classmethod
    def of(cls, settings: Components, context: Context) -> VampPrior:
        """Of the model's encoder, starting from training examples: from the first again where there are fewer."""
        limits = None if context.spec.values == "real" else (0.0, 1.0)
        examples = context.stats.examples
        assert context.encoder is not None  # models with one put it there
        return cls(context.encoder, examples[torch.arange(settings.components) % len(examples)], limits)

    def forward(self, y: Tensor | None = None) -> GaussianMixture:
        u = self.pseudo_inputs.view(self.shape)
        q = self._encoder[0](u if self.limits is None else u.clamp(*self.limits), None)
        return GaussianMixture(torch.zeros_like(q.mean[:, 0]), q.mean, q.log_variance)


class FlowPriorSettings(Settings):
    """The settings of a flow prior."""

    layers: int = Field(8, ge=1, le=1000, description="number of couplings")
    depth: int = Field(2, ge=1, le=1000, description="hidden layers of each one's network")
    width: int = Field(256, ge=1, le=10**6, description="of those layers")


@prior("flow", when="a normalising flow: the best likelihood of a flat VAE", order=4, settings=FlowPriorSettings)
class FlowPrior(nn.Module):
    """p(z|y) a flow of affine couplings over N(0, I), which it is at the start.

    Args:
        latent_dim: D.
        layers: number of couplings.
        hidden: width of each one's net.
        depth: hidden layers of each one's net. Two are over twice as slow as one, and after 900 steps were worth 1.6
            nats (MNIST, z = 40).
        label_dim: Y, or 0 for a prior that is the same for every y.
    """

    zeros: Tensor

    def __init__(
        self, latent_dim: int, *, layers: int = 8, hidden: int = 256, depth: int = 2, label_dim: int = 0
    ) -> None:
        super().__init__()
        self.conditional = label_dim > 0
        self.flow = CouplingFlow(latent_dim, layers=layers, hidden=(hidden,) * depth, context_dim=label_dim)
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)

    @classmethod
    def of(cls, settings: FlowPriorSettings, context: Context) -> FlowPrior:
        """Over the model's units, given its labels."""
        size = {"layers": settings.layers, "hidden": settings.width, "depth": settings.depth}
        return cls(context.latent_dim, label_dim=context.label_dim, **size)

    def forward(self, y: Tensor | None = None) -> Flow:
        if not self.conditional:
            return Flow(DiagonalGaussian(self.zeros, self.zeros), self.flow)
        if y is None:
            raise ValueError("p(z|y) needs y")
        base = DiagonalGaussian(self.zeros, self.zeros).expand(y.shape[:-1])
        return Flow(base, self.flow, y)
