"""Figures of numbers: the curves of training, and the nats that each latent unit carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from zatlas.errors import UsageError
from zatlas.figures.latents import DEAD_NATS
from zatlas.figures.pictures import heading
from zatlas.figures.style import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    NORMAL,
    PAPER,
    SECOND,
    SMALL,
    TITLE,
    canvas,
    place,
    styled,
    text_width,
)

Series = NDArray[np.float64]

_SPLITS = {"train": ("train", SECOND), "validation": ("validation", ACCENT), "test": ("test", INK)}
_ALIASES = {"training": "train", "valid": "validation", "val": "validation"}
_TITLES = {"model_loss": "generator loss", "value": "V(D,G)", "d_real": "D(x)", "d_fake": "D(G(z))"}
LEFT, RIGHT = 56.0, 62.0  # pixels for the names and the numbers beside the panels


def series(history: Sequence[Mapping[str, Any]], split: str, x: str, key: str) -> tuple[Series, Series]:
    """The finite points (x, value) of one line, in the order of x."""
    points = [
        (float(row[x]), float(row[key]))
        for row in history
        if _ALIASES.get(row.get("split", "train"), row.get("split", "train")) == split
        and row.get(key) is not None
        and row.get(x) is not None
    ]
    array = np.array(points, float).reshape(-1, 2)
    array = array[np.isfinite(array).all(axis=1)]
    array = array[np.argsort(array[:, 0], kind="stable")]
    return array[:, 0], array[:, 1]


def smooth(values: Series, window: int) -> Series:
    """Running mean over ``window`` points around each one, fewer at the ends.

    The window shrinks evenly at the start, where the curve plunges, and is cut at the end, where the last value is
    read.

    >>> smooth(np.array([9.0, 3.0, 0.0, 3.0, 6.0]), 3).tolist()
    [9.0, 4.0, 2.0, 3.0, 4.5]
    """
    if window < 2 or len(values) < 3:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    half = np.minimum(window // 2, at)
    end = np.minimum(at + half + 1, len(values))
    return (total[end] - total[at - half]) / (end - at + half)


def thin(x: Series, y: Series, most: int = 1500) -> tuple[Series, Series]:
    """At most about ``most`` points, the last one among them."""
    stride = max(1, -(-len(x) // most))
    return x[::-1][::stride][::-1], y[::-1][::stride][::-1]


@styled
def curves(
    history: Sequence[Mapping[str, Any]],
    *,
    x: str = "step",
    keys: Sequence[str] = ("loss", "distortion", "rate"),
    unit: str = "nats per example",
    title: str | None = None,
    marks: Mapping[str, tuple[float, str]] | None = None,
) -> Figure:
    """Training curves, a small panel for each quantity, the last value written at the end of its line.

    The top of a panel is set by what came after the first few hundredths of training, where a line has 20 points or
    more: the plunge from an untrained model leaves through it, and what is worth comparing fills the panel. No
    logarithm is taken.

    Args:
        history: the lines of ``metrics.jsonl``: each holds ``x``, ``split`` (train, validation or test; train when
            missing) and some of ``keys``. What is missing or not finite is left out.
        x: what runs across: ``step``, ``epoch`` or ``seconds``.
        keys: a panel for each that has a value at all.
        unit: written at the top left.
        title: written above, at the left.
        marks: for some keys a value worth comparing with, and its name: a dashed line across the panel.
    """
    lines = {key: {split: series(history, split, x, key) for split in _SPLITS} for key in keys}
    shown = [key for key in keys if any(len(y) for _, y in lines[key].values())]
    if not shown:
        raise UsageError(f"no curve to draw: no line of the history holds a finite {' or '.join(keys)} at a {x}.")
    top, width, height, between = (80.0 if title else 56.0), 168.0, 168.0, 94.0
    figure = canvas(LEFT + len(shown) * (width + between) - between + RIGHT, top + height + 44)
    if title:
        heading(figure, title, LEFT)
    for i, key in enumerate(shown):
        axes = place(figure, LEFT + i * (width + between), top, width, height)
        _panel(axes, lines[key], (marks or {}).get(key))
        axes.set_title(_TITLES.get(key, key), loc="left", pad=10, weight="bold")
        axes.set_xlabel({"step": "step", "epoch": "epoch", "seconds": "seconds"}.get(x, x))
    figure.axes[0].set_ylabel(unit)
    present = [s for s in _SPLITS if any(len(lines[key][s][1]) for key in shown)]
    _legend(figure, present, top)
    return figure


def _legend(figure: Figure, splits: Sequence[str], top: float) -> None:
    """The names of the lines in their colours, at the top right."""
    across, down = figure.get_size_inches() * figure.dpi
    right = across - RIGHT
    for split in reversed(splits):
        name, colour = _SPLITS[split]
        y = 1 - (top - 40) / down
        figure.text(right / across, y, name, size=NORMAL, color=colour, ha="right", va="baseline", weight="bold")
        right -= 1.15 * text_width(name) + 14


def _panel(axes: Axes, lines: Mapping[str, tuple[Series, Series]], mark: tuple[float, str] | None = None) -> None:
    longest = max((x for x, _ in lines.values()), key=len)
    settled = longest[0] + 0.04 * (longest[-1] - longest[0]) if len(longest) >= 20 else -np.inf
    ends: list[tuple[float, float, str]] = []
    kept: list[Series] = []
    for split, (x, y) in lines.items():
        if not len(y):
            continue
        colour = _SPLITS[split][1]
        even = smooth(y, len(y) // 25 if split == "train" else 0)
        if even is not y:
            axes.plot(*thin(x, y), color=colour, alpha=0.22, linewidth=0.7)
        dots = "o" if len(y) == 1 else None
        axes.plot(*thin(x, even), color=colour, marker=dots, markersize=3.5)
        ends.append((float(x[-1]), float(even[-1]), colour))
        kept.append(even[x >= settled])
    if mark:
        level, name = mark
        kept.append(np.array([level]))
        axes.axhline(level, color=MUTED, linestyle=(0, (3, 3)), linewidth=0.9, zorder=1)
        axes.annotate(name, (0.02, level), (0, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                      color=MUTED, size=SMALL, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})  # fmt: skip
    values = np.concatenate(kept)
    low, high = float(values.min()), float(values.max())
    room = (high - low) or max(abs(high), 1.0) * 0.1
    axes.set_ylim(low - 0.08 * room, high + 0.08 * room)
    axes.margins(x=0.02)
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=max(e[0] for e in ends) >= 3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    write_ends(axes, ends, 1.16 * room)


def write_ends(axes: Axes, ends: list[tuple[float, float, str]], span: float) -> None:
    """The last values at the right of their lines, pushed apart where they would overlap."""
    least = span * 0.085
    at: list[float] = []
    for _, y, _ in sorted(ends, key=lambda end: end[1]):
        at.append(max(y, at[-1] + least) if at else y)
    shift = (at[-1] - at[0] - (max(e[1] for e in ends) - min(e[1] for e in ends))) / 2
    digits = 2 if max(abs(e[1]) for e in ends) < 100 else 1
    for y, (x, value, colour) in zip(at, sorted(ends, key=lambda end: end[1]), strict=True):
        axes.plot([x], [value], "o", color=colour, markersize=3.2, clip_on=False, zorder=5)
        axes.annotate(
            f"{value:.{digits}f}".replace("-", "−"), (1, y - shift), (6, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", ha="left", color=colour, size=NORMAL, weight="bold",
            annotation_clip=False,
        )  # fmt: skip


def compact(value: float) -> str:
    """A tick as people say it: thousands as k.

    >>> [compact(v) for v in (0.0, 2.5, 800.0, 1500.0, 20000.0)]
    ['0', '2.5', '800', '1.5k', '20k']
    """
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


@styled
def rates(
    rate_per_unit: Sequence[float] | ArrayLike,
    active: Sequence[bool] | ArrayLike | None = None,
    *,
    unit_names: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Nats that each latent unit carries, highest first; dead units grey and counted.

    Args:
        rate_per_unit: mean KL of each unit, ``[D]``.
        active: which units count as active, ``[D]``; those of 0.01 nats or more when None.
        unit_names: names in the order of ``rate_per_unit``; their numbers from 1 when None.
        title: written above in place of the count of active units.
    """
    nats = np.asarray(rate_per_unit, float)
    if nats.ndim != 1 or not len(nats):
        raise UsageError(f"rates of shape {nats.shape} cannot be drawn: give one number of nats per unit, [D].")
    alive = nats >= DEAD_NATS if active is None else np.asarray(active, bool)
    order = np.argsort(-np.nan_to_num(nats), kind="stable")
    units = len(nats)
    names = [str(i + 1) for i in range(units)] if unit_names is None else list(unit_names)
    width, height = float(np.clip(units * 30, 160, 560)), 180.0
    title = title or f"{int(alive.sum())} of {units} units active, {np.nansum(nats):.1f} nats in all"
    figure = canvas(52 + max(width, 1.15 * text_width(title, TITLE)) + 12, 40 + height + 44)
    heading(figure, title, 52)
    axes = place(figure, 52, 40, width, height)
    colours = [ACCENT if alive[i] else LINE for i in order]
    axes.bar(range(units), np.nan_to_num(nats[order]), color=colours, width=0.72 if units <= 64 else 1.0)
    axes.set_xlim(-0.6, units - 0.4)
    axes.set_ylim(0, max(float(np.nanmax(nats)) * 1.12, DEAD_NATS * 5))
    axes.set_ylabel("rate (nats)")
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    if units <= 24:
        axes.set_xticks(range(units), [names[i] for i in order])
        for at, i in enumerate(order):
            note = f"{nats[i]:.2f}" if alive[i] else "dead"
            axes.annotate(
                note, (at, np.nan_to_num(nats[i])), (0, 3), textcoords="offset points", ha="center", va="bottom",
                size=SMALL, color=INK if alive[i] else MUTED,
            )  # fmt: skip
    elif not alive.all():
        first = int(alive.sum())
        axes.plot([first - 0.5, units - 0.5], [0, 0], color=LINE, linewidth=5, solid_capstyle="butt", clip_on=False)
        axes.annotate(
            f"{units - first} dead", ((first + units - 1) / 2, 0), (0, 6), textcoords="offset points", ha="center",
            size=SMALL, color=MUTED,
        )  # fmt: skip
    axes.set_xlabel("latent unit" if units <= 24 else "latent units, by rate")
    return figure
