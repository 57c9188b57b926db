"""Figures made of images: grids, pairs, progress. Every image pixel is a whole number of figure pixels."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.style import INK, MUTED, NORMAL, TITLE, canvas, place, short, styled, text_width
from zatlas.figures.tiles import Pixels, as_pixels, as_rgba, default_columns, tile, tile_pixels

_LABEL = 18.0  # pixels of height for a line of labels
_TITLE = 28.0


class Margins(NamedTuple):
    """Pixels left free around a picture."""

    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    left: float = 0.0


def fit_scale(width: int, target: float = 640.0) -> int:
    """Figure pixels per image pixel, a whole number, so that the picture comes near ``target`` pixels across.

    >>> [fit_scale(w) for w in (80, 289, 1200)]
    [8, 2, 1]
    """
    return max(1, round(target / width))


def framed(
    picture: Pixels,
    scale: int | None = None,
    margins: Margins = Margins(),  # noqa: B008 (a tuple cannot change)
    title: str | None = None,
    target: float = 640.0,
) -> Axes:
    """A new figure that holds one picture unresampled; the axes count image pixels from its top left corner."""
    height, width = picture.shape[:2]
    scale = fit_scale(width, target) if scale is None else scale
    if scale < 1:
        raise UsageError(f"scale {scale} cannot be: give whole figure pixels per image pixel, at least 1.")
    top = margins.top + (_TITLE if title else 0)
    across = margins.left + width * scale + margins.right
    if title:  # a title wider than its picture gets the room it needs
        across = max(across, margins.left + 1.12 * text_width(title, TITLE) + 4)
    figure = canvas(across, top + height * scale + margins.bottom)
    axes = place(figure, margins.left, top, width * scale, height * scale)
    axes.imshow(
        picture, cmap="gray", vmin=0, vmax=255, interpolation="none", extent=(0, width, height, 0), aspect="auto"
    )
    axes.set_axis_off()
    if title:
        heading(figure, title, margins.left)
    return axes


def heading(figure: Figure, title: str, left: float = 0.0) -> None:
    """The title of a figure: bold, at the top, flush with the left edge of what it names."""
    across, down = figure.get_size_inches() * figure.dpi
    figure.text(left / across, 1 - 4 / down, title, size=TITLE, weight="bold", color=INK, va="top", ha="left")


def write_left(axes: Axes, labels: Sequence[str], centres: Sequence[float], colour: str = MUTED) -> None:
    """Labels at the left of the picture, each at the height of its row."""
    for label, y in zip(labels, centres, strict=True):
        axes.annotate(
            short(label), (0, y), (-6, 0), textcoords="offset points", ha="right", va="center",
            color=colour, size=NORMAL, annotation_clip=False,
        )  # fmt: skip


def write_above(axes: Axes, labels: Sequence[str], centres: Sequence[float], size: float = NORMAL) -> None:
    """Labels above the picture, each over the middle of its column."""
    for label, x in zip(labels, centres, strict=True):
        axes.annotate(
            short(label), (x, 0), (0, 4), textcoords="offset points", ha="center", va="bottom",
            color=MUTED, size=size, annotation_clip=False,
        )  # fmt: skip


def left_margin(labels: Sequence[str] | None) -> float:
    """Pixels that labels at the left need."""
    return ceil(max(text_width(short(label)) for label in labels)) + 12.0 if labels else 0.0


def centres(count: int, size: int, gap: int) -> list[float]:
    """Middles of ``count`` tiles of ``size`` pixels in a row."""
    return [i * (size + gap) + size / 2 for i in range(count)]


def transparent(height: int, width: int) -> Pixels:
    return np.zeros((height, width, 4), np.uint8)


@styled
def grid(
    images: ArrayLike,
    *,
    columns: int | None = None,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """Images in rows.

    Args:
        images: ``[N, C, H, W]`` or ``[N, H, W]``, floats in [0, 1] or uint8.
        columns: images in a row; chosen from N when None.
        row_labels: one for each row, written at the left.
        column_labels: one for each column, written above.
        gap: image pixels between tiles, transparent.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen for a figure of about 640 pixels when None.
    """
    pixels = as_pixels(images)
    count, height, width = pixels.shape[:3]
    columns = min(default_columns(count) if columns is None else columns, count)
    picture = tile(images, columns, gap, background=None)
    margins = Margins(top=_LABEL if column_labels else 0, left=left_margin(row_labels))
    axes = framed(picture, scale, margins, title)
    if row_labels:
        write_left(axes, row_labels, centres(-(-count // columns), height, gap))
    if column_labels:
        write_above(axes, column_labels, centres(columns, width, gap))
    return axes.figure  # type: ignore[return-value]


@styled
def pairs(
    originals: ArrayLike,
    reconstructions: ArrayLike,
    *,
    columns: int = 10,
    labels: tuple[str, str] = ("original", "reconstruction"),
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """Originals above their reconstructions, in bands of two rows with room between the bands.

    Args:
        originals: ``[N, C, H, W]`` or ``[N, H, W]``, floats in [0, 1] or uint8.
        reconstructions: the same shape.
        columns: pairs in a band.
        labels: written at the left of the two rows of every band.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    first, second = as_rgba(originals), as_rgba(reconstructions)
    if first.shape != second.shape:
        raise UsageError(
            f"originals {first.shape} and reconstructions {second.shape} cannot be paired: give one shape."
        )
    count, height, width = first.shape[:3]
    columns = min(columns, count)
    bands = -(-count // columns)
    empty = np.zeros((bands * columns - count, height, width, 4), np.uint8)
    shape = (bands, columns, height, width, 4)
    both = np.stack([np.concatenate([half, empty]).reshape(shape) for half in (first, second)], axis=1)
    space = max(2 * gap, height // 4)
    rows = [tile_pixels(band.reshape(-1, height, width, 4), columns, gap) for band in both]
    spacer = transparent(space, rows[0].shape[1])
    picture = np.concatenate([part for row in rows for part in (row, spacer)][:-1])
    axes = framed(picture, scale, Margins(left=left_margin(labels)), title)
    step = rows[0].shape[0] + space
    write_left(axes, labels * bands, [b * step + c for b in range(bands) for c in centres(2, height, gap)])
    return axes.figure  # type: ignore[return-value]


@styled
def progress(
    snapshots: Sequence[tuple[int, str, ArrayLike]],
    *,
    columns: int | None = None,
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """Samples of one model as it learned, side by side.

    Args:
        snapshots: (step, label, images ``[N, C, H, W]``) in order, the same number of images in each, best drawn from
            the same noise; usually the start, half-way and the end.
        columns: images in a row of one panel.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    if not snapshots:
        raise UsageError("progress has nothing to draw: give at least one (step, label, images).")
    axes, middles = _panels([images for _, _, images in snapshots], columns, gap, scale, 2 * _LABEL, title)
    _write_names(axes, [label for _, label, _ in snapshots], middles, 16)
    for x, (step, _, _) in zip(middles, snapshots, strict=True):
        axes.annotate(
            f"step {step:,}", (x, 0), (0, 4), textcoords="offset points", ha="center", va="bottom",
            color=MUTED, size=NORMAL, annotation_clip=False,
        )  # fmt: skip
    return axes.figure  # type: ignore[return-value]


@styled
def beside(
    panels: Sequence[tuple[str, ArrayLike]],
    *,
    columns: int | None = None,
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """Sets of images side by side, each under its name: data, reconstructions, samples.

    Args:
        panels: (name, images ``[N, C, H, W]``), the same number of images in each.
        columns: images in a row of one panel.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    if not panels:
        raise UsageError("there is nothing to set side by side: give at least one (name, images).")
    axes, middles = _panels([images for _, images in panels], columns, gap, scale, _LABEL + 4, title)
    _write_names(axes, [name for name, _ in panels], middles, 5)
    return axes.figure  # type: ignore[return-value]


def _panels(
    sets: Sequence[ArrayLike], columns: int | None, gap: int, scale: int | None, top: float, title: str | None
) -> tuple[Axes, list[float]]:
    """Each set as one tiled panel, with room between the panels; and the middles of the panels."""
    panels = [tile(images, columns, gap, background=None) for images in sets]
    if len({panel.shape for panel in panels}) > 1:
        raise UsageError("sets of images of different size cannot stand side by side: give as many in each.")
    height, width = panels[0].shape[:2]
    space = max(4 * gap, width // 14)
    spacer = transparent(height, space)
    picture = np.concatenate([part for panel in panels for part in (panel, spacer)][:-1], axis=1)
    axes = framed(picture, scale, Margins(top=top), title, target=760)
    return axes, centres(len(panels), width, space)


def _write_names(axes: Axes, names: Sequence[str], middles: Sequence[float], above: float) -> None:
    """Names of the panels, so many points above them."""
    for name, x in zip(names, middles, strict=True):
        axes.annotate(
            name, (x, 0), (0, above), textcoords="offset points", ha="center", va="bottom",
            color=INK, size=TITLE, annotation_clip=False,
        )  # fmt: skip
