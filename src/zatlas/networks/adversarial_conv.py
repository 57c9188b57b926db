"""Convolutional generators and critics without normalisation, for images of any height, width and channels.

On MNIST (size s, batches of 64, a penalty every 8th step) a step of both players takes the strided pair 153 ms of one
core and the residual one 399.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zatlas.networks.adversarial import SLOPE, ProjectionHead, Residual, he
from zatlas.networks.conv import halvings
from zatlas.networks.declaring import Sized, need_large_images
from zatlas.networks.layout import Conv2d, ConvTranspose2d
from zatlas.networks.mlp import join
from zatlas.parts import Context, network

START = 0.1  # of He's deviation, for what paints the picture: at all of it draws kept the grain they began with


class Resize(nn.Module):
    """A 1x1 convolution to other channels, and bilinear interpolation to another size."""

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.mix = he(nn.Conv2d(before, after, 1), 2**-0.5)  # between blocks, with no rectifier to make up for

    def forward(self, h: Tensor) -> Tensor:
        return F.interpolate(self.mix(h), self.size, mode="bilinear", align_corners=False)


def _stage(width: int, blocks: int, all_blocks: int) -> list[nn.Module]:
    """Blocks of a 3x3 convolution, which looks around, and a 1x1, which mixes."""
    pairs = ((nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)) for _ in range(blocks))
    return [Residual(first, second, all_blocks) for first, second in pairs]


class ResidualConvCritic(nn.Module):
    """x ``[B, C, H, W]`` and y ``[B, Y]`` to ``[B]``: residual stages between bilinear halvings (Huang et al. 2024).

    Args:
        shape: ``(C, H, W)``.
        channels: of each stage; height and width halve (rounding up) before each, before the first by a strided
            convolution.
        label_dim: Y, or 0; y is projected on the last features.
        blocks: in each stage.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], *, label_dim: int = 0, blocks: int = 1) -> None:
        super().__init__()
        sizes = halvings(shape[1], shape[2], len(channels))[1:]
        count = blocks * len(sizes)
        layers: list[nn.Module] = [he(nn.Conv2d(shape[0], channels[0], 3, stride=2, padding=1))]
        for i, size in enumerate(sizes):
            layers += [Resize(channels[i - 1], channels[i], size)] if i else []
            layers += _stage(channels[i], blocks, count)
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(SLOPE))
        last = channels[len(sizes) - 1]
        # each channel is summed with learned weights of place: every place would cost a layer of many more
        self.sum = he(nn.Conv2d(last, last, sizes[-1], groups=last))
        self.head = ProjectionHead(last, label_dim=label_dim)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.head(self.sum(self.layers(x)).flatten(1), y)


class ResidualConvGenerator(nn.Module):
    """The mirror of :class:`ResidualConvCritic`: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``.

    Args:
        latent_dim: D.
        channels: of each stage as the critic has them, the last one first used.
        out_shape: ``(C, H, W)``.
        label_dim: Y, or 0; y is concatenated to z.
        blocks: in each stage.
    """

    def __init__(
        self,
        latent_dim: int,
        channels: Sequence[int],
        out_shape: Sequence[int],
        *,
        label_dim: int = 0,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        whole, *sizes = halvings(out_shape[1], out_shape[2], len(channels))
        count = blocks * len(sizes)
        self.start = (channels[len(sizes) - 1], *sizes[-1])
        self.first = he(nn.Linear(latent_dim + label_dim, torch.Size(self.start).numel()), 2**-0.5)
        layers: list[nn.Module] = []
        for i in reversed(range(len(sizes))):
            layers += _stage(channels[i], blocks, count)
            layers += [Resize(channels[i], channels[i - 1], sizes[i - 1])] if i else []
        padding = (whole[0] - (2 * sizes[0][0] - 1), whole[1] - (2 * sizes[0][1] - 1))
        out = nn.ConvTranspose2d(channels[0], out_shape[0], 3, stride=2, padding=1, output_padding=padding)
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(SLOPE), out)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        h = self.first(join(z, y, self.label_dim))
        out = self.layers(h.reshape(-1, *self.start))
        return out.reshape(*z.shape[:-1], *out.shape[1:])


class StridedCritic(nn.Module):
    """x ``[B, C, H, W]`` and y ``[B, Y]`` to ``[B]``: 4x4 convolutions of stride 2, a linear layer; y is projected.

    As of DCGAN (Radford et al. 2016), without its normalisation, which would mix the examples of a batch: a penalty on
    slopes wants each score to be of its own example.

    Args:
        shape: ``(C, H, W)``.
        channels: of each convolution, which halves height and width (rounding up).
        hidden: width of the linear layer.
        label_dim: Y, or 0.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], hidden: int, *, label_dim: int = 0) -> None:
        super().__init__()
        sizes = halvings(shape[1], shape[2], len(channels))
        layers: list[nn.Module] = []
        for before, after, (height, width) in zip((shape[0], *channels), channels, sizes[:-1], strict=False):
            # a pixel of zeros before the first and after the last, and one more where the side is odd
            layers += [nn.ZeroPad2d((1, 1 + width % 2, 1, 1 + height % 2)), he(Conv2d(before, after, 4, stride=2))]
            layers += [nn.LeakyReLU(SLOPE)]
        features = channels[len(sizes) - 2] * sizes[-1][0] * sizes[-1][1]
        self.layers = nn.Sequential(*layers, nn.Flatten(), he(nn.Linear(features, hidden)), nn.LeakyReLU(SLOPE))
        self.head = ProjectionHead(hidden, label_dim=label_dim)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.head(self.layers(x), y)


def _doubling(before: int, after: int, gain: float) -> nn.Module:
    """A transposed convolution to twice the side: each pixel meets 4 of the 16 weights, which He's variance is for."""
    layer = ConvTranspose2d(before, after, 4, stride=2, padding=1)
    nn.init.normal_(layer.weight, std=gain * (2 / ((1 + SLOPE**2) * 4 * before)) ** 0.5)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class StridedGenerator(nn.Module):
    """The mirror of :class:`StridedCritic`: z ``[..., D]`` and y ``[..., Y]`` to ``[..., *out_shape]``.

    Args:
        latent_dim: D.
        channels: of each stage as the critic has them, the last one first used.
        hidden: width of the linear layer.
        out_shape: ``(C, H, W)``.
        label_dim: Y, or 0; y is concatenated to z.
    """

    def __init__(
        self, latent_dim: int, channels: Sequence[int], hidden: int, out_shape: Sequence[int], *, label_dim: int = 0
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        sizes = halvings(out_shape[1], out_shape[2], len(channels))
        widths = (out_shape[0], *channels[: len(sizes) - 1])
        self.start = (widths[-1], *sizes[-1])
        first = he(nn.Linear(latent_dim + label_dim, hidden))
        second = he(nn.Linear(hidden, torch.Size(self.start).numel()))
        self.first = nn.Sequential(first, nn.LeakyReLU(SLOPE), second)
        layers: list[nn.Module] = []
        for i in reversed(range(len(sizes) - 1)):
            # twice the side, less the last pixel where that is one too many
            height, width = (2 * low - side for low, side in zip(sizes[i + 1], sizes[i], strict=True))
            up = _doubling(widths[i + 1], widths[i], 1.0 if i else START)
            layers += [nn.LeakyReLU(SLOPE), up, nn.ZeroPad2d((0, -width, 0, -height))]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        out = self.layers(self.first(join(z, y, self.label_dim)).reshape(-1, *self.start))
        return out.contiguous().reshape(*z.shape[:-1], *out.shape[1:])


STRIDED = {"xs": (16, 32), "s": (32, 64), "m": (32, 64, 128), "l": (64, 128, 256)}
STRIDED_HIDDEN = {"xs": 64, "s": 256, "m": 512, "l": 1024}
CHANNELS = {"xs": (16, 32, 32), "s": (32, 64, 128), "m": (64, 128, 256, 256), "l": (128, 256, 512, 512)}


@network(
    "conv",
    when="images: fewer parameters, better with few examples or larger images; what a gan of images is built of",
    role="adversarial",
    order=3,
    settings=Sized,
    dear_penalty=True,
)
class StridedGame:
    """Strided convolutions."""

    def __init__(self, settings: Sized, context: Context) -> None:
        need_large_images(context.spec, "conv")
        self.channels, self.hidden, self.context = STRIDED[settings.size], STRIDED_HIDDEN[settings.size], context

    @classmethod
    def of(cls, settings: Sized, context: Context) -> StridedGame:
        """Generator and critic of one size."""
        return cls(settings, context)

    def generator(self) -> nn.Module:
        """``(z, y) -> [..., *data]``."""
        c = self.context
        return StridedGenerator(c.latent_dim, self.channels, self.hidden, c.spec.shape, label_dim=c.label_dim)

    def critic(self) -> nn.Module:
        """``(x, y) -> [B]``."""
        c = self.context
        return StridedCritic(c.spec.shape, self.channels, self.hidden, label_dim=c.label_dim)


@network(
    "resnet",
    when="images: residual blocks, the best networks here and the slowest",
    role="adversarial",
    order=4,
    settings=Sized,
    dear_penalty=True,
)
class ResidualConvGame:
    """Residual blocks of convolutions."""

    def __init__(self, settings: Sized, context: Context) -> None:
        need_large_images(context.spec, "resnet")
        self.channels, self.context = CHANNELS[settings.size], context

    @classmethod
    def of(cls, settings: Sized, context: Context) -> ResidualConvGame:
        """Generator and critic of one size."""
        return cls(settings, context)

    def generator(self) -> nn.Module:
        """``(z, y) -> [..., *data]``."""
        c = self.context
        return ResidualConvGenerator(c.latent_dim, self.channels, c.spec.shape, label_dim=c.label_dim)

    def critic(self) -> nn.Module:
        """``(x, y) -> [B]``."""
        c = self.context
        return ResidualConvCritic(c.spec.shape, self.channels, label_dim=c.label_dim)
