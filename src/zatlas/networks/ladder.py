"""The rungs of a ladder: what one level of a hierarchical model is made of, for vectors and for images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zatlas.distributions import DiagonalGaussian
from zatlas.networks.declaring import Sized, need_images
from zatlas.networks.mlp import MLP_WIDTH
from zatlas.networks.resnet import RESNET_BLOCKS, RESNET_WIDTHS, ConvBlock, Pyramid, group_norm
from zatlas.parts import Context, network

PRIOR_LOG_VARIANCE, RESIDUAL_LOG_VARIANCE = 6.0, 8.0  # the farthest from 0 that each can get


def bounded(a: Tensor, most: float) -> Tensor:
    """a, bent softly so that it stays within +-most: exp of it can neither overflow nor vanish."""
    return most * torch.tanh(a / most)


def over(net: nn.Module, h: Tensor, dims: int) -> Tensor:
    """The network over h ``[..., *event]`` of so many event dimensions, whatever stands before them."""
    leading = h.shape[: h.dim() - dims]
    out = net(h.reshape(-1, *h.shape[h.dim() - dims :]))
    return out.reshape(*leading, *out.shape[1:])


class Rung(nn.Module):
    r"""One level: features of x on the way up, p(z_l|z_<l) and q(z_l|z_<l, x) on the way down.

    The state h holds all that generation knows of z_<l. The prior reads h; the posterior reads h + d, d being the
    features of x (Kingma et al. 2016, section 3.4 and figure 3), and says how it differs from the prior:

    .. math:: p = N(\mu(h), \sigma^2(h)), \qquad q = N(\mu + \Delta\mu(h + d),\; \sigma^2\, \Delta\sigma^2(h + d))

    (Vahdat & Kautz 2020, section 3.2): where the data say nothing, q has nothing to learn.

    Args:
        z_shape: of z_l as the networks see it: ``(D,)`` or ``(channels, h, w)``.
        state: shape of h and of d.
        up: features of the level below, or x at the lowest, to d ``[B, *state]``.
        prior: h to means and log-variances; None at the top, whose prior is N(0, I).
        posterior: h + d to the differences of means and log-variances.
        embed: z_l to a shape of h.
        down: h with z_l in it to the h of the next level, or to what the readout takes.
    """

    zeros: Tensor

    def __init__(
        self,
        z_shape: Sequence[int],
        state: Sequence[int],
        *,
        up: nn.Module,
        prior: nn.Module | None,
        posterior: nn.Module,
        embed: nn.Module,
        down: nn.Module,
    ) -> None:
        super().__init__()
        self.z_shape, self.state = tuple(z_shape), tuple(state)
        self.up, self.prior_net, self.posterior_net, self.embed, self.down = up, prior, posterior, embed, down
        self.register_buffer("zeros", torch.zeros(self.latent_dim), persistent=False)

    @property
    def latent_dim(self) -> int:
        """D_l."""
        return math.prod(self.z_shape)

    def prior(self, h: Tensor) -> DiagonalGaussian:
        """p(z_l|z_<l) over ``[..., D_l]`` for h ``[..., *state]``; over ``[D_l]`` at the top."""
        if self.prior_net is None:
            return DiagonalGaussian(self.zeros, self.zeros)
        mean, log_variance = self._read(self.prior_net, h)
        return DiagonalGaussian(mean, bounded(log_variance, PRIOR_LOG_VARIANCE))

    def posterior(self, h: Tensor, d: Tensor, p: DiagonalGaussian) -> DiagonalGaussian:
        """q(z_l|z_<l, x) over ``[..., B, D_l]`` for h ``[..., *state]`` and d ``[B, *state]``."""
        mean, log_variance = self._read(self.posterior_net, h + d)
        return DiagonalGaussian(p.mean + mean, p.log_variance + bounded(log_variance, RESIDUAL_LOG_VARIANCE))

    def descend(self, h: Tensor, z: Tensor) -> Tensor:
        """The state of the next level, for h ``[..., *state]`` and z ``[..., D_l]``."""
        dims = len(self.state)
        return over(self.down, h + over(self.embed, z.unflatten(-1, self.z_shape), dims), dims)

    def _read(self, net: nn.Module, h: Tensor) -> tuple[Tensor, ...]:
        out = over(net, h, len(self.state)).float()
        return out.flatten(-len(self.state)).chunk(2, -1)


class Readout(nn.Module):
    """The last state ``[..., *state]`` to ``[..., *out_shape]``; y is ignored."""

    def __init__(self, net: nn.Module, dims: int) -> None:
        super().__init__()
        self.net = net
        self.dims = dims

    def forward(self, h: Tensor, y: Tensor | None = None) -> Tensor:
        return over(self.net, h, self.dims)


class DenseBlock(nn.Module):
    """h + f(h), f being layer normalisation, a linear layer, GELU and a linear layer that starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), last)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.layers(h)


def vector_ladder(
    data_size: int, latent_dims: Sequence[int], width: int, out_shape: Sequence[int], *, blocks: int = 1
) -> tuple[list[Rung], Readout]:
    """Rungs (top first) and readout of fully connected residual blocks, for data of any shape.

    Args:
        data_size: number of values in one example.
        latent_dims: D of each level, top first.
        width: of the state, the same at all levels.
        out_shape: of the readout.
        blocks: residual blocks between two levels, on the way up and on the way down.
    """

    def stack() -> list[nn.Module]:
        return [DenseBlock(width) for _ in range(blocks)]

    def head(latent_dim: int) -> nn.Module:
        return nn.Sequential(DenseBlock(width), nn.LayerNorm(width), nn.Linear(width, 2 * latent_dim))

    lowest = len(latent_dims) - 1
    rungs = []
    for level, latent_dim in enumerate(latent_dims):
        stem: list[nn.Module] = [nn.Flatten(1), nn.Linear(data_size, width)] if level == lowest else []
        rungs.append(
            Rung(
                (latent_dim,),
                (width,),
                up=nn.Sequential(*stem, *stack()),
                prior=head(latent_dim) if level else None,
                posterior=head(latent_dim),
                embed=nn.Linear(latent_dim, width),
                down=nn.Sequential(*stack()),
            )
        )
    last = nn.Linear(width, math.prod(out_shape))
    return rungs, Readout(nn.Sequential(nn.LayerNorm(width), last, nn.Unflatten(1, tuple(out_shape))), 1)


def stage_of(level: int, levels: int, stages: int) -> int:
    """The stage of a level: the top at the coarsest, the others spread evenly towards the finest.

    >>> [stage_of(level, 5, 3) for level in range(5)], [stage_of(level, 2, 3) for level in range(2)]
    ([2, 2, 1, 1, 0], [2, 1])
    """
    return stages - 1 - level * stages // levels


def image_ladder(
    shape: Sequence[int],
    channels: Sequence[int],
    widths: Sequence[int],
    out_shape: Sequence[int],
    *,
    blocks: int = 1,
) -> tuple[list[Rung], Readout]:
    """Rungs (top first) and readout of convolutional residual blocks; z of a level is a map of its stage's size.

    Args:
        shape: ``(C, H, W)``.
        channels: of z at each level, top first; D_l is this times height and width of the level's stage.
        widths: of the state at each stage; every stage halves height and width (rounding up).
        out_shape: ``(parameters, H, W)`` of the readout.
        blocks: residual blocks between two levels, on the way up and on the way down.
    """
    pyramid = Pyramid.over(shape[1], shape[2], widths)
    stages = [stage_of(level, len(channels), len(pyramid.sizes)) for level in range(len(channels))]

    def stack(stage: int) -> list[nn.Module]:
        return [ConvBlock(pyramid.widths[stage]) for _ in range(blocks)]

    def head(stage: int, outputs: int) -> nn.Module:
        width = pyramid.widths[stage]
        return nn.Sequential(ConvBlock(width), group_norm(width), nn.SiLU(), nn.Conv2d(width, outputs, 1))

    rungs = []
    for level, (stage, count) in enumerate(zip(stages, channels, strict=True)):
        is_lowest = level == len(channels) - 1
        # below the lowest level lie x and the stages that hold no z
        below = 0 if is_lowest else stages[level + 1]
        stem = [pyramid.stem(shape[0]), *stack(0)] if is_lowest else []
        climb = pyramid.travel(below, stage, blocks) if below != stage else stack(stage) if not is_lowest else []
        descent = pyramid.travel(stage, below, blocks) if below != stage else stack(stage)
        rungs.append(
            Rung(
                (count, *pyramid.sizes[stage]),
                (pyramid.widths[stage], *pyramid.sizes[stage]),
                up=nn.Sequential(*stem, *climb),
                prior=head(stage, 2 * count) if level else None,
                posterior=head(stage, 2 * count),
                embed=nn.Conv2d(count, pyramid.widths[stage], 1),
                down=nn.Sequential(*descent),
            )
        )
    return rungs, Readout(pyramid.readout(out_shape[0]), 3)


def _dims(context: Context) -> list[int]:
    return [context.latent_dim] * context.config.model.levels


@network(
    "mlp",
    when="any data: fast on a CPU, and hard to beat on small images",
    role="ladder",
    order=1,
    settings=Sized,
)
def dense_ladder(settings: Sized, context: Context, *, out_shape: Sequence[int]) -> tuple[Sequence[Rung], nn.Module]:
    """Levels of as many units each as ``latent_dim`` says."""
    return vector_ladder(context.spec.size, _dims(context), MLP_WIDTH[settings.size], out_shape)


@network(
    "resnet",
    when="images: residual blocks, the best networks here and the slowest",
    role="ladder",
    order=4,
    settings=Sized,
)
def residual_ladder(settings: Sized, context: Context, *, out_shape: Sequence[int]) -> tuple[Sequence[Rung], nn.Module]:
    """Levels of as many channels each as ``latent_dim`` says."""
    need_images(context.spec, "resnet")
    widths, blocks = RESNET_WIDTHS[settings.size], RESNET_BLOCKS[settings.size]
    return image_ladder(context.spec.shape, _dims(context), widths, out_shape, blocks=blocks)
