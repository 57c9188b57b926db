"""Changes of training images that a person names: flip, crop, shift.

They change what p(x) is of: a model of flipped images gives a mirrored image the same probability, and its bound is
that of the images and their variants, not of the images alone. So nothing is done unless it is named, and images that a
model is judged by are never changed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from zatlas.data import counter_rng
from zatlas.data.source import Rows
from zatlas.errors import UsageError, nearest
from zatlas.types import DataSpec

SHIFT = 8  # a side is moved by at most this part of it
SMALLEST = 0.8  # of a side: what a crop keeps at least
# In the order in which they are done; what a person is told of each.
AUGMENTATIONS = {
    "crop": f"a window of {SMALLEST:.0%} to 100% of each side, at a random place, scaled back (bilinear)",
    "shift": f"moved by up to 1/{SHIFT} of each side, the edge repeated",
    "flip": "mirrored left to right with probability 1/2",
}


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names in the order in which they are done, each once.

    Raises:
        UsageError: there is none of that name.

    >>> known(["flip", "crop", "flip"])
    ('crop', 'flip')
    """
    given = list(names)
    for name in given:
        if name not in AUGMENTATIONS:
            raise UsageError(f"there is no augmentation {name!r}; {nearest(name, AUGMENTATIONS)}")
    return tuple(name for name in AUGMENTATIONS if name in given)


def in_words(names: Iterable[str]) -> str:
    """What is done to training images and what follows from it.

    >>> in_words(["flip"])
    'augmented by flip: the model is of the images and their variants, the figures of held-out images as they are'
    """
    return (
        f"augmented by {' and '.join(known(names))}: the model is of the images and their variants, the figures of "
        "held-out images as they are"
    )


class Augmentation:
    """Changes a batch of images, each by draws that are a function of the key and its row number alone.

    Args:
        names: of :data:`AUGMENTATIONS`.
        spec: of the data.
        where: what to call them in an error.

    Raises:
        UsageError: an unknown name, or data that are no images.
    """

    def __init__(self, names: Iterable[str], spec: DataSpec, where: str = "data") -> None:
        self.names = known(names)
        if self.names and not spec.is_image:
            raise UsageError(
                f"{where} holds vectors of {spec.shape[0]} numbers, and only images can be changed by {self.names[0]}: "
                "leave data.augment empty."
            )

    def __bool__(self) -> bool:
        return bool(self.names)

    def __call__(self, x: Tensor, rows: Rows, key: int) -> Tensor:
        """Images ``[B, C, H, W]`` of any type, changed; of bytes, values between two are rounded.

        Args:
            x: the images, on any device.
            rows: their row numbers ``[B]``.
            key: of seed and epoch.
        """
        draws = {
            name: _units(counter_rng.words(counter_rng.key(key, number), rows))
            for number, name in enumerate(AUGMENTATIONS)
            if name in self.names
        }
        places = [
            _places(x.shape[axis], draws, {name: draw[:, axis - 2] for name, draw in draws.items()}) for axis in (2, 3)
        ]
        if "flip" in draws:
            places[1] = torch.where(draws["flip"][:, :1] < 0.5, places[1].flip(1), places[1])
        return _mixed(x, *places) if "crop" in draws else _moved(x, *places)


def _moved(x: Tensor, tall: Tensor, wide: Tensor) -> Tensor:
    """Lines of every image in another order, by their whole numbers ``[B, side]``."""
    for axis, place in ((2, tall[:, None, :, None]), (3, wide[:, None, None, :])):
        x = x.gather(axis, place.long().to(x.device).expand(x.shape))
    return x


def _mixed(x: Tensor, tall: Tensor, wide: Tensor) -> Tensor:
    """Lines at places between lines, mixed of the two: by products of matrices, as gathering both took twice as long
    (of 128 colour images of 64x64 on one core 57 ms, and 31 ms so)."""
    batch, channels, height, width = x.shape
    values = torch.bmm(x.float().reshape(batch, channels * height, width), _weights(wide).to(x.device).transpose(1, 2))
    down = _weights(tall).to(x.device).repeat_interleave(channels, 0)
    values = down.bmm(values.reshape(batch * channels, height, width)).reshape(x.shape)
    return values if x.is_floating_point() else values.round_().to(x.dtype)


def _units(bits: counter_rng.Words) -> Tensor:
    """Three numbers in [0, 1) out of each word, ``[B, 3]``."""
    parts = [bits >> np.uint64(shift) & np.uint64(0xFFFFF) for shift in (0, 20, 40)]
    return torch.from_numpy(np.stack(parts, 1).astype(np.float32) / np.float32(1 << 20))


def _places(side: int, draws: dict[str, Tensor], own: dict[str, Tensor]) -> Tensor:
    """From where along an axis every line of every image comes, ``[B, side]``; between two lines they are mixed.

    Args:
        side: how many lines there are.
        draws: three numbers ``[B, 3]`` for each name.
        own: those of this axis ``[B]``.
    """
    place = torch.arange(side, dtype=torch.float32).expand(len(next(iter(draws.values()))), side)
    if "shift" in draws:
        most = max(1, side // SHIFT) if side > 1 else 0
        place = (place + most - (own["shift"] * (2 * most + 1)).floor()[:, None]).clamp(0, side - 1)
    if "crop" in draws:
        kept = SMALLEST + (1 - SMALLEST) * draws["crop"][:, 2:]
        place = own["crop"][:, None] * (1 - kept) * side + (place + 0.5) * kept - 0.5
    return place.clamp(0, side - 1)


def _weights(places: Tensor) -> Tensor:
    """The matrices ``[B, side, side]`` of linear interpolation at the places."""
    return (1 - (places[:, :, None] - torch.arange(places.shape[1])).abs()).clamp_(min=0)
