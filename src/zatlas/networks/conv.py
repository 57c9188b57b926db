"""Convolutional networks for images of any height, width and number of channels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from zatlas.networks.declaring import Pair, Sized, need_images, need_large_images
from zatlas.networks.layout import Conv2d, ConvTranspose2d
from zatlas.networks.mlp import join
from zatlas.parts import Context, network


def halvings(height: int, width: int, most: int) -> list[tuple[int, int]]:
    """Sizes of an image halved (rounding up) until the shorter side is at most 4 pixels, ``most`` times at the utmost.

    >>> halvings(28, 20, 4)
    [(28, 20), (14, 10), (7, 5), (4, 3)]
    """
    sizes = [(height, width)]
    while len(sizes) <= most and min(sizes[-1]) > 4:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


class ConvEncoder(nn.Module):
    """Strided 3x3 convolutions, then two linear layers; y ``[B, Y]`` joins before the first of them.

    Args:
        shape: ``(C, H, W)``.
        channels: output channels of each convolution; each halves height and width (rounding up).
        hidden: width of the linear layer.
        out: number of outputs.
        label_dim: Y, or 0.
    """

    def __init__(
        self, shape: Sequence[int], channels: Sequence[int], hidden: int, out: int, *, label_dim: int = 0
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        sizes = halvings(shape[1], shape[2], len(channels))
        widths = [shape[0], *channels[: len(sizes) - 1]]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [Conv2d(before, after, 3, stride=2, padding=1), nn.GELU()]
        self.convolutions = nn.Sequential(*layers)
        features = widths[-1] * sizes[-1][0] * sizes[-1][1]
        self.head = nn.Sequential(nn.Linear(features + label_dim, hidden), nn.GELU(), nn.Linear(hidden, out))

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        features = self.convolutions(x).flatten(1)
        return self.head(join(features, y, self.label_dim))


class ConvDecoder(nn.Module):
    """The mirror of :class:`ConvEncoder`: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``.

    Output padding is chosen at each transposed convolution so that the sizes of the encoder come back exactly.
    """

    def __init__(
        self, latent_dim: int, channels: Sequence[int], hidden: int, out_shape: Sequence[int], *, label_dim: int = 0
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        sizes = halvings(out_shape[1], out_shape[2], len(channels))
        widths = [out_shape[0], *channels[: len(sizes) - 1]]
        self.start = (widths[-1], *sizes[-1])
        self.head = nn.Sequential(
            nn.Linear(latent_dim + label_dim, hidden),
            nn.GELU(),
            nn.Linear(hidden, torch.Size(self.start).numel()),
        )
        layers: list[nn.Module] = []
        for i in reversed(range(len(sizes) - 1)):
            (height, width), (low_height, low_width) = sizes[i], sizes[i + 1]
            padding = (height - (2 * low_height - 1), width - (2 * low_width - 1))
            layers += [
                nn.GELU(),
                ConvTranspose2d(widths[i + 1], widths[i], 3, stride=2, padding=1, output_padding=padding),
            ]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        features = self.head(join(z, y, self.label_dim))
        leading = features.shape[:-1]
        out = self.convolutions(features.reshape(-1, *self.start))
        return out.contiguous().reshape(*leading, *out.shape[1:])


CONV_WIDTHS = {"xs": (8, 16, 32), "s": (32, 64, 64), "m": (32, 64, 128, 128), "l": (64, 128, 256, 256)}
CONV_HIDDEN = {"xs": 64, "s": 256, "m": 256, "l": 512}


@network(
    "conv",
    when="images: fewer parameters, better with few examples or larger images; what a gan of images is built of",
    role="autoencoder",
    order=3,
    settings=Sized,
)
def conv(settings: Sized, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Strided convolutions and their mirror."""
    need_images(context.spec, "conv")
    need_large_images(context.spec, "conv")
    channels, hidden, y = CONV_WIDTHS[settings.size], CONV_HIDDEN[settings.size], context.label_dim
    return (
        ConvEncoder(context.spec.shape, channels, hidden, outputs, label_dim=y),
        ConvDecoder(context.latent_dim, channels, hidden, out_shape, label_dim=y),
    )
