"""Latent codes as a cloud of points, coloured by class or by a real value."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from zatlas.errors import UsageError
from zatlas.figures.latents import number
from zatlas.figures.pictures import heading
from zatlas.figures.style import (
    ACCENT,
    INK,
    MUTED,
    NORMAL,
    PAPER,
    SMALL,
    canvas,
    class_colours,
    name_axes,
    place,
    sequential,
    styled,
    text_width,
)

NAMED = 20  # classes that get a name and a colour of their own; more are only coloured
_SIDE = 480.0


@styled
def scatter(
    codes: ArrayLike,
    labels: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    *,
    axis_labels: tuple[str, str] = ("z₁", "z₂"),
    label_name: str | None = None,
    prior: bool = True,
    most: int = 20_000,
    title: str | None = None,
) -> Figure:
    """Codes in two dimensions.

    Points are drawn in a random order that is always the same, so that no class hides another, and as pixels, so that a
    vector file stays small. Dashed circles stand one and two standard deviations around a standard normal prior's mean.

    Args:
        codes: ``[N, 2]``; project higher-dimensional ones first and say how in ``axis_labels``.
        labels: ``[N]``: integers are classes, reals a colour scale; None draws one colour.
        names: name of each class, by its integer; the integers themselves when None.
        axis_labels: names of the horizontal and vertical coordinate.
        label_name: what the labels measure, over the legend or the colour scale.
        prior: whether to draw the prior's circles; leave out for a projection.
        most: points drawn at most; a random subset beyond.
        title: written above, at the left.
    """
    points = np.asarray(codes, float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise UsageError(f"codes of shape {points.shape} cannot be scattered: give [N, 2], projected and not empty.")
    values = None if labels is None else np.asarray(labels)
    if values is not None and values.shape != (len(points),):
        raise UsageError(f"labels of shape {values.shape} do not fit {len(points)} codes: give one for each.")
    keep = np.isfinite(points).all(axis=1)
    order = np.random.default_rng(0).permutation(np.flatnonzero(keep))[:most]
    classes = values is not None and values.dtype.kind in "iub"
    present = np.unique(values[keep]).astype(int) if values is not None and classes else np.array([], int)
    top, side = (44.0 if title else 10.0), 8.0
    legend = ceil(_legend_width(present, names, values is not None, classes))
    figure = canvas(58 + _SIDE + side + legend, top + _SIDE + 44)
    axes = place(figure, 58, top, _SIDE, _SIDE)
    if title:
        heading(figure, title, 58)
    _frame(axes, points[keep], axis_labels, prior)
    colour, extra = _colours(values, classes, present, order)
    size = float(np.clip(30_000 / max(len(order), 1), 4.0, 24))
    alpha = float(np.clip(4000 / max(len(order), 1), 0.6, 0.9))
    drawn = axes.scatter(
        points[order, 0],
        points[order, 1],
        c=colour,
        s=size,
        alpha=alpha,
        linewidths=0,
        rasterized=True,
        zorder=2,
        **extra,
    )
    if 1 < len(present) <= NAMED:
        _name_classes(axes, points[keep], values[keep], present, names)  # type: ignore[index]
        _legend(figure, present, names, label_name, (58 + _SIDE + side + 12, top))
    elif values is not None and not classes:
        _scale(figure, drawn, label_name, 58 + _SIDE + side + 12, top)
    return figure


def _colours(
    values: NDArray[Any] | None, classes: bool, present: NDArray[Any], order: NDArray[Any]
) -> tuple[Any, dict[str, Any]]:
    if values is None or (classes and len(present) < 2):
        return ACCENT, {}
    if classes:
        table = np.array([[*_rgb(c), 1.0] for c in class_colours(len(present))])
        return table[np.searchsorted(present, values[order])], {}
    low, high = np.nanpercentile(values[order], [1, 99])
    return values[order], {"cmap": sequential(), "vmin": low, "vmax": high if high > low else low + 1}


def _rgb(colour: Any) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def _frame(axes: Axes, points: NDArray[Any], axis_labels: tuple[str, str], prior: bool) -> None:
    """Equal scales on both axes; a code in a thousand may fall outside; the prior's circles when asked for."""
    low, high = np.percentile(points, [0.05, 99.95], axis=0) if len(points) else (np.zeros(2), np.ones(2))
    if prior:
        low, high = np.minimum(low, -2.15), np.maximum(high, 2.15)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-6) * 1.04
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")
    name_axes(axes, axis_labels)
    for radius in (1, 2) if prior else ():
        axes.add_patch(
            Circle((0, 0), radius, fill=False, edgecolor=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=3, alpha=0.5)
        )
        text = axes.annotate(
            f"{radius}σ", (radius * 0.7071, -radius * 0.7071), (2, -2), textcoords="offset points", size=SMALL,
            color=MUTED, ha="left", va="top", zorder=4,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=2, foreground=PAPER)])


def _name(label: int, names: Sequence[str] | None) -> str:
    return str(names[label]) if names is not None and 0 <= label < len(names) else str(label)


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _legend_width(present: NDArray[Any], names: Sequence[str] | None, labelled: bool, classes: bool) -> float:
    if labelled and not classes:
        return 72.0
    if not 1 < len(present) <= NAMED:
        return 8.0
    return 34 + max(text_width(_short(_name(int(k), names))) for k in present)


def _name_classes(
    axes: Axes, points: NDArray[Any], values: NDArray[Any], present: NDArray[Any], names: Sequence[str] | None
) -> None:
    """Names at the medians of their classes, nudged apart where two would overlap."""
    texts = [_short(_name(int(k), names), 14) for k in present]
    scale = _SIDE / float(np.diff(axes.get_xlim())[0])
    at = np.array([np.median(points[values == k], axis=0) for k in present]) * scale
    size = 12.0 if max(map(len, texts)) <= 2 else 9.0
    widths = np.array([text_width(t, size, "bold") + 4 for t in texts])
    for _ in range(60):  # in pixels: push every overlapping pair apart along the way that is shorter
        for i in range(len(at)):
            for j in range(i):
                gap = at[i] - at[j]
                need = np.array([(widths[i] + widths[j]) / 2, size * 1.5]) - np.abs(gap)
                if (need > 0).all():
                    way = int(np.argmin(need))
                    push = 0.5 * need[way] * (1.0 if gap[way] >= 0 else -1.0)
                    at[i, way] += push
                    at[j, way] -= push
    for text, (x, y) in zip(texts, at / scale, strict=True):
        label = axes.text(
            x, y, text, size=size, weight="bold", color=INK, ha="center", va="center", zorder=6, parse_math=False,
            clip_on=True,
        )  # fmt: skip
        label.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])


def _legend(
    figure: Figure,
    present: NDArray[Any],
    names: Sequence[str] | None,
    label_name: str | None,
    corner: tuple[float, float],
) -> None:
    left, top = corner
    height = 19.0 * len(present)
    axes = place(figure, left, top + (22 if label_name else 4), 20, height)
    axes.set_axis_off()
    axes.set_xlim(0, 20)
    axes.set_ylim(len(present) - 0.5, -0.5)
    axes.scatter(
        [6] * len(present), range(len(present)), c=class_colours(len(present)), s=34, linewidths=0, clip_on=False
    )
    for row, k in enumerate(present):
        axes.text(17, row, _short(_name(int(k), names)), size=NORMAL, color=INK, va="center_baseline", parse_math=False)
    if label_name:
        axes.annotate(
            label_name, (2, 1), (0, 6), xycoords=("data", "axes fraction"), textcoords="offset points", size=NORMAL,
            color=MUTED, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _scale(figure: Figure, drawn: Any, label_name: str | None, left: float, top: float) -> None:
    axes = place(figure, left, top + (26 if label_name else 6), 10, 200)
    bar = figure.colorbar(drawn, cax=axes)
    assert bar.solids is not None
    bar.solids.set(alpha=1.0, rasterized=True, edgecolor="face")
    bar.outline.set_visible(False)
    axes.tick_params(length=0)
    axes.yaxis.set_major_formatter(lambda value, _: number(value, 3))
    if label_name:
        axes.set_title(label_name, loc="left", size=NORMAL, color=MUTED, pad=8)
