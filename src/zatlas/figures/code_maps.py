"""A number for every place of every channel of a code, as maps."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.pictures import heading
from zatlas.figures.style import INK, MUTED, NORMAL, SMALL, TITLE, canvas, place, sequential, styled, text_width

_SIDE, _GAP, _COLUMNS = 88.0, 14.0, 8  # pixels of a map, between two, and maps in a row


@styled
def code_maps(
    values: ArrayLike, names: Sequence[str], notes: Sequence[str] | None = None, *, unit: str = "nats",
    title: str | None = None,
) -> Figure:  # fmt: skip
    """A map for each channel of a code, all on one scale from 0 to the largest number.

    Args:
        values: ``[C, h, w]``, such as the nats of every unit.
        names: of the channels, written above their maps.
        notes: written below them.
        unit: of the numbers.
        title: written above, at the left.

    Raises:
        UsageError: names and values do not belong together.
    """
    maps = np.asarray(values, float)
    if maps.ndim != 3 or not maps.size or len(maps) != len(names):
        raise UsageError(f"maps of shape {maps.shape} do not fit {len(names)} names: give [C, h, w].")
    channels, height, width = maps.shape
    across = _SIDE * min(1.0, width / height)
    down = _SIDE * min(1.0, height / width)
    columns = min(channels, _COLUMNS)
    top = 28.0 if title else 4.0
    pitch = down + 18 + (16 if notes else 0) + _GAP
    whole = max(columns * (across + _GAP) + 78, text_width(title or "", TITLE) * 1.12 + 4)
    figure = canvas(whole, top + ceil(channels / columns) * pitch)
    if title:
        heading(figure, title, 0)
    most = float(np.nanmax(maps)) or 1.0
    for i, (shown, name) in enumerate(zip(maps, names, strict=True)):
        row, column = divmod(i, columns)
        axes = place(figure, column * (across + _GAP) + 2, top + row * pitch + 16, across, down)
        drawn = axes.imshow(shown, vmin=0, vmax=most, cmap=sequential(), interpolation="none", aspect="auto")
        axes.set_axis_off()
        axes.set_title(name, size=NORMAL, color=INK, pad=3)
        if notes:
            axes.annotate(
                notes[i], (0.5, 0), (0, -4), xycoords="axes fraction", textcoords="offset points", ha="center",
                va="top", size=SMALL, color=MUTED, annotation_clip=False,
            )  # fmt: skip
    bar = place(figure, columns * (across + _GAP) + 2, top + 16, 10, down)
    scale = figure.colorbar(drawn, cax=bar)
    scale.outline.set_visible(False)
    bar.tick_params(length=0, labelsize=SMALL)
    bar.set_title(unit, size=SMALL, color=MUTED, pad=3, loc="left")
    return figure
