"""How an estimate of log p(x) settles as more samples are drawn for each example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from zatlas.errors import UsageError
from zatlas.figures.pictures import heading
from zatlas.figures.plots import compact, write_ends
from zatlas.figures.style import MUTED, NORMAL, PAPER, SMALL, canvas, class_colours, place, styled, text_width


class Estimate(NamedTuple):
    """log p(x) by so many samples, nats, with its standard error; NaN: not known."""

    samples: int
    value: float
    standard_error: float


@styled
def convergence(
    lines: Mapping[str, Sequence[Estimate]],
    *,
    mark: tuple[float, str] | None = None,
    title: str | None = None,
    quantity: str = "log p(x)",
) -> Figure:
    """log p(x) against the number of samples, on a logarithmic axis, one line for each estimator.

    Bars are one standard error over the examples, which estimators of the same examples have in common: that two bars
    meet does not say that the estimators agree.

    Args:
        lines: the estimates of each estimator, by its name.
        mark: a value that all should come to, and its name: a dashed line across.
        title: written above, at the left.
        quantity: what is estimated, in nats.

    Raises:
        UsageError: there is no estimate, one is not finite, or its samples are none.
    """
    points = [one for line in lines.values() for one in line]
    if not points or not all(np.isfinite(p.value) and p.samples > 0 for p in points):
        raise UsageError("a curve over the number of samples wants finite estimates, of one sample or more each.")
    rows = _rows(list(lines))
    top = (72.0 if title else 44.0) + 16.0 * (max(rows) if rows else 0)
    figure = canvas(64 + 400 + 60, top + 240 + 46)
    if title:
        heading(figure, title, 64)
    axes = place(figure, 64, top, 400, 240)
    levels = [mark[0]] if mark else []
    ends: list[tuple[float, float, str]] = []
    for (_, line), colour in zip(lines.items(), class_colours(len(lines)), strict=True):
        samples, values, errors = np.array(sorted(line), float).reshape(-1, 3).T
        errors = np.nan_to_num(errors)
        axes.errorbar(
            samples, values, errors, color=colour, marker="o", markersize=4, capsize=2.5, elinewidth=1.0, capthick=1.0
        )
        if len(values):
            ends.append((samples[-1], values[-1], colour))
            levels += [*(values - errors), *(values + errors)]
    room = (max(levels) - min(levels)) or 1.0
    axes.set_ylim(min(levels) - 0.08 * room, max(levels) + 0.08 * room)
    axes.set_xscale("log")
    numbers = [p.samples for p in points]
    axes.set_xlim(min(numbers) / 1.25, max(*numbers, 10) * 1.25)
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("samples for each example")
    axes.set_ylabel(f"{quantity} (nats)")
    if mark:
        axes.axhline(mark[0], color=MUTED, linestyle=(0, (3, 3)), linewidth=0.9, zorder=1)
        axes.annotate(
            mark[1], (0.02, mark[0]), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
            color=MUTED, size=SMALL, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
    write_ends(axes, ends, 1.16 * room)
    _names(axes, list(lines))
    return figure


def _rows(names: Sequence[str], width: float = 500.0) -> list[int]:
    """The line that each name stands on, from the top."""
    rows, row, across = [], 0, 0.0
    for name in names:
        needed = 1.15 * text_width(name) + 16
        if across and across + needed > width:
            row, across = row + 1, 0.0
        rows.append(row)
        across += needed
    return rows


def _names(axes: Axes, names: Sequence[str]) -> None:
    """The names of the lines in their colours, above the axes."""
    rows = _rows(names)
    across = dict.fromkeys(rows, 0.0)
    for name, row, colour in zip(names, rows, class_colours(len(names)), strict=True):
        above = 12 + 12 * (rows[-1] - row)
        axes.annotate(
            name, (0, 1), (across[row] * 0.75, above), xycoords="axes fraction", textcoords="offset points",
            color=colour, size=NORMAL, weight="bold", annotation_clip=False,
        )  # fmt: skip
        across[row] += 1.15 * text_width(name) + 16
