"""One image file: what its header says, and its pixels."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from zatlas.decoding.geometry import PIXEL_LIMIT, Geometry, plain
from zatlas.decoding.members import Members
from zatlas.decoding.whole import check_whole

LARGEST_BYTES = 512 << 20  # of a file: 50 million pixels of 64 bits are 400 MB
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # EXIF: a camera that was held upright swaps height and width
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, UnidentifiedImageError, zlib.error, zipfile.BadZipFile)


class Unusable(Exception):
    """An image that cannot be used; the reason follows its name in a sentence."""


class Look(NamedTuple):
    """What is known of a file before its pixels are wanted: height and width as they are shown, whether it is grey and
    whether it is see-through, and the SHA-256 of its contents."""

    height: int
    width: int
    grey: bool
    see_through: bool
    digest: str


def look(members: Members, name: str, *, thorough: bool = False) -> Look:
    """A file's header and digest.

    Args:
        members: where it lies.
        name: of the file.
        thorough: decode it too, to know that it can be.

    Raises:
        Unusable: it is no image, damaged, or too large.
    """
    content = _content(members, name, "cannot be read")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            size = (image.height, image.width)
            if size[0] * size[1] > PIXEL_LIMIT:
                raise _too_large()
            if image.format == "TIFF":  # of which Pillow, from some version on, has swapped the sides itself
                size = (int(image.tag_v2[257]), int(image.tag_v2[256]))  # type: ignore[attr-defined]
            # PIL decodes a whole PNG to look for EXIF not met yet, bombs too, so only what is in the header counts.
            has_exif = "exif" in image.info or image.format not in ("PNG", "JPEG") or "xmp" in image.info
            size = size[::-1] if has_exif and image.getexif().get(_ORIENTATION) in _TURNED else size
            mode, clear = image.mode, "transparency" in image.info or "A" in image.getbands()
    except Image.DecompressionBombError:
        raise _too_large() from None
    except UnidentifiedImageError:
        raise Unusable("is not an image that can be read") from None
    except _DAMAGE as error:
        raise Unusable(f"cannot be read ({error})") from None
    if mode == "F":
        raise Unusable("holds floats of unknown range, which belong into an .npy")
    if thorough:
        _decoded(content, 3)
    grey = mode in ("1", "L", "LA") or mode.startswith("I")
    return Look(*size, grey, clear, hashlib.sha256(content).hexdigest())


def decode(members: Members, name: str, channels: int) -> Image.Image:
    """The image as it is shown, in mode L (1 channel) or RGB (3).

    Raises:
        Unusable: it is damaged, or too large.
    """
    return _decoded(_content(members, name, "is damaged"), channels)


def pixels(
    members: Members, name: str, geometry: Geometry, channels: int, shape: tuple[int, ...], digest: str
) -> npt.NDArray[Any]:
    """The pixels ``[C, H, W]`` (uint8) of a file, if it is still the one that was looked at.

    Raises:
        Unusable: it is damaged, or has changed.
    """
    content = _content(members, name, "is damaged")
    if hashlib.sha256(content).hexdigest() != digest:
        raise Unusable("has changed since it was opened")
    image = geometry.apply(_decoded(content, channels))
    found = np.asarray(image).reshape(image.height, image.width, channels).transpose(2, 0, 1)
    if found.shape != shape:
        raise Unusable(f"ends with {image.height}x{image.width} pixels, which its header does not say")
    return found


def _content(members: Members, name: str, problem: str) -> bytes:
    try:
        with members.open(name) as file:
            size = file.seek(0, os.SEEK_END)
            if size > LARGEST_BYTES:
                raise OSError(f"it has more than {LARGEST_BYTES:,} bytes")
            file.seek(0)
            return file.read()
    except FileNotFoundError:
        raise Unusable("is no longer there") from None
    except _DAMAGE as error:
        raise Unusable(f"{problem} ({error})") from None


def _decoded(content: bytes, channels: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > PIXEL_LIMIT:
                raise _too_large()  # it has changed since it was opened
            opened.load()
            check_whole(content, opened)
            return plain(opened, channels)
    except _DAMAGE as error:
        raise Unusable(f"is damaged ({error})") from None


def _too_large() -> Unusable:
    return Unusable(f"has more than {PIXEL_LIMIT:,} pixels")
