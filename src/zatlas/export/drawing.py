"""How codes are drawn from a prior: a module whose randomness is an input, as a graph has none of its own."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.distributions import DiagonalGaussian, Flat, Flow, GaussianMixture
from zatlas.errors import UsageError
from zatlas.latent import ExPostPrior
from zatlas.latent.densities import Flowing, Mixture
from zatlas.latent.matched_flow import SAMPLING_STEPS, MatchedFlow
from zatlas.models import Ladder, LinearGaussian
from zatlas.networks import Codebook, StandardNormal
from zatlas.types import Generates


class Draw(NamedTuple):
    """How codes are drawn from a prior: a module that takes standard normal noise, and what else it takes."""

    module: nn.Module
    family: str
    how: str
    takes_y: bool = False
    weights: tuple[float, ...] = ()


class HasPrior(Generates, Protocol):
    """Keeps its prior as a module, ``(y) -> p(z|y)``."""

    prior: nn.Module


class FromNoise(nn.Module):
    """Standard normal noise ``[B, D]`` and y ``[B, Y]`` to a draw from p(z|y)."""

    def __init__(self, prior: nn.Module) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        z: Tensor = self.prior(y).from_noise(noise)
        return z


class FromComponent(nn.Module):
    """Noise ``[B, D]`` and the number of a component ``[B]`` to mean + deviation * noise of that component.

    Args:
        means: ``[M, D]``.
        factors: deviations ``[M, D]``, or factors of the covariances ``[M, D, D]``.
    """

    means: Tensor
    factors: Tensor

    def __init__(self, means: Tensor, factors: Tensor) -> None:
        super().__init__()
        self.register_buffer("means", means.detach().float())
        self.register_buffer("factors", factors.detach().float())

    def forward(self, noise: Tensor, component: Tensor) -> Tensor:
        factor = self.factors[component]
        spread = (factor @ noise[..., None])[..., 0] if factor.dim() == 3 else factor * noise
        return self.means[component] + spread


class FromNoiseDown(nn.Module):
    """Noise of all levels of a ladder side by side ``[B, D]`` to their codes, the top first."""

    def __init__(self, model: Ladder) -> None:
        super().__init__()
        self.model = model

    def forward(self, noise: Tensor) -> Tensor:
        h, codes = self.model.start.view(self.model.rungs[0].state), []
        for rung, e in zip(self.model.rungs, noise[None].split(self.model.latent_dims, -1), strict=True):
            codes.append(rung.prior(h).from_noise(e))
            h = rung.descend(h, codes[-1])
        return torch.cat(codes, -1)[0]


class Coloured(nn.Module):
    """centre + axes (widths * f(noise)): white codes of a fitted flow as codes."""

    centre: Tensor
    matrix: Tensor

    def __init__(self, white: nn.Module, centre: Tensor, matrix: Tensor) -> None:
        super().__init__()
        self.white = white
        self.register_buffer("centre", centre.float())
        self.register_buffer("matrix", matrix.float())

    def forward(self, noise: Tensor) -> Tensor:
        return self.centre + self.white(noise) @ self.matrix.T


class Integrated(nn.Module):
    """centre + widths * u, with u where the flow of a velocity takes noise ``[B, D]``, by as many steps as sampling.

    Args:
        flow: the velocity, whatever the label.
        centre, widths: ``[D]``.
    """

    centre: Tensor
    widths: Tensor

    def __init__(self, flow: MatchedFlow, centre: Tensor, widths: Tensor) -> None:
        super().__init__()
        self.flow = flow
        self.velocity = flow.velocity  # whose weights are then this module's
        self.register_buffer("centre", centre.float())
        self.register_buffer("widths", widths.float())

    def forward(self, noise: Tensor) -> Tensor:
        return self.centre + self.widths * self.flow.solved(noise)


class Spells(nn.Module):
    """The numbers of P codewords ``[B, P]`` to the code that they spell, ``[B, P d]``."""

    def __init__(self, codebook: Codebook) -> None:
        super().__init__()
        self.codebook = codebook

    def forward(self, indices: Tensor) -> Tensor:
        code: Tensor = self.codebook.lookup(indices)
        return code


@singledispatch
def draw_of(p: Distribution, prior: nn.Module) -> Draw | None:
    """How codes are drawn from the prior that said p; None where it cannot be drawn from."""
    raise UsageError(
        f"a prior that gives a {type(p).__name__} has no form in which noise is an input, so that no graph can draw "
        "from it: export the run with --hub, which keeps it as it is."
    )


@draw_of.register
def _(p: DiagonalGaussian, prior: nn.Module) -> Draw:
    takes_y = bool(p.batch_shape)
    family = "normal given y" if takes_y else "normal"
    return Draw(FromNoise(prior), family, "noise of N(0, I) gives z", takes_y)


@draw_of.register
def _(p: Flow, prior: nn.Module) -> Draw:
    takes_y = bool(p.batch_shape)
    how = "noise of N(0, I) goes through the flow and comes out as z"
    return Draw(FromNoise(prior), "flow given y" if takes_y else "flow", how, takes_y)


@draw_of.register
def _(p: GaussianMixture, prior: nn.Module) -> Draw:
    # the means of a VampPrior are the encoder's, at pseudo-inputs that no longer change: they are written as numbers
    drawn = FromComponent(p.components.mean, p.components.stddev)
    return _by_component(drawn, "mixture", p.logits.double().softmax(-1))


@draw_of.register
def _(p: Flat, prior: nn.Module) -> None:
    return None


@singledispatch
def drawing_of(model: Generates, y: Tensor | None) -> Draw | None:
    """How codes are drawn from the model's own prior; None where it cannot be drawn from."""
    prior = cast(HasPrior, model).prior
    return draw_of(prior(y), prior)


@drawing_of.register
def _(model: Ladder, y: Tensor | None) -> Draw:
    return Draw(FromNoiseDown(model), "normal, level by level", "noise of N(0, I) gives z of every level")


@drawing_of.register
def _(model: LinearGaussian, y: Tensor | None) -> Draw | None:
    prior = StandardNormal(*model.latent_dims)
    return draw_of(prior(), prior)


def _by_component(module: nn.Module, family: str, weights: Tensor) -> Draw:
    how = "draw component m with probability weights[m] and noise of N(0, I): they give z"
    return Draw(module, family, how, weights=tuple((weights / weights.sum()).tolist()))


@singledispatch
def white_draw_of(density: Any, centre: Tensor, matrix: Tensor) -> Draw:
    """How codes are drawn from a density fitted to white codes u: z = centre + matrix u, or a matrix's diagonal."""
    raise UsageError(
        f"a fitted {type(density).__name__} has no form in which noise is an input, so that no graph can draw from it: "
        "export the run with --hub, which keeps it as it is."
    )


@white_draw_of.register
def _(density: Mixture, centre: Tensor, matrix: Tensor) -> Draw:
    means, scales = torch.from_numpy(density.means), torch.from_numpy(density.scales)
    factors = matrix @ (scales if density.full else torch.diag_embed(scales))
    module = FromComponent(centre + means @ matrix.T, factors)
    return _by_component(module, "mixture fitted to codes", torch.from_numpy(density.weights))


@white_draw_of.register
def _(density: Flowing, centre: Tensor, matrix: Tensor) -> Draw:
    how = "noise of N(0, I) goes through the flow and comes out as z"
    return Draw(Coloured(FromNoise(density.prior), centre, matrix), "flow fitted to codes", how)


@white_draw_of.register
def _(density: MatchedFlow, centre: Tensor, matrix: Tensor) -> Draw:
    how = f"noise of N(0, I) goes along the flow, whatever the label, in {SAMPLING_STEPS} steps, and comes out as z"
    return Draw(Integrated(density, centre, matrix), "flow matched to codes", how)


def fitted_draw(prior: ExPostPrior) -> Draw:
    """How codes are drawn from a prior that was fitted after training."""
    centre, matrix = torch.from_numpy(prior.white.centre), torch.from_numpy(prior.white.spread)
    return white_draw_of(prior.density, centre, matrix)
