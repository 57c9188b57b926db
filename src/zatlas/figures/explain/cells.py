"""Arrays drawn cell by cell, a panel for each step of a computation."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from zatlas.arrays import Array
from zatlas.figures.pictures import heading
from zatlas.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    NORMAL,
    PALETTE,
    SECOND,
    SMALL,
    TITLE,
    canvas,
    place,
    styled,
    text_width,
)

Cell = tuple[int, int]

_GREEN = PALETTE[2]
_BETWEEN, _ABOVE = 34.0, 40.0  # pixels between panels, and of height for a panel's two lines of text
_WIDEST = 1080.0
_ON_CELL = "#16191d"  # numbers stand on a cell's own light colour, whichever theme the page has


class Role(IntEnum):
    """What a cell is."""

    VALUE = 0
    ZERO = 1
    ADDED = 2
    BORDER = 3
    KERNEL = 4
    RESULT = 5


_COLOURS = {Role.VALUE: ACCENT, Role.KERNEL: SECOND, Role.RESULT: _GREEN}


class Frame(NamedTuple):
    """A kernel that lies over cells: its top left corner and its values ``[H, W]``, 0 where it has none."""

    row: int
    column: int
    values: Array


class Panel(NamedTuple):
    """One step.

    Attributes:
        name: written above in bold.
        rule: written under the name.
        values: ``[H, W]``, whole numbers.
        roles: `Role` of each, ``[H, W]``.
        marks: cells that are outlined.
        frame: a kernel over some of the cells.
        cut: cells that are struck out, ``[H, W]``.
        note: written below.
    """

    name: str
    rule: str
    values: Array
    roles: Array
    marks: Sequence[Cell] = ()
    frame: Frame | None = None
    cut: Array | None = None
    note: str = ""


@styled
def cells(*rows: Sequence[Panel], title: str | None = None) -> Figure:
    """Panels in rows, one scale for all; numbers stand in the cells where they fit.

    Values, kernel and result are blue, orange and green, the deeper the larger; zeros between values are pale, added
    ones hatched, a border of zeros empty, and what is cut away is struck out.

    Args:
        rows: the panels, from left to right.
        title: written above, at the left.
    """
    most = max(sum(panel.values.shape[1] for panel in row) for row in rows)
    room = _WIDEST - _BETWEEN * max(len(row) - 1 for row in rows)
    side = float(np.clip(room // most, 3, 24))
    longest = max(len(str(panel.values.max())) for row in rows for panel in row)
    size = min(NORMAL, (side - 4) / (text_width("8" * longest, 10.0) / 10.0)) if side > 4 else 0.0
    top = 44.0 if title else 12.0
    heights = [_ABOVE + side * max(panel.values.shape[0] for panel in row) + 22 for row in rows]
    across = max(sum(_wide(panel, side) for panel in row) + _BETWEEN * (len(row) - 1) for row in rows)
    figure = canvas(max(across, 1.03 * text_width(title or "", TITLE, "bold")) + 16, top + sum(heights))
    if title:
        heading(figure, title, 8)
    for row, height in zip(rows, heights, strict=True):
        left = 8.0
        for panel in row:
            high, wide = panel.values.shape
            axes = place(figure, left, top + _ABOVE, wide * side, high * side)
            _draw(axes, panel, size if size >= 4.5 else None)
            left += _wide(panel, side) + _BETWEEN
        top += height
    return figure


def _wide(panel: Panel, side: float) -> float:
    """Pixels that a panel takes, its words included."""
    words = max(
        1.06 * text_width(panel.name, NORMAL + 0.5, "bold"), text_width(panel.rule, SMALL), text_width(panel.note)
    )
    return max(panel.values.shape[1] * side, words)


def _draw(axes: Axes, panel: Panel, size: float | None) -> None:
    high, wide = panel.values.shape
    axes.set_xlim(0, wide)
    axes.set_ylim(high, 0)
    axes.set_axis_off()
    axes.pcolormesh(_colours(panel), edgecolors="none", rasterized=False)
    grid = [((0, r), (wide, r)) for r in range(high + 1)] + [((c, 0), (c, high)) for c in range(wide + 1)]
    axes.add_collection(LineCollection(grid, colors=[LINE], linewidths=0.6, clip_on=False))
    for row, column in np.argwhere(panel.roles == Role.ADDED):
        axes.add_patch(
            Rectangle((column, row), 1, 1, facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0, alpha=0.7)
        )
    if size is not None:
        _write(axes, panel, size)
    if panel.cut is not None:
        strokes = [((c + 0.12, r + 0.88), (c + 0.88, r + 0.12)) for r, c in np.argwhere(panel.cut)]
        axes.add_collection(LineCollection(strokes, colors=[MUTED], linewidths=0.9))
    for row, column in panel.marks:
        axes.add_patch(
            Rectangle((column, row), 1, 1, fill=False, edgecolor=INK, linewidth=1.6, clip_on=False, zorder=4)
        )
    if panel.frame is not None:
        _lay(axes, panel.frame, size)
    for text, row, above, colour, points, weight in (
        (panel.name, 0, 19, INK, NORMAL + 0.5, "bold"),
        (panel.rule, 0, 6, MUTED, SMALL, "normal"),
        (panel.note, high, -15, INK, NORMAL, "normal"),
    ):
        axes.annotate(
            text, (0, row), (0, above), textcoords="offset points", color=colour, size=points, weight=weight,
            annotation_clip=False,
        )  # fmt: skip


def _colours(panel: Panel) -> Array:
    """Colour of each cell, ``[H, W, 4]``: the deeper the larger, so pale that a number can be read on it."""
    painted = np.zeros((*panel.values.shape, 4))
    painted[panel.roles == Role.ZERO] = (*to_rgb(LINE), 0.45)
    low, high = 0, max(int(panel.values.max()), 1)
    for role, colour in _COLOURS.items():
        here = panel.roles == role
        strength = 0.22 + 0.6 * (panel.values[here] - low) / (high - low)
        painted[here] = 1 - strength[:, None] * (1 - np.array((*to_rgb(colour), 1.0)))
    if panel.cut is not None:
        painted[panel.cut, 3] *= 0.35
    return painted


def _lay(axes: Axes, frame: Frame, size: float | None) -> None:
    """The kernel's outline, and its values in the corners of the cells that it meets."""
    high, wide = frame.values.shape
    axes.add_patch(
        Rectangle(
            (frame.column, frame.row), wide, high, fill=False, edgecolor=SECOND, linewidth=2.0, clip_on=False, zorder=3
        )
    )
    if size is None or size < 6:
        return
    for (row, column), value in np.ndenumerate(frame.values):
        if value:
            axes.text(
                frame.column + column + 0.94, frame.row + row + 0.06, str(value), size=0.62 * size, weight="bold",
                ha="right", va="top", color=SECOND, zorder=5,
            )  # fmt: skip


def _write(axes: Axes, panel: Panel, size: float) -> None:
    for (row, column), value in np.ndenumerate(panel.values):
        role = panel.roles[row, column]
        if role in (Role.ADDED, Role.BORDER):
            continue
        zero = role == Role.ZERO
        cut = panel.cut is not None and panel.cut[row, column]
        axes.text(
            column + 0.5, row + 0.5, str(value), size=size * (0.85 if zero else 1), ha="center", va="center_baseline",
            color=MUTED if zero or cut else _ON_CELL,
        )  # fmt: skip
