"""Pictures as arrays: pixel-exact tiling, PNG files and data URIs, with Pillow and without resampling."""

from __future__ import annotations

import base64
import io
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zatlas.errors import UsageError

Pixels = NDArray[np.uint8]


def as_pixels(images: ArrayLike) -> Pixels:
    """Images ``[N, H, W]`` or ``[N, C, H, W]`` (C 1, 3 or 4) as uint8 ``[N, H, W]`` or ``[N, H, W, C]``.

    Floats are intensities in [0, 1] and are clipped to it; not-a-number becomes 0. uint8 is taken as it is.

    Raises:
        UsageError: for any other shape.
    """
    array = np.asarray(images)
    if array.ndim not in (3, 4) or array.size == 0:
        raise UsageError(f"images of shape {array.shape} cannot be drawn: give [N, C, H, W] or [N, H, W], not empty.")
    if array.dtype != np.uint8:
        unit = np.nan_to_num(array.astype(np.float64), nan=0.0, posinf=1.0, neginf=0.0)
        array = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    if array.ndim == 3:
        return array
    if array.shape[1] not in (1, 3, 4):
        raise UsageError(f"images with {array.shape[1]} channels cannot be drawn: give 1 (grey), 3 (RGB) or 4 (RGBA).")
    return array[:, 0] if array.shape[1] == 1 else np.ascontiguousarray(np.moveaxis(array, 1, -1))


def as_rgba(images: ArrayLike) -> Pixels:
    """The same images as opaque uint8 ``[N, H, W, 4]``."""
    pixels = as_pixels(images)
    if pixels.shape[3:] == (4,):
        return pixels
    colour = pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=-1)
    return np.concatenate([colour, np.full((*colour.shape[:3], 1), 255, np.uint8)], axis=-1)


def default_columns(count: int) -> int:
    """Columns of a grid that is about half again as wide as it is high, without a ragged last row if one is near.

    >>> [default_columns(n) for n in (1, 3, 16, 64, 100)]
    [1, 3, 4, 8, 10]
    """
    root = ceil(sqrt(count))
    if count <= 5:
        return count
    return next((c for c in range(root, ceil(1.6 * root) + 1) if count % c == 0), root)


def tile(images: ArrayLike, columns: int | None = None, gap: int = 1, background: int | None = 255) -> Pixels:
    """Lay images out row by row; every tile holds exactly its image's pixels.

    Args:
        images: ``[N, C, H, W]`` or ``[N, H, W]``, floats in [0, 1] or uint8.
        columns: images in a row; chosen from N when None.
        gap: pixels between tiles; none around the outside.
        background: grey level of gaps and missing tiles, or None to make them transparent, which returns RGBA.

    Returns:
        uint8 ``[H', W']`` for grey images, ``[H', W', 3]`` for RGB, ``[H', W', 4]`` with a transparent background.

    >>> tile(np.zeros((3, 1, 2, 2)), columns=2, gap=1).shape
    (5, 5)
    """
    return tile_pixels(as_rgba(images) if background is None else as_pixels(images), columns, gap, background or 0)


def tile_pixels(pixels: Pixels, columns: int | None, gap: int, background: int = 0) -> Pixels:
    """`tile` for pixels ``[N, H, W(, C)]`` as `as_pixels` and `as_rgba` return them."""
    count, height, width = pixels.shape[:3]
    columns = default_columns(count) if columns is None else columns
    if columns < 1 or gap < 0:
        raise UsageError(f"a grid of {columns} columns with a gap of {gap} cannot be: columns >= 1 and gap >= 0.")
    rows = ceil(count / columns)
    columns = min(columns, count)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, *pixels.shape[3:])
    out = np.full(shape, background, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        out[top : top + height, left : left + width] = image
    return out


def upscaled(array: ArrayLike, upscale: int | None = None) -> Pixels:
    """Nearest-neighbour enlargement; None picks the largest whole factor that stays under 800 pixels."""
    pixels = np.asarray(array, np.uint8)
    factor = max(1, 800 // max(pixels.shape[:2])) if upscale is None else upscale
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def png_bytes(array: ArrayLike, upscale: int | None = 1) -> bytes:
    """A uint8 picture ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]`` as PNG; the same array gives the same bytes."""
    from PIL import Image

    picture: Any = Image.fromarray(upscaled(array, upscale))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def png_uri(array: ArrayLike, upscale: int | None = 1) -> str:
    """The PNG as a ``data:`` URI for an ``<img>``; left small, since a page enlarges it crisply by itself."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(array, upscale)).decode("ascii")


def save_png(array: ArrayLike, path: str | Path, upscale: int | None = None) -> Path:
    """Write the picture as PNG, small ones enlarged by a whole factor; returns the path."""
    path = Path(path)
    path.write_bytes(png_bytes(array, upscale))
    return path
