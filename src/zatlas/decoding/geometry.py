"""Size and colour of one image: resizing, cropping from the centre, grey or RGB. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from zatlas.errors import UsageError

Pair = tuple[int, int]
PIXEL_LIMIT = 50_000_000  # of an image, as it comes and as it is resized


@dataclass(frozen=True)
class Geometry:
    """What is done to every image, in this order: resize, crop, channels.

    Args:
        resize: (height, width) in pixels, or the length of the shorter side; None leaves the size.
        crop: (height, width) cut from the centre; None cuts nothing.
        channels: 1 grey (ITU-R 601 luma) or 3 RGB; None leaves the colours.
    """

    resize: int | Pair | None = None
    crop: Pair | None = None
    channels: int | None = None

    @classmethod
    def of(cls, resize: int | Pair | None, crop: int | Pair | None, channels: int | None) -> Geometry:
        """The same from what a person gives, checked.

        Raises:
            UsageError: a side below 1, or another number of channels than 1 and 3.
        """
        pair = (crop, crop) if isinstance(crop, int) else crop
        sides = [*(resize if isinstance(resize, tuple) else [resize]), *(pair or ())]
        if any(side is not None and not 1 <= side <= PIXEL_LIMIT for side in sides):
            raise UsageError(f"resize {resize} and crop {crop} must be at least 1 pixel and at most {PIXEL_LIMIT:,}.")
        if channels not in (None, 1, 3):
            raise UsageError(f"channels {channels} must be 1 (grey) or 3 (RGB).")
        return cls(resize, pair, channels)

    @property
    def keeps(self) -> bool:
        """Whether nothing is done at all."""
        return self == Geometry()

    def about(self) -> dict[str, Any]:
        """Facts to show."""
        facts: dict[str, Any] = {}
        if self.resize is not None:
            to = f"to {as_text(self.resize)}" if isinstance(self.resize, tuple) else f"shorter side to {self.resize}"
            facts["resize"] = f"{to} pixels, by area-weighted bilinear filter"
        if self.crop is not None:
            facts["crop"] = f"to the {as_text(self.crop)} pixels at the centre"
        return facts

    def _resized(self, size: Pair) -> Pair:
        if not isinstance(self.resize, int):
            return self.resize or size
        shorter = min(size)
        return round(size[0] * self.resize / shorter), round(size[1] * self.resize / shorter)

    def size(self, size: Pair) -> Pair:
        """(height, width) that an image of (height, width) ends with.

        Raises:
            UsageError: the crop is larger than the image, or the resized image than any that is read.

        >>> Geometry(resize=32, crop=(32, 32)).size((64, 80))
        (32, 32)
        """
        after = self._resized(size)
        if after[0] * after[1] > PIXEL_LIMIT:
            raise UsageError(
                f"resized, an image of {as_text(size)} would have {as_text(after)} pixels and take "
                f"{3 * after[0] * after[1] / 1e9:,.1f} GB in colour: give a smaller --resize (at most "
                f"{PIXEL_LIMIT:,} pixels)."
            )
        if self.crop is None:
            return after
        if self.crop[0] > after[0] or self.crop[1] > after[1]:
            raise UsageError(f"crop {as_text(self.crop)} is larger than an image of {as_text(after)} pixels.")
        return self.crop

    def apply(self, image: Image.Image) -> Image.Image:
        """The image of mode L, RGB or F, resized and cropped."""
        size = (image.height, image.width)
        after, (height, width) = self._resized(size), self.size(size)
        if after != size:
            image = image.resize((after[1], after[0]), Image.Resampling.BILINEAR)
        top, left = (after[0] - height) // 2, (after[1] - width) // 2
        return image if (height, width) == after else image.crop((left, top, left + width, top + height))


def as_text(size: Pair) -> str:
    """Height and width as they are given: ``48x64``."""
    return f"{size[0]}x{size[1]}"


def plain(image: Image.Image, channels: int) -> Image.Image:
    """The first frame, upright, on white where it is see-through, in mode L or RGB."""
    if image.format != "JPEG" or "exif" in image.info or "xmp" in image.info:  # to look takes as long as to decode
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel; PIL's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if "transparency" in image.info or "A" in image.getbands():
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "RGB" if channels == 3 else "L"
    return image if image.mode == mode else image.convert(mode)
