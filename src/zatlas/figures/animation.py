"""Frames of one picture that moves: composed under names, and written as GIF or WebP."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.look import LIGHT, current
from zatlas.figures.pictures import fit_scale
from zatlas.figures.style import NORMAL, boxes_for_missing_glyphs, canvas, styled, text_width
from zatlas.figures.tiles import Pixels, as_pixels, default_columns, upscaled

_NAME = 18  # pixels of height for a name


@styled
def moving(images: ArrayLike, names: Sequence[str], *, columns: int | None = None, scale: int | None = None) -> Pixels:
    """Frames ``[T, H, W, 3]`` of several pictures that move at once, each under its name, on the look's background.

    Args:
        images: ``[T, N, C, H, W]`` or ``[T, N, H, W]``, floats in [0, 1] or uint8.
        names: of the N pictures.
        columns: pictures in a row; chosen from N when None.
        scale: frame pixels per image pixel; chosen for frames of about 640 pixels when None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    array = np.asarray(images)
    times, count = array.shape[:2]
    if array.ndim not in (4, 5) or count != len(names):
        raise UsageError(f"pictures of shape {array.shape} do not fit {len(names)} names: give [T, N, C, H, W].")
    pixels = as_pixels(array.reshape(times * count, *array.shape[2:]))
    pixels = pixels[..., :3] if pixels.ndim == 4 else pixels[..., None].repeat(3, -1)
    height, width = pixels.shape[1:3]
    columns = min(default_columns(count) if columns is None else columns, count)
    scale = fit_scale(columns * width + columns - 1, 640 if count > 1 else 320) if scale is None else scale
    look = current()
    grown = (look.font_size or NORMAL) / NORMAL
    room = ceil(_NAME * grown)
    cell = max(width * scale, *(ceil(text_width(name) * grown) for name in names))
    across, down = cell + 6, height * scale + room + 4
    rows = -(-count // columns)
    figure = canvas(columns * across, rows * down)
    figure.set_facecolor(look.background or "white")
    corners = [(i // columns * down + room, i % columns * across + (across - width * scale) // 2) for i in range(count)]
    for (top, left), name in zip(corners, names, strict=True):
        figure.text(
            (left + width * scale / 2) / (columns * across), 1 - (top - 4) / (rows * down), name,
            ha="center", va="bottom", size=NORMAL * grown, color=look.ink if look != LIGHT else "black",
        )  # fmt: skip
    drawn = FigureCanvasAgg(figure)
    drawn.draw()
    frames = np.repeat(np.asarray(drawn.buffer_rgba())[None, ..., :3], times, 0)
    large = pixels.repeat(scale, 1).repeat(scale, 2).reshape(times, count, height * scale, width * scale, 3)
    for i, (top, left) in enumerate(corners):
        frames[:, top : top + height * scale, left : left + width * scale] = large[:, i]
    return frames


def filmed(figures: Sequence[Figure]) -> Pixels:
    """Frames ``[T, H, W, 3]`` of figures as they are on their page, the smaller ones at the top left of the largest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    shots = []
    for figure in figures:
        page: Any = figure.get_facecolor()
        figure.set_facecolor(page if page[3] else "white")
        drawn = FigureCanvasAgg(figure)
        with boxes_for_missing_glyphs():
            drawn.draw()
        shots.append(np.asarray(drawn.buffer_rgba())[..., :3].copy())
        figure.set_facecolor(page)
    height, width = (max(shot.shape[side] for shot in shots) for side in (0, 1))
    frames = np.empty((len(shots), height, width, 3), np.uint8)
    for frame, shot in zip(frames, shots, strict=True):
        frame[:] = shot[0, 0]
        frame[: shot.shape[0], : shot.shape[1]] = shot
    return frames


def save_animation(
    frames: ArrayLike,
    path: str | Path,
    *,
    seconds: float = 0.08,
    there_and_back: bool = True,
    upscale: int | None = None,
) -> Path:
    """Writes an endless animation; WebP without loss, GIF in its 256 colours.

    Args:
        frames: ``[T, H, W]`` or ``[T, H, W, C]`` (uint8), at least two.
        path: its suffix chooses .gif or .webp.
        seconds: each frame stays, rounded to hundredths in a GIF.
        there_and_back: also play backwards, so that the end does not jump to the start.
        upscale: pixels for each pixel; chosen when None.

    Raises:
        UsageError: another suffix, or fewer than two frames.
    """
    from PIL import Image

    path, array = Path(path), np.asarray(frames)
    kind = path.suffix.lower()
    if kind not in (".gif", ".webp"):
        raise UsageError(f"an animation cannot be saved as {path.name!r}: its name must end in .gif or .webp.")
    if len(array) < 2:
        raise UsageError(f"{len(array)} frame(s) do not move: give at least two.")
    if array.ndim == 4 and (array == array[..., :1]).all():
        array = array[..., 0]  # grey: a GIF has a colour for each of its 256 values, and need not dither
    if there_and_back:
        array = np.concatenate([array, array[-2:0:-1]])
    pictures = [Image.fromarray(upscaled(frame, upscale)) for frame in array]
    if kind == ".gif":
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=round(seconds * 1000), loop=0)
    else:
        words: Any = {"duration": round(seconds * 1000), "loop": 0, "lossless": True, "method": 4}
        pictures[0].save(path, save_all=True, append_images=pictures[1:], **words)
    return path
