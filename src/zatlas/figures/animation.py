"""Frames of one picture that moves, written as GIF or WebP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.tiles import upscaled


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
    if there_and_back:
        array = np.concatenate([array, array[-2:0:-1]])
    pictures = [Image.fromarray(upscaled(frame, upscale)) for frame in array]
    if kind == ".gif":
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=round(seconds * 1000), loop=0)
    else:
        words: Any = {"duration": round(seconds * 1000), "loop": 0, "lossless": True, "method": 4}
        pictures[0].save(path, save_all=True, append_images=pictures[1:], **words)
    return path
