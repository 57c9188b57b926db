"""Residual convolutional networks for images of any height, width and number of channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from zatlas.networks.conv import halvings
from zatlas.networks.declaring import Pair, Sized, need_images
from zatlas.networks.layout import Painter
from zatlas.networks.mlp import join
from zatlas.parts import Context, network


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation in at most eight groups of four channels or more (Wu & He 2018)."""
    return nn.GroupNorm(max(1, math.gcd(channels, 32) // 4), channels)


class ConvBlock(nn.Module):
    """x + f(x), f being twice normalisation, SiLU and a 3x3 convolution (He et al. 2016b, figure 4e).

    The last convolution starts at zero, so that an untrained stack of blocks is the identity (Goyal et al. 2017, 5.1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        first = nn.Conv2d(channels, channels, 3, padding=1)
        self.layers = nn.Sequential(group_norm(channels), nn.SiLU(), first, group_norm(channels), nn.SiLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Pyramid(NamedTuple):
    """Sizes and widths of the stages between an image and its coarsest features.

    Stage 0 is half the image, every next one half of the one before: blocks at the full size would cost a CPU more than
    all the others. An image of four pixels or fewer is not halved, and has one stage.

    Attributes:
        image: (H, W).
        sizes: (h, w) of each stage.
        widths: channels of each stage.
    """

    image: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]

    @classmethod
    def over(cls, height: int, width: int, widths: Sequence[int]) -> Pyramid:
        """At most ``len(widths)`` stages, fewer where the image is too small to be halved so often.

        >>> Pyramid.over(28, 20, (32, 64, 64, 64)).sizes
        ((14, 10), (7, 5), (4, 3))
        """
        image, *sizes = halvings(height, width, len(widths))
        sizes = sizes or [image]
        return cls(image, tuple(sizes), tuple(widths[: len(sizes)]))

    @property
    def top(self) -> tuple[int, int, int]:
        """Shape of the coarsest features."""
        return (self.widths[-1], *self.sizes[-1])

    def stem(self, channels: int) -> nn.Module:
        """From the image to stage 0."""
        return nn.Conv2d(channels, self.widths[0], 5, stride=self._stride, padding=2)

    def readout(self, channels: int) -> nn.Module:
        """From stage 0 to the image, at exactly its size."""
        (height, width), stride = self.sizes[0], self._stride
        rest = (self.image[0] - 1 - stride * (height - 1), self.image[1] - 1 - stride * (width - 1))
        last = Painter(self.widths[0], channels, 5, stride=stride, padding=2, output_padding=rest)
        return nn.Sequential(group_norm(self.widths[0]), nn.SiLU(), last)

    def travel(self, start: int, end: int, blocks: int = 0) -> nn.Sequential:
        """From stage ``start`` to stage ``end``, with so many residual blocks at each stage that is reached."""
        step = 1 if end > start else -1
        layers: list[nn.Module] = []
        for stage in range(start + step, end + step, step) if end != start else ():
            before, after = self.widths[stage - step], self.widths[stage]
            if step > 0:
                layers.append(nn.Conv2d(before, after, 3, stride=2, padding=1))
            else:
                # 1x1 and then nearest: no checkerboard, and the convolution is paid for at the small size
                layers += [nn.Conv2d(before, after, 1), nn.Upsample(self.sizes[stage])]
            layers += [ConvBlock(after) for _ in range(blocks)]
        return nn.Sequential(*layers)

    @property
    def _stride(self) -> int:
        return 1 if self.sizes[0] == self.image else 2


class ResNetEncoder(nn.Module):
    """x ``[B, C, H, W]`` and y ``[B, Y]`` to ``[B, out]``; y joins before the last, linear layer.

    Args:
        shape: ``(C, H, W)``.
        widths: channels of each stage; every stage halves height and width (rounding up).
        out: number of outputs.
        blocks: residual blocks at each stage.
        label_dim: Y, or 0.
    """

    def __init__(
        self, shape: Sequence[int], widths: Sequence[int], out: int, *, blocks: int = 1, label_dim: int = 0
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        pyramid = Pyramid.over(shape[1], shape[2], widths)
        self.convolutions = nn.Sequential(
            pyramid.stem(shape[0]),
            *(ConvBlock(pyramid.widths[0]) for _ in range(blocks)),
            *pyramid.travel(0, len(pyramid.sizes) - 1, blocks),
            group_norm(pyramid.widths[-1]),
            nn.SiLU(),
        )
        self.out = nn.Linear(math.prod(pyramid.top) + label_dim, out)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.out(join(self.convolutions(x).flatten(1), y, self.label_dim))


class ResNetDecoder(nn.Module):
    """The mirror of :class:`ResNetEncoder`: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``."""

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        out_shape: Sequence[int],
        *,
        blocks: int = 1,
        label_dim: int = 0,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        pyramid = Pyramid.over(out_shape[1], out_shape[2], widths)
        self.start = pyramid.top
        self.first = nn.Linear(latent_dim + label_dim, math.prod(pyramid.top))
        self.convolutions = nn.Sequential(
            *(ConvBlock(pyramid.widths[-1]) for _ in range(blocks)),
            *pyramid.travel(len(pyramid.sizes) - 1, 0, blocks),
            pyramid.readout(out_shape[0]),
        )

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        features = self.first(join(z, y, self.label_dim))
        out = self.convolutions(features.reshape(-1, *self.start))
        return out.reshape(*features.shape[:-1], *out.shape[1:])


__all__ = ["ConvBlock", "Pyramid", "ResNetDecoder", "ResNetEncoder", "group_norm"]


RESNET_WIDTHS = {"xs": (16, 32), "s": (32, 64, 64), "m": (64, 128, 128), "l": (128, 256, 256)}
RESNET_BLOCKS = {"xs": 1, "s": 1, "m": 2, "l": 3}


@network(
    "resnet",
    when="images: residual blocks, the best networks here and the slowest",
    role="autoencoder",
    order=4,
    settings=Sized,
)
def resnet(settings: Sized, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Residual blocks at every size of the image, and their mirror."""
    need_images(context.spec, "resnet")
    widths, blocks, y = RESNET_WIDTHS[settings.size], RESNET_BLOCKS[settings.size], context.label_dim
    return (
        ResNetEncoder(context.spec.shape, widths, outputs, blocks=blocks, label_dim=y),
        ResNetDecoder(context.latent_dim, widths, out_shape, blocks=blocks, label_dim=y),
    )
