"""A code with a place for every number: fully convolutional networks between images and maps of codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.declaring import Pair, Sized, need_images
from zatlas.networks.resnet import RESNET_BLOCKS, ConvBlock, Pyramid, group_norm
from zatlas.parts import SORTS, Context, Settings, network
from zatlas.types import DataSpec

CodeShape = tuple[int, int, int]


def need_factor(spec: DataSpec, network: str, factor: int, key: str) -> tuple[int, int]:
    """Height and width of the map of codes.

    Args:
        spec: of the data.
        network: its name, for the sentence.
        factor: by which height and width are divided.
        key: the setting that it comes from, for the sentence.

    Raises:
        UsageError: no images, or sizes that do not divide.
    """
    need_images(spec, network)
    height, width = spec.shape[1:]
    if height % factor or width % factor:
        fits = [max(factor, round(size / factor) * factor) for size in (height, width)]
        raise UsageError(
            f"the {network} network divides height and width by {factor}, and these images are {height}x{width}: "
            f"give --resize {fits[0] if fits[0] == fits[1] else f'{fits[0]}x{fits[1]}'}, or another {key}."
        )
    return height // factor, width // factor


def need_diagonal(config: Any, name: str) -> None:
    """A map of codes has a mean and a log-variance at each place, and a model of one layer.

    Raises:
        ValueError: the posterior is another.
    """
    if config.posterior is not None and not SORTS["posterior"].get(config.posterior.kind).has("by_unit"):
        raise ValueError(
            f"network.kind = '{name}' says a mean and a log-variance at each place of its code: it goes with "
            f"posterior.kind = 'diagonal', not with '{config.posterior.kind}'"
        )


class SpatialSettings(Sized):
    """The settings of networks with a map for a code."""

    code_channels: int = Field(4, ge=1, le=4096, description="of the code, which has as many units at every place")
    factor: Literal[2, 4, 8, 16, 32] = Field(4, description="height and width of the image over those of the code")


class MapEncoder(nn.Module):
    """x ``[B, C, H, W]`` and y ``[B, Y]`` to ``[B, outputs h w]``: maps of codes, channel by channel.

    Args:
        pyramid: from the image to the map.
        channels: of the image.
        outputs: channels of what is said: twice those of the code, or once.
        blocks: residual blocks at each stage.
        label_dim: Y, or 0; y is added to the features at the coarsest stage, alike at every place.
    """

    def __init__(self, pyramid: Pyramid, channels: int, outputs: int, *, blocks: int = 1, label_dim: int = 0) -> None:
        super().__init__()
        top = pyramid.widths[-1]
        self.features = nn.Sequential(pyramid.stem(channels), *pyramid.travel(0, len(pyramid.sizes) - 1, blocks - 1))
        self.labels = nn.Linear(label_dim, top) if label_dim else None
        last = [group_norm(top), nn.SiLU(), nn.Conv2d(top, outputs, 1)]
        self.out = nn.Sequential(*(ConvBlock(top) for _ in range(blocks)), *last)

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.out(_told(self.features(x), y, self.labels)).flatten(1)


class MapDecoder(nn.Module):
    """The mirror of :class:`MapEncoder`: z ``[..., C h w]`` and y ``[..., Y]`` to ``[..., *out_shape]``."""

    def __init__(self, pyramid: Pyramid, channels: int, outputs: int, *, blocks: int = 1, label_dim: int = 0) -> None:
        super().__init__()
        top = pyramid.widths[-1]
        self.code = (channels, *pyramid.sizes[-1])
        self.first = nn.Conv2d(channels, top, 3, padding=1)
        self.labels = nn.Linear(label_dim, top) if label_dim else None
        self.out = nn.Sequential(
            *(ConvBlock(top) for _ in range(blocks)),
            *pyramid.travel(len(pyramid.sizes) - 1, 0, blocks - 1),
            group_norm(pyramid.widths[0]),
            nn.SiLU(),
            # a kernel that the stride divides gives every pixel as many terms: one of 5 leaves a chequerboard
            nn.ConvTranspose2d(pyramid.widths[0], outputs, 6, stride=2, padding=2),
        )

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        y = None if y is None else y.reshape(-1, y.shape[-1])
        features = self.first(z.reshape(-1, *self.code))
        out = self.out(_told(features, y, self.labels))
        return out.reshape(*z.shape[:-1], *out.shape[1:])


def _told(features: Tensor, y: Tensor | None, labels: nn.Linear | None) -> Tensor:
    """Features ``[B, C, h, w]`` with what y says added everywhere."""
    if labels is None:
        return features
    if y is None:
        raise ValueError("the network needs y")
    return features + labels(y)[..., None, None]


WIDTHS = {"xs": (16, 16, 16, 16, 16), "s": (32, 64, 64, 64, 64), "m": (64, 128, 128, 128, 128),
          "l": (128, 256, 256, 256, 256)}  # fmt: skip


def code_shape(settings: Settings, spec: DataSpec) -> CodeShape:
    """[C, h, w] of the code of images of that size."""
    assert isinstance(settings, SpatialSettings)
    return (settings.code_channels, *need_factor(spec, "spatial", settings.factor, "network.factor"))


@network(
    "spatial",
    when="photographs: the code is a map [channels, h, w], so that what is where in the image stays there; sharper "
    "than any code without places",
    source="van den Oord et al. 2017, section 4; Rombach et al. 2022, section 3.1",
    role="autoencoder",
    order=5,
    settings=SpatialSettings,
    code_shape=code_shape,
    check=lambda config: need_diagonal(config, "spatial"),
)
def spatial(settings: SpatialSettings, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """Residual blocks from the image to the map of codes, and back; no layer mixes all places."""
    channels, *size = code_shape(settings, context.spec)
    stages = settings.factor.bit_length() - 1
    height, width = context.spec.shape[1:]
    sizes = tuple((height >> stage, width >> stage) for stage in range(1, stages + 1))
    pyramid = Pyramid((height, width), sizes, WIDTHS[settings.size][:stages])
    blocks, y = RESNET_BLOCKS[settings.size], context.label_dim
    return (
        MapEncoder(pyramid, context.spec.shape[0], outputs // math.prod(size), blocks=blocks, label_dim=y),
        MapDecoder(pyramid, channels, out_shape[0], blocks=blocks, label_dim=y),
    )
