"""Images with two lines of words below each: which one it is, and a figure about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.pictures import Margins, fit_scale, framed
from zatlas.figures.style import INK, MUTED, SMALL, styled, text_width
from zatlas.figures.tiles import as_rgba

_LINE = 12.0  # pixels of height for a line of words
_WIDTH = 640.0
_BETWEEN = 6.0  # pixels between tiles


@styled
def captioned(
    images: ArrayLike,
    captions: Sequence[tuple[str, str]],
    *,
    below: ArrayLike | None = None,
    stressed: Sequence[int] = (),
    columns: int = 8,
    title: str | None = None,
) -> Figure:
    """Images in rows, two lines of words under each.

    Args:
        images: ``[N, C, H, W]`` or ``[N, H, W]``, floats in [0, 1] or uint8.
        captions: the two lines of each; what is too long for its image is cut in the middle.
        below: images of the same shape, each drawn under the one that it belongs to.
        stressed: places whose first line is bold.
        columns: images in a row.
        title: written above, at the left.

    Raises:
        UsageError: another number of captions, or images below of another shape.
    """
    rows = [as_rgba(images)] + ([] if below is None else [as_rgba(below)])
    count, height, width = rows[0].shape[:3]
    if len(captions) != count or any(row.shape != rows[0].shape for row in rows):
        raise UsageError(f"{count} images want as many captions, and images of the same shape below them.")
    columns = min(columns, count)
    scale = fit_scale(columns * width, _WIDTH)
    across = width + max(1, round(_BETWEEN / scale))
    down = len(rows) * height + round((2 * _LINE + 10) / scale + 0.5)
    bands = -(-count // columns)
    picture = np.zeros((bands * down, columns * across, 4), np.uint8)
    for i in range(count):
        top, left = (i // columns) * down, (i % columns) * across
        for level, row in enumerate(rows):
            picture[top + level * height : top + (level + 1) * height, left : left + width] = row[i]
    axes = framed(picture, scale, Margins(), title)
    for i, lines in enumerate(captions):
        x = (i % columns) * across + width / 2
        y = (i // columns) * down + len(rows) * height
        for line, (text, colour) in enumerate(zip(lines, (INK, MUTED), strict=True)):
            axes.annotate(
                _fitted(text, across * scale), (x, y), (0, -2 - line * _LINE * 0.75), textcoords="offset points",
                ha="center", va="top", color=colour, size=SMALL, annotation_clip=False,
                weight="bold" if i in stressed and not line else "normal",
            )  # fmt: skip
    return axes.figure  # type: ignore[return-value]


def _fitted(text: str, width: float) -> str:
    """The text, or its two ends with an ellipsis between them where it is wider than so many pixels."""
    if text_width(text, SMALL) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
        if text_width(short, SMALL) <= width:
            return short
    return "…"
