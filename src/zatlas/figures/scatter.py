"""Latent codes as a cloud of points, or of ellipses, coloured by class or by a real value."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection
from matplotlib.colors import Normalize, to_rgba, to_rgba_array
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
    short,
    styled,
    text_width,
)

NAMED = 20  # classes that get a name and a colour of their own; more are only coloured
ELLIPSES = 400  # drawn at most: with more they hide one another
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
    covariances: ArrayLike | None = None,
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
        covariances: of each code's posterior ``[N, 2, 2]``, drawn as an ellipse of one standard deviation about at most
            400 of them; the other codes are then left faint.
        title: written above, at the left.

    Raises:
        UsageError: codes, labels or covariances of other shapes.
    """
    points = np.asarray(codes, float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise UsageError(f"codes of shape {points.shape} cannot be scattered: give [N, 2], projected and not empty.")
    values = None if labels is None else np.asarray(labels)
    if values is not None and values.shape != (len(points),):
        raise UsageError(f"labels of shape {values.shape} do not fit {len(points)} codes: give one for each.")
    spreads = None if covariances is None else np.asarray(covariances, float)
    if spreads is not None and spreads.shape != (len(points), 2, 2):
        raise UsageError(f"covariances of shape {spreads.shape} do not fit {len(points)} codes: give [N, 2, 2].")
    keep = np.isfinite(points).all(axis=1)
    order = np.random.default_rng(0).permutation(np.flatnonzero(keep))[:most]
    classes = values is not None and values.dtype.kind in "iub"
    present = np.unique(values[keep]).astype(int) if values is not None and classes else np.array([], int)
    top, side = (44.0 if title else 10.0), 8.0
    legend = ceil(_legend_width(present, names, values is not None, classes, label_name or ""))
    figure = canvas(58 + _SIDE + side + legend, top + _SIDE + 44)
    axes = place(figure, 58, top, _SIDE, _SIDE)
    if title:
        heading(figure, title, 58)
    _frame(axes, points[keep], axis_labels, prior)
    colours, measure = _colours(values, classes, present, order)
    size = float(np.clip(30_000 / max(len(order), 1), 4.0, 24))
    alpha = float(np.clip(4000 / max(len(order), 1), 0.6, 0.9)) if spreads is None else 0.2
    across, up = points[order].T
    axes.scatter(across, up, c=colours, s=size, alpha=alpha, linewidths=0, rasterized=True, zorder=2)
    if spreads is not None:
        _ellipses(axes, points[order], spreads[order], colours)
    if 1 < len(present) <= NAMED:
        _name_classes(axes, points[keep], values[keep], present, names)  # type: ignore[index]
        _legend(figure, present, names, label_name, (58 + _SIDE + side + 12, top))
    elif measure is not None:
        _scale(figure, measure, label_name, 58 + _SIDE + side + 12, top)
    return figure


def _colours(
    values: NDArray[Any] | None, classes: bool, present: NDArray[Any], order: NDArray[Any]
) -> tuple[NDArray[Any], ScalarMappable | None]:
    """A colour for each code in its order ``[N, 4]``, and the scale of a real value."""
    if values is None or (classes and len(present) < 2):
        return np.tile(to_rgba(ACCENT), (len(order), 1)), None
    if classes:
        return to_rgba_array(class_colours(len(present)))[np.searchsorted(present, values[order])], None
    low, high = np.nanpercentile(values[order], [1, 99])
    measure = ScalarMappable(Normalize(low, high if high > low else low + 1), sequential())
    return measure.to_rgba(values[order]), measure


def _ellipses(axes: Axes, points: NDArray[Any], covariances: NDArray[Any], colours: NDArray[Any]) -> None:
    """One standard deviation about the first codes, few where they are large; the larger lie below the smaller."""
    variances, directions = np.linalg.eigh(covariances[:ELLIPSES])
    field = float(np.ptp(axes.get_xlim()) * np.ptp(axes.get_ylim()))
    mean_area = float(np.pi * np.sqrt(variances.clip(0).prod(1)).mean())
    count = int(np.clip(0.6 * field / max(mean_area, 1e-12), 60, ELLIPSES))
    variances, directions = variances[:count], directions[:count]
    by_size = np.argsort(-variances.prod(1), kind="stable")
    widths, heights = 2 * np.sqrt(variances.clip(0))[by_size].T
    angles = np.degrees(np.arctan2(directions[:, 1, 0], directions[:, 0, 0]))[by_size]
    faces = colours[by_size].copy()
    faces[:, 3] *= 0.3
    axes.add_collection(
        EllipseCollection(
            widths, heights, angles, units="xy", offsets=points[by_size], offset_transform=axes.transData,
            facecolors=faces, edgecolors=colours[by_size], linewidths=0.7, zorder=2.5,
        )
    )  # fmt: skip


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


def _legend_width(
    present: NDArray[Any], names: Sequence[str] | None, labelled: bool, classes: bool, title: str
) -> float:
    heading = 18 + text_width(title)
    if labelled and not classes:
        return max(72.0, heading)
    if not 1 < len(present) <= NAMED:
        return 8.0
    return max(34 + max(text_width(short(_name(int(k), names), 22)) for k in present), heading)


def _name_classes(
    axes: Axes, points: NDArray[Any], values: NDArray[Any], present: NDArray[Any], names: Sequence[str] | None
) -> None:
    """Names, each with a dot of its colour, where their classes are among themselves; nudged apart where they meet."""
    texts = [short(_name(int(k), names), 14) for k in present]
    scale = _SIDE / float(np.diff(axes.get_xlim())[0])
    at = _own_places(points, values, present) * scale
    size = 12.0 if max(map(len, texts)) <= 2 else 9.0
    widths = np.array([text_width(t, size, "bold") + 4 for t in texts])
    room = size + widths  # a name with its dot
    for _ in range(60):  # in pixels: push every overlapping pair apart along the way that is shorter
        for i in range(len(at)):
            for j in range(i):
                gap = at[i] - at[j]
                need = np.array([(room[i] + room[j]) / 2, size * 1.5]) - np.abs(gap)
                if (need > 0).all():
                    way = int(np.argmin(need))
                    push = 0.5 * need[way] * (1.0 if gap[way] >= 0 else -1.0)
                    at[i, way] += push
                    at[j, way] -= push
    for text, (x, y) in zip(texts, at / scale, strict=True):
        label = axes.text(
            x, y, text, size=size, weight="bold", color=INK, ha="center", va="center", zorder=6,
            clip_on=True,
        )  # fmt: skip
        label.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])
    left = (at - np.stack([widths / 2 + 5, np.zeros(len(at))], 1)) / scale
    colours = class_colours(len(present))
    axes.scatter(*left.T, c=colours, s=5.5 * size, edgecolors=PAPER, linewidths=1.5, zorder=5.5)  # type: ignore[misc]


def _own_places(points: NDArray[Any], values: NDArray[Any], present: NDArray[Any]) -> NDArray[Any]:
    """Where each class is many and among itself ``[classes, 2]``; a median may lie between two clouds of one class."""
    low, high = np.percentile(points, [1, 99], axis=0)
    reach = (high - low).max() / 20 or 1.0
    places = []
    for k in present:
        own = points[values == k][:200]
        near = ((own[:, None] - points[None, :2000]) ** 2).sum(-1) < reach**2
        mine = values[:2000] == k
        places.append(own[(near[:, mine].sum(1) ** 2 / near.sum(1).clip(1)).argmax()])
    return np.array(places)


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
        axes.text(17, row, short(_name(int(k), names), 22), size=NORMAL, color=INK, va="center_baseline")
    if label_name:
        axes.annotate(
            label_name, (2, 1), (0, 6), xycoords=("data", "axes fraction"), textcoords="offset points", size=NORMAL,
            color=MUTED, annotation_clip=False,
        )  # fmt: skip


def _scale(figure: Figure, measure: ScalarMappable, label_name: str | None, left: float, top: float) -> None:
    axes = place(figure, left, top + (26 if label_name else 6), 10, 200)
    bar = figure.colorbar(measure, cax=axes)
    assert bar.solids is not None
    bar.solids.set(alpha=1.0, rasterized=True, edgecolor="face")
    bar.outline.set_visible(False)
    axes.tick_params(length=0)
    axes.yaxis.set_major_formatter(lambda value, _: number(value, 3))
    if label_name:
        axes.set_title(label_name, loc="left", size=NORMAL, color=MUTED, pad=8)
