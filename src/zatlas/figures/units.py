"""What each latent unit does: how an image changes with it, where, and which properties move with it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.latents import number
from zatlas.figures.pictures import centres, heading
from zatlas.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    NORMAL,
    SMALL,
    TITLE,
    canvas,
    place,
    sequential,
    styled,
    text_width,
)
from zatlas.figures.tiles import as_rgba, tile_pixels

_LINE = 17.0  # pixels of height for a property
_SPACE = 14.0  # pixels between rows, and around the parts of one
_SCALE = 116.0  # pixels from r = -1 to 1
_SMALLEST = 56.0  # pixels of height of an image


class Link(NamedTuple):
    """A property that moves with a unit: its correlation with error, a note written beside, whether it is sure."""

    name: str
    r: float
    error: float
    note: str = ""
    sure: bool = True


class UnitRow(NamedTuple):
    """A unit: name, a note under it, images ``[S, C, H, W]`` as it moves, heat ``[H, W]`` of where, and its links.

    Images and heat are None for data that are no images.
    """

    name: str
    note: str
    images: ArrayLike | None
    heat: ArrayLike | None
    links: Sequence[Link]


@styled
def units(rows: Sequence[UnitRow], values: ArrayLike, *, title: str | None = None, scale: int | None = None) -> Figure:
    """A row for each unit: its traversal, where the image changes, and the properties that move with it.

    Each map of where goes from nothing to the row's own greatest change; error bars are of 2 standard errors; a link
    that is not sure is grey.

    Args:
        rows: the units, in the order to be drawn.
        values: of the unit in each column of images, in standard deviations, ``[S]``.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen for images at least 56 pixels high when None.

    Raises:
        UsageError: no rows, or images that do not fit the values.
    """
    steps = np.asarray(values, float)
    strips = [None if row.images is None else np.asarray(row.images) for row in rows]
    if not rows or any(strip is not None and (strip.ndim != 4 or len(strip) != len(steps)) for strip in strips):
        raise UsageError(f"give at least one unit, and {len(steps)} images [S, C, H, W] for each.")
    first = strips[0]
    height, width = (0, 0) if first is None else first.shape[2:]
    scale = scale or (ceil(_SMALLEST / height) if height else 1)
    pitch = max(height * scale, _LINE * max(len(row.links) for row in rows)) + _SPACE
    left = ceil(max(text_width(text, NORMAL) for row in rows for text in (row.name, row.note))) + 18.0
    strip = (len(steps) * (width + 1) - 1) * scale if height else 0
    maps = left + strip + _SPACE if height else left
    names = max((text_width(link.name) for row in rows for link in row.links), default=0.0)
    notes = max((text_width(link.note, SMALL) for row in rows for link in row.links), default=0.0)
    bars = maps + width * scale + (_SPACE if height else 0) + ceil(names) + 14
    top = (28.0 if title else 0.0) + 26.0
    across = max(bars + _SCALE + ceil(notes) + 18, 1.12 * text_width(title or "", TITLE) + 8)
    figure = canvas(across, top + len(rows) * pitch + 22)
    if title:
        heading(figure, title)
    for at, (row, shown) in enumerate(zip(rows, strips, strict=True)):
        middle = top + (at + 0.5) * pitch - _SPACE / 2
        _write(figure, row.name, left - 12, middle - 7, INK, NORMAL)
        _write(figure, row.note, left - 12, middle + 7, MUTED, SMALL)
        if shown is None or row.heat is None:
            continue
        upper, tall = middle - height * scale / 2, height * scale
        axes = place(figure, left, upper, strip, tall)
        _picture(axes, tile_pixels(as_rgba(shown), len(steps), 1))
        if not at:
            for x, value in zip(centres(len(steps), width, 1), steps, strict=True):
                _above(axes, number(value, 1), x)
            _above(axes, "s.d.", 0, -9, "right")
        axes = place(figure, maps, upper, width * scale, tall)
        heat = np.asarray(row.heat, float)
        _picture(axes, heat, vmin=0, vmax=float(heat.max()) or 1.0, cmap=sequential())
        if not at:
            _above(axes, "where", width / 2)
    _links(place(figure, bars, top, _SCALE, len(rows) * pitch), rows, pitch)
    return figure


def _write(figure: Figure, text: str, x: float, y: float, colour: str, size: float) -> None:
    """Text that ends at x, centred on y, in pixels from the top left corner."""
    across, down = figure.get_size_inches() * figure.dpi
    figure.text(x / across, 1 - y / down, text, color=colour, size=size, ha="right", va="center_baseline")


def _picture(axes: Axes, picture: ArrayLike, **colours: object) -> None:
    height, width = np.shape(picture)[:2]
    extent = (0, width, height, 0)
    axes.imshow(picture, interpolation="none", extent=extent, aspect="auto", **colours)  # type: ignore[arg-type]
    axes.set_axis_off()


def _above(axes: Axes, text: str, x: float, away: float = 0, side: str = "center") -> None:
    axes.annotate(
        text, (x, 0), (away, 4), textcoords="offset points", ha=side, va="bottom", color=MUTED, size=SMALL,
        annotation_clip=False,
    )  # fmt: skip


def _links(axes: Axes, rows: Sequence[UnitRow], pitch: float) -> None:
    """The properties of all rows as bars on one axis of r; y counts pixels downwards."""
    axes.set_xlim(-1.08, 1.08)
    axes.set_ylim(len(rows) * pitch, 0)
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1], ["−1", "0", "1"])
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", color=LINE)
    _above(axes, "r ± 2 s.e.", 0)
    _above(axes, "per s.d.", 1.08, 6, "left")
    for at, row in enumerate(rows):
        middle = (at + 0.5) * pitch - _SPACE / 2
        for line, link in enumerate(row.links):
            y = middle + (line - (len(row.links) - 1) / 2) * _LINE
            axes.barh(y, link.r, height=7, color=ACCENT if link.sure else LINE)
            ends = np.clip([link.r - 2 * link.error, link.r + 2 * link.error], -1, 1)
            axes.plot(ends, [y, y], color=INK if link.sure else MUTED, linewidth=1.1, solid_capstyle="butt")
            for text, x, away, side, colour, size in (
                (link.name, 0, -8, "right", INK if link.sure else MUTED, NORMAL),
                (link.note, 1, 6, "left", MUTED, SMALL),
            ):
                axes.annotate(
                    text, (x, y), (away, 0), xycoords=("axes fraction", "data"), textcoords="offset points", ha=side,
                    va="center_baseline", color=colour, size=size, annotation_clip=False,
                )  # fmt: skip
