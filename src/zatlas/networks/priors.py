"""Priors p(z) that are learned with the rest of the model."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zatlas.distributions.flow import Flow
from zatlas.distributions.gaussian import DiagonalGaussian
from zatlas.distributions.mixture import GaussianMixture
from zatlas.networks.flows import CouplingFlow

SPREAD = 0.5  # standard deviation of a mixture's means at the start


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

    def forward(self, y: Tensor | None = None) -> GaussianMixture:
        return GaussianMixture(self.logits, self.means.view(self.shape), self.log_variances.view(self.shape))


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

    def forward(self, y: Tensor | None = None) -> GaussianMixture:
        u = self.pseudo_inputs.view(self.shape)
        q = self._encoder[0](u if self.limits is None else u.clamp(*self.limits), None)
        return GaussianMixture(torch.zeros_like(q.mean[:, 0]), q.mean, q.log_variance)


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

    def forward(self, y: Tensor | None = None) -> Flow:
        if not self.conditional:
            return Flow(DiagonalGaussian(self.zeros, self.zeros), self.flow)
        if y is None:
            raise ValueError("p(z|y) needs y")
        base = DiagonalGaussian(self.zeros, self.zeros).expand(y.shape[:-1])
        return Flow(base, self.flow, y)
