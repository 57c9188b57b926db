"""Figures of edited images: each image with other labels, and the content of one in the style of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.pictures import Margins, centres, framed, left_margin, transparent, write_above, write_left
from zatlas.figures.style import ACCENT, INK, NORMAL, SMALL, short, styled, text_width
from zatlas.figures.tiles import Pixels, as_rgba, tile_pixels

_LINE = 18.0  # pixels of height for a line of labels
_WIDEST = 640.0


def space_of(width: int) -> int:
    """Image pixels between a column that stands apart and the rest."""
    return max(3, width // 4)


def beside_first(first: ArrayLike, images: ArrayLike, gap: int = 1) -> tuple[Pixels, int]:
    """A picture of rows, each an image that stands apart and then its others; and where the others begin, in pixels.

    Args:
        first: ``[R, C, H, W]`` or ``[R, H, W]``.
        images: ``[R, S, C, H, W]`` or ``[R, S, H, W]``.
        gap: image pixels between tiles.

    Raises:
        UsageError: the two do not belong together.
    """
    alone, rest = np.asarray(first), np.asarray(images)
    if rest.ndim not in (4, 5) or rest.shape[:1] + rest.shape[2:] != alone.shape:
        raise UsageError(f"images {rest.shape} do not fit {alone.shape} beside them: give [R, S, ...] and [R, ...].")
    left = tile_pixels(as_rgba(alone), 1, gap)
    right = tile_pixels(as_rgba(rest.reshape(-1, *rest.shape[2:])), rest.shape[1], gap)
    space = space_of(alone.shape[-1])
    return np.concatenate([left, transparent(len(left), space), right], axis=1), left.shape[1] + space


def frame(axes: Axes, left: float, top: float, width: int, height: int, scale: int) -> None:
    """A line around one tile, a figure pixel away from it."""
    away = 1 / scale
    axes.add_patch(
        Rectangle(
            (left - away, top - away), width + 2 * away, height + 2 * away, fill=False, edgecolor=ACCENT, linewidth=1.6,
            clip_on=False, zorder=3,
        )
    )  # fmt: skip


def heads(axes: Axes, names: Sequence[str], middles: Sequence[float], room: float) -> None:
    """Names over columns that are ``room`` figure pixels apart: smaller where they are tight, aslant beyond that."""
    size = next((s for s in (NORMAL, SMALL) if all(text_width(name, s) <= room - 4 for name in names)), None)
    if size is not None:
        write_above(axes, names, middles, size)
        return
    for name, x in zip(names, middles, strict=True):
        axes.annotate(
            name, (x, 0), (-2, 4), textcoords="offset points", ha="left", va="bottom", rotation=45, size=SMALL,
            color=INK, annotation_clip=False, rotation_mode="anchor",
        )  # fmt: skip


def heads_height(names: Sequence[str], room: float) -> float:
    """Pixels of height that `heads` takes."""
    widest = max(text_width(name, SMALL) for name in names)
    return _LINE if widest <= room - 4 else 12 + 0.71 * widest


@styled
def relabelled(
    originals: ArrayLike,
    images: ArrayLike,
    names: Sequence[str],
    own: Sequence[int | None] | None = None,
    *,
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """Each image with every label: a row an image, the original first, a column a label.

    Args:
        originals: ``[R, C, H, W]`` or ``[R, H, W]``, floats in [0, 1] or uint8.
        images: ``[R, S, C, H, W]`` or ``[R, S, H, W]``.
        names: of the S labels.
        own: the column whose label each image has by itself, which is framed; None for none.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.

    Raises:
        UsageError: images and names do not belong together.
    """
    array = np.asarray(images)
    if array.ndim < 4 or array.shape[1] != len(names):
        raise UsageError(f"images {array.shape} do not fit {len(names)} labels: give [R, S, C, H, W].")
    names = [short(name) for name in names]
    picture, start = beside_first(originals, array, gap)
    height, width = array.shape[-2:]
    scale = max(1, round(_WIDEST / picture.shape[1])) if scale is None else scale
    room = (width + gap) * scale
    axes = framed(picture, scale, Margins(top=heads_height(names, room), left=4, right=4, bottom=4), title)
    write_above(axes, ["original"], [width / 2], NORMAL if text_width("original") <= room + start / 8 else SMALL)
    heads(axes, names, [start + x for x in centres(len(names), width, gap)], room)
    for row, column in enumerate(own or ()):
        if column is not None:
            frame(axes, start + column * (width + gap), row * (height + gap), width, height, scale)
    return axes.figure  # type: ignore[return-value]


@styled
def transfers(
    content: ArrayLike,
    style: ArrayLike,
    images: ArrayLike,
    names: Sequence[str] | None = None,
    *,
    same: bool = False,
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """The content of each row's image in the style of each column's.

    Args:
        content: the images at the left ``[R, C, H, W]`` or ``[R, H, W]``.
        style: the images above ``[S, C, H, W]`` or ``[S, H, W]``.
        images: ``[R, S, C, H, W]`` or ``[R, S, H, W]``.
        names: what each row's content is called, written at the left.
        same: the images at the left are those above, so that the diagonal shows reconstructions, which are framed.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.

    Raises:
        UsageError: the images do not belong together.
    """
    above, array = as_rgba(style), np.asarray(images)
    body, start = beside_first(content, array, gap)
    height, width = array.shape[-2:]
    if len(above) != array.shape[1]:
        raise UsageError(f"images {array.shape} do not fit {len(above)} styles: give [R, S, ...] and [S, ...].")
    space = space_of(width)
    row = tile_pixels(above, len(above), gap)
    head = np.concatenate([transparent(height, start), row], axis=1)
    picture = np.concatenate([head, transparent(space, head.shape[1]), body])
    scale = max(1, round(_WIDEST / picture.shape[1])) if scale is None else scale
    labels = [*(names or ()), "style"]
    axes = framed(picture, scale, Margins(top=4, left=left_margin(labels), right=4, bottom=4), title)
    down = height + space
    if names:
        write_left(axes, names, [down + y for y in centres(len(names), height, gap)])
    words = (("style →", (start - space / 2, height / 2), "right", "center"),
             ("content ↓", (width / 2, down - space / 2), "center", "bottom"))  # fmt: skip
    for text, at, across, up in words:
        axes.annotate(text, at, ha=across, va=up, color=INK, size=NORMAL, annotation_clip=False)
    for i in range(len(array)) if same else ():
        frame(axes, start + i * (width + gap), down + i * (height + gap), width, height, scale)
    return axes.figure  # type: ignore[return-value]
