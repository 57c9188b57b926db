"""Figures of many models: pictures laid out by two parameters, figures against a parameter, the frontier of all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.pictures import Margins, centres, framed, left_margin, transparent, write_above, write_left
from zatlas.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    NORMAL,
    PAPER,
    SMALL,
    canvas,
    class_colours,
    place,
    sequential,
    short,
    styled,
    text_width,
)
from zatlas.figures.tiles import Pixels, as_rgba, tile_pixels

CELL = 176  # figure pixels that a cell of a layout takes at least, where its images are as small
_WIDTH, _HEIGHT, _BETWEEN, _LEFT, _RIGHT = 190.0, 168.0, 64.0, 56.0, 20.0


class Spot(NamedTuple):
    """A value over seeds: where it stands, mean, and standard error or None."""

    x: Any
    mean: float
    error: float | None = None


@dataclass(frozen=True)
class Panel:
    """One figure against one parameter.

    Attributes:
        title: what it is of.
        unit: of the figure; may be empty.
        lines: named spots; an empty name where there is one line only.
    """

    title: str
    unit: str
    lines: Mapping[str, Sequence[Spot]]


class Model(NamedTuple):
    """A model in the plane: rate and distortion in nats, their errors, its line, and what is written beside it."""

    rate: float
    distortion: float
    line: str
    name: str
    rate_error: float | None = None
    distortion_error: float | None = None


@styled
def layout(
    cells: Mapping[tuple[int, int], ArrayLike],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    across: int | None = None,
    gap: int = 1,
    target: float = 1000.0,
    empty: Mapping[tuple[int, int], str] | None = None,
) -> Figure:
    """Sets of images on a table: rows by one parameter, columns by another.

    Args:
        cells: by row and column, images ``[N, C, H, W]`` or ``[N, H, W]``, the same number and size in each.
        rows: names of the rows; one empty name where there is one row.
        columns: names of the columns.
        across: images in a row of a cell; None: a square.
        gap: image pixels between images.
        target: figure pixels across that it comes near to; an image pixel is a whole number of them.
        empty: words for cells without images.

    Raises:
        UsageError: there is no cell, or they differ in size.
    """
    if not cells:
        raise UsageError("a layout wants images in at least one cell.")
    tiles = {at: _tile(images, across, gap) for at, images in cells.items()}
    if len({tile.shape for tile in tiles.values()}) > 1:
        raise UsageError("cells of different size cannot be laid out: give as many images of one size in each.")
    height, width = next(iter(tiles.values())).shape[:2]
    space = max(4 * gap, width // 12)
    blank = transparent(height, width)
    lines = []
    for i in range(len(rows)):
        parts = [part for j in range(len(columns)) for part in (tiles.get((i, j), blank), transparent(height, space))]
        lines.append(np.concatenate(parts[:-1], axis=1))
    spacer = transparent(space, lines[0].shape[1])
    picture = np.concatenate([part for line in lines for part in (line, spacer)][:-1])
    least = max(1, round(CELL / width))
    scale = max(1, min(least, int(target // picture.shape[1]) or 1))
    top = 20.0 if any(columns) else 0.0
    axes = framed(picture, scale, Margins(top=top, left=left_margin(rows) if any(rows) else 0.0))
    if any(rows):
        write_left(axes, rows, centres(len(rows), height, space), INK)
    if any(columns):
        write_above(axes, columns, centres(len(columns), width, space))
        for text in axes.texts[-len(columns) :]:
            text.set_color(INK)
    for (i, j), words in (empty or {}).items():
        x, y = centres(len(columns), width, space)[j], centres(len(rows), height, space)[i]
        axes.text(x, y, words, ha="center", va="center", color=MUTED, size=SMALL)
    return axes.figure  # type: ignore[return-value]


def _tile(images: ArrayLike, across: int | None, gap: int) -> Pixels:
    pixels = as_rgba(images)
    return tile_pixels(pixels, across or math.ceil(math.sqrt(len(pixels))), gap)


@styled
def against(
    panels: Sequence[Panel], parameter: str, *, log: bool | None = None, others: str = "", joined: bool = True
) -> Figure:
    """Figures against a parameter, a small panel for each, with bars of one standard error over seeds.

    Args:
        panels: what is shown.
        parameter: its name, below each panel.
        log: whether the parameter is shown by its logarithm; None: where its values span a factor of 20 or more.
        others: the name of the parameter that tells the lines apart; empty where there is one line.
        joined: whether a line joins its spots: not where other parameters were drawn along with this one.

    Raises:
        UsageError: there is nothing to show.
    """
    panels = [panel for panel in panels if any(panel.lines.values())]
    if not panels:
        raise UsageError("there is no figure to draw against a parameter.")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = dict(zip(names, _colours(len(names)), strict=True))
    values = list(dict.fromkeys(spot.x for panel in panels for line in panel.lines.values() for spot in line))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    values = sorted(values) if numeric else values
    if log is None:
        log = numeric and values[0] > 0 and values[-1] / values[0] >= 20
    per_row = min(len(panels), 4)
    count = math.ceil(len(panels) / per_row)
    top = 44.0 + (22.0 if len(names) > 1 else 0.0)
    step = _HEIGHT + 84
    wide = _LEFT + per_row * (_WIDTH + _BETWEEN) - _BETWEEN + _RIGHT
    figure = canvas(wide, top + count * step - 34)
    if len(names) > 1:
        _legend(figure, colours, others)
    for number, panel in enumerate(panels):
        left = _LEFT + (number % per_row) * (_WIDTH + _BETWEEN)
        axes = place(figure, left, top + (number // per_row) * step, _WIDTH, _HEIGHT)
        _draw_panel(axes, panel, colours, values, numeric, log, joined)
        axes.set_title(panel.title, loc="left", pad=10, weight="bold")
        axes.set_xlabel(parameter)
        axes.set_ylabel(panel.unit)
    return figure


def _colours(count: int) -> list[Any]:
    """One colour, a few apart, or a scale from low to high."""
    if count <= 1:
        return [ACCENT]
    if count <= 4:
        return class_colours(count)
    return [tuple(map(float, sequential()(at)[:3])) for at in np.linspace(0, 1, count)]


def _legend(figure: Figure, colours: Mapping[str, Any], title: str) -> None:
    across, down = figure.get_size_inches() * figure.dpi
    x, y = _LEFT, 1 - 14 / down
    figure.text(x / across, y, title, size=NORMAL, color=MUTED, va="baseline")
    x += 1.1 * text_width(title) + 14
    for name, colour in colours.items():
        if x + text_width(name) > across:
            break
        figure.text(x / across, y, short(name), size=NORMAL, color=colour, va="baseline", weight="bold")
        x += 1.2 * text_width(short(name), weight="bold") + 14


def _draw_panel(
    axes: Axes,
    panel: Panel,
    colours: Mapping[str, Any],
    values: Sequence[Any],
    numeric: bool,
    log: bool,
    joined: bool,
) -> None:
    at = (lambda x: x) if numeric else values.index
    many = len(values) > 12
    if log:
        axes.set_xscale("log")
    for name, line in panel.lines.items():
        spots = sorted(line, key=lambda spot: at(spot.x))
        x, y = [at(spot.x) for spot in spots], [spot.mean for spot in spots]
        axes.plot(x, y, "o-" if joined and numeric else "o", color=colours[name], markersize=4, zorder=3)
        errors = [(at(s.x), s.mean, s.error) for s in spots if s.error is not None and math.isfinite(s.error)]
        if errors:
            axes.errorbar(
                [e[0] for e in errors], [e[1] for e in errors], [e[2] for e in errors],
                fmt="none", ecolor=colours[name], elinewidth=1.2, capsize=2.5, zorder=2,
            )  # fmt: skip
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08, y=0.12)
    if not numeric:
        axes.set_xticks(range(len(values)), [short(_written(value), 14) for value in values])
    elif not many:
        axes.xaxis.set_major_locator(FixedLocator(_apart(values, log)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(LogLocator(numticks=4) if log else MaxNLocator(4))
        axes.xaxis.set_minor_locator(NullLocator())
    if numeric:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _apart(values: Sequence[float], log: bool) -> list[float]:
    """Those values whose names do not overlap on an axis."""
    scaled = np.log(values) if log else np.asarray(values, float)
    width = float(scaled[-1] - scaled[0]) or 1.0
    kept = [len(values) - 1]
    for i in range(len(values) - 2, -1, -1):
        room = (scaled[kept[-1]] - scaled[i]) / width * _WIDTH
        if room >= 8 + max(text_width(f"{values[i]:g}"), text_width(f"{values[kept[-1]]:g}")):
            kept.append(i)
    return [values[i] for i in kept]


def _written(value: Any) -> str:
    return "none" if value is None else str(value)


def undominated(points: Sequence[tuple[float, float]]) -> list[int]:
    """The numbers of the points that no other beats in one coordinate without losing in the other, by the first.

    >>> undominated([(1, 5), (2, 3), (3, 4), (4, 1)])
    [0, 1, 3]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i], i))
    found: list[int] = []
    for i in order:
        if not found or points[i][1] < points[found[-1]][1]:
            found.append(i)
    return found


@styled
def frontier(models: Sequence[Model], *, lines: str = "", along: str = "") -> Figure:
    """Distortion against rate of every model (Alemi et al. 2018, figure 1), and the frontier of those that none beats.

    On a dashed line the negative ELBO is the same everywhere.

    Args:
        models: with their lines; a line joins its models by rate.
        lines: the parameter that tells the lines apart.
        along: the parameter whose values are written at the models.

    Raises:
        UsageError: there is no model, or a figure is not finite.
    """
    if not models or not all(map(math.isfinite, (v for m in models for v in (m.rate, m.distortion)))):
        raise UsageError("the plane of rate and distortion wants at least one model with finite figures.")
    names = list(dict.fromkeys(m.line for m in models))
    colours = dict(zip(names, _colours(len(names)), strict=True))
    top, right = 44.0, 64.0
    figure = canvas(_LEFT + 620 + right, top + 400 + 48)
    if len(names) > 1:
        _legend(figure, colours, lines)
    axes = place(figure, _LEFT, top, 620, 400)
    rates, distortions = np.array([m.rate for m in models]), np.array([m.distortion for m in models])
    low, high = _room(rates), _room(distortions)
    axes.set_xlim(*low)
    axes.set_ylim(*high)
    for total in MaxNLocator(8).tick_values(low[0] + high[0], low[1] + high[1]):
        axes.plot(low, [total - low[0], total - low[1]], color=LINE, linestyle=(0, (4, 4)), linewidth=0.8, zorder=1)
        if high[0] <= total - low[1] <= high[1] - 0.04 * (high[1] - high[0]):
            axes.annotate(f"{total:g}".replace("-", "−"), (low[1], total - low[1]), (6, 0), textcoords="offset points",
                          color=MUTED, size=SMALL, va="center", annotation_clip=False)  # fmt: skip
    axes.annotate("−ELBO", (1, 1), (6, 0), xycoords="axes fraction", textcoords="offset points", color=MUTED,
                  size=SMALL, va="center", annotation_clip=False)  # fmt: skip
    best = undominated([(m.rate, m.distortion) for m in models])
    axes.plot(rates[best], distortions[best], color=LINE, linewidth=7, zorder=1.5, solid_joinstyle="round")
    for name in names:
        own = sorted((m for m in models if m.line == name), key=lambda m: m.rate)
        if len(own) <= 12:
            axes.plot([m.rate for m in own], [m.distortion for m in own], color=colours[name], linewidth=1.1, zorder=2)
        for m in own:
            axes.errorbar(m.rate, m.distortion, m.distortion_error or None, m.rate_error or None, fmt="o",
                          color=colours[name], markersize=5, elinewidth=1, zorder=3)  # fmt: skip
    if len(models) <= 40:
        _names(axes, models)
    axes.set_xlabel("rate (nats)")
    axes.set_ylabel("distortion (nats)")
    if along:
        axes.annotate(f"at the points: {along}", (1, 1), (0, 15), xycoords="axes fraction", textcoords="offset points",
                      ha="right", va="bottom", color=MUTED, size=NORMAL, annotation_clip=False)  # fmt: skip
    return figure


def _names(axes: Axes, models: Sequence[Model]) -> None:
    """A name beside each model, left out where it would stand on another."""
    transform = axes.transData
    points = [transform.transform((m.rate, m.distortion)) for m in models]
    taken: list[tuple[float, float, float, float]] = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    written: list[tuple[str, float, float]] = []
    for m, (x, y) in zip(models, points, strict=True):
        if any(m.name == name and math.hypot(x - u, y - v) < 14 for name, u, v in written):
            continue  # the same name stands there for another model
        written.append((m.name, x, y))
        wide = text_width(m.name, SMALL) + 4
        for dx, dy in ((7, 5), (7, -13), (-7 - wide, 5), (-7 - wide, -13), (-wide / 2, 9), (-wide / 2, -17)):
            box = (x + dx, y + dy, x + dx + wide, y + dy + 10)
            if not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
                taken.append(box)
                paper = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.4, "alpha": 0.7}
                axes.annotate(m.name, (m.rate, m.distortion), (0.75 * dx, 0.75 * dy), textcoords="offset points",
                              size=SMALL, color=INK, zorder=4, va="bottom", bbox=paper)  # fmt: skip
                break


def _room(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.1 * ((high - low) or max(abs(high), 1.0))
    return low - room, high + room
