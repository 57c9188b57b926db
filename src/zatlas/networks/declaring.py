"""What the declarations of networks share: sizes by one dial, and the images that they are made for."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.likelihood import data_units
from zatlas.parts import Context, Settings
from zatlas.types import DataSpec

Size = Literal["xs", "s", "m", "l"]
Pair = tuple[nn.Module, nn.Module]  # encoder to numbers, decoder to the parameters of p(x|z)


class Sized(Settings):
    """The settings of networks that come in sizes."""

    size: Size = "s"


def can_convolve(spec: DataSpec) -> bool:
    """Whether a convolutional network can be built for such data."""
    return spec.is_image and min(spec.shape[1:]) >= 5


def need_images(spec: DataSpec, network: str) -> None:
    """Refuses columns.

    Raises:
        UsageError: they are no images.
    """
    if not spec.is_image:
        raise UsageError(f"the {network} network wants images, not {spec.shape[0]} columns: choose mlp.")


def need_large_images(spec: DataSpec, network: str) -> None:
    """Refuses what cannot be halved.

    Raises:
        UsageError: they are no images, or smaller than 5x5 pixels.
    """
    if not can_convolve(spec):
        raise UsageError(f"the {network} network wants images of 5x5 pixels or more, not {spec.shape}: choose mlp.")


def game_units(context: Context) -> tuple[Tensor, Tensor]:
    """Zero and unit of what a critic sees: those that make values in [0, 1] values in [-1, 1], as the papers have it;
    of real columns their own."""
    import torch

    if context.spec.values == "real":
        return data_units(context.spec, context.stats)
    return torch.full((), 0.5), torch.full((), 0.5)
