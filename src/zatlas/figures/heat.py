"""A table of numbers as colours: which unit of a code knows which factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.pictures import heading, left_margin
from zatlas.figures.style import INK, MUTED, NORMAL, PAPER, SMALL, TITLE, canvas, place, sequential, styled, text_width

_CELL = 24.0  # pixels of height
_ON_DARK, _ON_BRIGHT = "#ffffff", "#000000"  # on a cell's own colour, whichever theme the page has


@styled
def heat(
    matrix: ArrayLike,
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    high: float = 1.0,
    title: str | None = None,
) -> Figure:
    """A cell for each number, coloured from 0 to ``high``, with the number in it; empty where it is not finite.

    Args:
        matrix: ``[rows, columns]``, usually units and factors.
        row_names: written at the left.
        column_names: written above.
        high: the value of the brightest colour.
        title: written above, at the left.

    Raises:
        UsageError: names and matrix do not belong together.
    """
    values = np.asarray(matrix, float)
    if values.ndim != 2 or not values.size or values.shape != (len(row_names), len(column_names)):
        raise UsageError(
            f"a matrix of shape {values.shape} does not fit {len(row_names)} rows and {len(column_names)} columns."
        )
    rows, columns = values.shape
    across = float(np.clip(max(text_width(name) for name in column_names) + 14, 44, 120))
    left, top = left_margin(row_names), 24.0 + (28.0 if title else 0.0)
    width = left + max(columns * across, (1.12 * text_width(title, TITLE) + 4) if title else 0.0)
    figure = canvas(width + 2, top + rows * _CELL + 2)
    if title:
        heading(figure, title, left)
    axes = place(figure, left, top, columns * across, rows * _CELL)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=sequential(), vmin=0, vmax=high, edgecolors=PAPER, linewidth=1.0
    )
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_axis_off()
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = np.dot(mesh.cmap(mesh.norm(value))[:3], (0.2126, 0.7152, 0.0722)) < 0.5
            axes.text(
                column + 0.5, row + 0.5, f"{value:.2f}", size=SMALL, ha="center", va="center_baseline",
                color=_ON_DARK if dark else _ON_BRIGHT,
            )  # fmt: skip
    for row, name in enumerate(row_names):
        axes.annotate(
            name, (0, row + 0.5), (-6, 0), textcoords="offset points", ha="right", va="center", color=INK,
            size=NORMAL, annotation_clip=False,
        )  # fmt: skip
    for column, name in enumerate(column_names):
        axes.annotate(
            _short(name, across), (column + 0.5, 0), (0, 5), textcoords="offset points", ha="center", va="bottom",
            color=MUTED, size=NORMAL, annotation_clip=False,
        )  # fmt: skip
    return figure


def _short(name: str, width: float) -> str:
    """The name, cut to so many pixels."""
    while len(name) > 2 and text_width(name) > width - 6:
        name = name[:-2] + "…"
    return name
