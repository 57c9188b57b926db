"""Convolutional networks whose code is a map: P = h w positions, each a vector of d."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zatlas.networks.conv import halvings
from zatlas.networks.declaring import Sized, need_large_images
from zatlas.networks.mlp import MLP_WIDTH, MLPDecoder, MLPEncoder
from zatlas.parts import Context, network


class Residual(nn.Module):
    """h + a 3x3 and a 1x1 convolution of h (van den Oord et al. 2017, section 4.1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, width, 1)
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + self.layers(h)


class CodeMapEncoder(nn.Module):
    """Strided 3x3 convolutions, residual blocks, and a 1x1 convolution to d; y is ignored.

    Args:
        shape: ``(C, H, W)``.
        channels: of each strided convolution, which halves height and width (rounding up), while both exceed 4.
        dim: d.
        blocks: residual blocks on the map.

    Attributes:
        size: ``(h, w)`` of the map; P = h w.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], dim: int, *, blocks: int = 0) -> None:
        super().__init__()
        sizes = halvings(shape[1], shape[2], len(channels))
        self.size = sizes[-1]
        widths = [shape[0], *channels[: len(sizes) - 1]]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GELU()]
        layers += [Residual(widths[-1]) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], dim, 1))

    @property
    def positions(self) -> int:
        return self.size[0] * self.size[1]

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x ``[B, C, H, W]`` to ``[B, P d]``, position by position."""
        return self.layers(x).flatten(-2).transpose(-1, -2).flatten(-2)


class CodeMapDecoder(nn.Module):
    """The mirror of :class:`CodeMapEncoder`: z ``[..., P d]`` to ``[..., *out_shape]``; y is ignored.

    Args:
        dim: d.
        channels: the encoder's.
        out_shape: ``(parameters, H, W)``.
        blocks: the encoder's.
    """

    def __init__(self, dim: int, channels: Sequence[int], out_shape: Sequence[int], *, blocks: int = 0) -> None:
        super().__init__()
        self.dim = dim
        sizes = halvings(out_shape[1], out_shape[2], len(channels))
        self.size = sizes[-1]
        widths = [out_shape[0], *channels[: len(sizes) - 1]]
        # 3x3, so that a decoder without residual blocks still sees a position's neighbours
        layers: list[nn.Module] = [nn.Conv2d(dim, widths[-1], 3, padding=1)]
        layers += [Residual(widths[-1]) for _ in range(blocks)]
        for i in reversed(range(len(sizes) - 1)):
            (height, width), (low_height, low_width) = sizes[i], sizes[i + 1]
            padding = (height - (2 * low_height - 1), width - (2 * low_width - 1))
            layers += [
                nn.GELU(),
                nn.ConvTranspose2d(widths[i + 1], widths[i], 3, stride=2, padding=1, output_padding=padding),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        vectors = z.reshape(-1, torch.Size(self.size).numel(), self.dim)
        out = self.layers(vectors.transpose(-1, -2).unflatten(-1, self.size))
        return out.reshape(*z.shape[:-1], *out.shape[1:])


CHANNELS = {"xs": (16, 16), "s": (32, 64), "m": (64, 128), "l": (128, 256)}  # two halvings, as the paper has it
BLOCKS = {"xs": 0, "s": 1, "m": 2, "l": 2}


@network(
    "mlp",
    when="any data: fast on a CPU, and hard to beat on small images",
    role="quantised",
    order=1,
    settings=Sized,
)
def slots(settings: Sized, context: Context, *, out_shape: Sequence[int]) -> tuple[nn.Module, nn.Module, int]:
    """Encoder, decoder and the number of codes: as many as there are latent units."""
    w, positions = MLP_WIDTH[settings.size], context.latent_dim
    code = positions * context.config.model.code_dim
    encoder = MLPEncoder(context.spec.size, (2 * w, 2 * w, w), code, normalise=True)
    return encoder, MLPDecoder(code, (w, w, 2 * w), out_shape, normalise=True), positions


@network(
    "conv",
    when="images: fewer parameters, better with few examples or larger images; what a gan of images is built of",
    role="quantised",
    order=3,
    settings=Sized,
)
def maps(settings: Sized, context: Context, *, out_shape: Sequence[int]) -> tuple[nn.Module, nn.Module, int]:
    """Encoder, decoder and the number of codes: a map of them, a quarter of the image's height and width."""
    need_large_images(context.spec, "conv")
    channels, blocks, dim = CHANNELS[settings.size], BLOCKS[settings.size], context.config.model.code_dim
    encoder = CodeMapEncoder(context.spec.shape, channels, dim, blocks=blocks)
    return encoder, CodeMapDecoder(dim, channels, out_shape, blocks=blocks), encoder.positions
