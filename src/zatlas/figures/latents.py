"""Figures of latent space made of decoded images: planes and traversals."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from zatlas.errors import UsageError
from zatlas.figures.pictures import Margins, centres, fit_scale, framed, left_margin, write_above
from zatlas.figures.style import INK, MUTED, NORMAL, SMALL, TITLE, canvas, name_axes, place, styled, text_width
from zatlas.figures.tiles import as_pixels, as_rgba, default_columns, tile, tile_pixels

_ARROW = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
DEAD_NATS = 0.01  # a unit whose rate is below this carries nothing


def number(value: float, digits: int = 2) -> str:
    """A short number with a true minus sign and without trailing zeros.

    >>> number(-1.50), number(0.0), number(-0.001)
    ('−1.5', '0', '0')
    """
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "", "0") else text.replace("-", "−")


@styled
def manifold(
    images: ArrayLike,
    ticks: Sequence[float] | ArrayLike,
    *,
    labels: tuple[str, str] = ("z₁", "z₂"),
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """The images that a square of latent space decodes to, tiled without a gap, with latent coordinates as axes.

    Args:
        images: ``[n, n, C, H, W]`` (or ``[n, n, H, W]``); row 0 is decoded at the largest z₂ and drawn at the top,
            column 0 at the smallest z₁.
        ticks: the n coordinates in rising order, evenly spaced or Gaussian quantiles.
        labels: names of the horizontal and of the vertical unit.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    array, values = np.asarray(images), np.asarray(ticks, float)
    n = len(values)
    if array.ndim not in (4, 5) or array.shape[:2] != (n, n):
        raise UsageError(f"a manifold of shape {array.shape} does not fit {n} ticks: give images [n, n, C, H, W].")
    flat = array.reshape(n * n, *array.shape[2:])
    height, width = as_pixels(flat).shape[1:3]
    axes = framed(tile(flat, n, gap=0), scale, Margins(4, 4, 40, 56), title)
    axes.set_axis_on()
    axes.spines[:].set_visible(False)
    axes.set_xticks(*_nice(values, centres(n, width, 0)))
    axes.set_yticks(*_nice(values, centres(n, height, 0)[::-1]))
    name_axes(axes, labels)
    return axes.figure  # type: ignore[return-value]


@styled
def manifolds(
    panels: Sequence[tuple[str, ArrayLike]],
    ticks: Sequence[float] | ArrayLike,
    *,
    labels: tuple[str, str] = ("z₁", "z₂"),
    columns: int | None = None,
    scale: int | None = None,
) -> Figure:
    """The same square of latent space decoded several times, as once for each class: small planes under their names.

    Args:
        panels: (name, images ``[n, n, C, H, W]``), each as in :func:`manifold`.
        ticks: the n coordinates in rising order.
        labels: names of the horizontal and of the vertical unit, written once, at the bottom left.
        columns: panels in a row; chosen when None.
        scale: figure pixels per image pixel; chosen for a figure of about 900 pixels when None.

    Raises:
        UsageError: no panel, or one that does not fit the ticks.
    """
    values = np.asarray(ticks, float)
    n = len(values)
    if not panels:
        raise UsageError("there is no plane to draw: give at least one (name, images).")
    flat = []
    for name, images in panels:
        array = np.asarray(images)
        if array.ndim not in (4, 5) or array.shape[:2] != (n, n):
            raise UsageError(f"the plane {name!r} of shape {array.shape} does not fit {n} ticks: give [n, n, C, H, W].")
        flat.append(as_pixels(array.reshape(n * n, *array.shape[2:])))
    height, width = flat[0].shape[1:3]
    columns = min(default_columns(len(panels)) if columns is None else columns, len(panels))
    scale = fit_scale(columns * n * width, 900) if scale is None else scale
    across, down = n * width * scale, n * height * scale
    left, top, right, below = 14.0, 24.0, 4.0, 40.0
    rows = -(-len(panels) // columns)
    figure = canvas(44 + columns * (left + across) + right, rows * (top + down) + below)
    for i, ((name, _), pixels) in enumerate(zip(panels, flat, strict=True)):
        row, column = divmod(i, columns)
        axes = place(figure, 44 + column * (left + across) + left, row * (top + down) + top, across, down)
        extent = (0, n * width, n * height, 0)
        axes.imshow(
            tile_pixels(pixels, n, 0), cmap="gray", vmin=0, vmax=255, interpolation="none", extent=extent, aspect="auto"
        )
        axes.spines[:].set_visible(False)
        axes.set_title(name, loc="left", size=TITLE, color=INK, pad=4)
        lowest = i + columns >= len(panels)
        axes.set_xticks(*(_nice(values, centres(n, width, 0)) if lowest else ([], [])))
        axes.set_yticks(*(_nice(values, centres(n, height, 0)[::-1]) if column == 0 else ([], [])))
        if column == 0 and lowest:
            name_axes(axes, labels)
    return figure


@styled
def plane_through(
    images: ArrayLike,
    originals: ArrayLike,
    names: tuple[str, str, str],
    *,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """A plane through three codes, each at a corner beside the image that it is the code of (White 2016, J-diagram).

    Args:
        images: ``[n, n, C, H, W]``: the first code is decoded at the bottom left, the second at the bottom right, the
            third at the top left.
        originals: the three images ``[3, C, H, W]``.
        names: what they are called.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    array, three = np.asarray(images), as_rgba(originals)
    n = len(array)
    if array.ndim not in (4, 5) or array.shape[1] != n or three.shape[:3] != (3, *array.shape[-2:]):
        raise UsageError(f"a plane of shape {array.shape} does not fit originals {three.shape}: give [n, n] and three.")
    square = tile_pixels(as_rgba(array.reshape(n * n, *array.shape[2:])), n, 0)
    height, width = three.shape[1:3]
    gap = max(2, width // 3)
    picture = np.zeros((n * height, (n + 2) * width + 2 * gap, 4), np.uint8)
    picture[:, width + gap : width + gap + n * width] = square
    corners = [((n - 1) * height, 0), ((n - 1) * height, picture.shape[1] - width), (0, 0)]
    for original, (y, x) in zip(three, corners, strict=True):
        picture[y : y + height, x : x + width] = original
    axes = framed(picture, scale, Margins(4, 4, 4, 4), title)
    for name, (y, x), inward in zip(names, corners, (1, -1, 1), strict=True):
        above = y > 0  # the name is written where there is room: over the lower images, under the upper one
        axes.annotate(
            name, (x + width / 2, y if above else y + height), (0, 4 if above else -4), textcoords="offset points",
            ha="center", va="bottom" if above else "top", size=NORMAL, color=MUTED, annotation_clip=False,
        )  # fmt: skip
        start = x + (width if inward > 0 else 0)
        axes.annotate(
            "", (start + inward * gap * 0.92, y + height / 2), (start + inward * gap * 0.08, y + height / 2),
            arrowprops=_ARROW, annotation_clip=False,
        )  # fmt: skip
    return axes.figure  # type: ignore[return-value]


def _nice(values: NDArray[np.float64], centres_: Sequence[float]) -> tuple[list[float], list[str]]:
    """Places and texts of round numbers on an axis of tiles, between the tiles where they fall there."""
    if len(values) < 2 or (np.diff(values) <= 0).any():
        return list(centres_), [number(v) for v in values]
    low, high = float(values[0]), float(values[-1])
    ticks = np.asarray(MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high))
    ticks = ticks[(ticks >= low - 1e-9) & (ticks <= high + 1e-9)]
    return np.interp(ticks, values, centres_).tolist(), [number(t) for t in ticks]


@styled
def traversals(
    images: ArrayLike,
    unit_names: Sequence[str],
    values: Sequence[float] | ArrayLike,
    rates: Sequence[float] | ArrayLike | None = None,
    *,
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """What each latent unit changes: a row per unit, decoded while that unit alone moves; highest rate first.

    Args:
        images: ``[units, steps, C, H, W]`` (or ``[units, steps, H, W]``).
        unit_names: name of each unit.
        values: the value of the unit in each column, ``[steps]``.
        rates: nats of each unit, ``[units]``; rows keep their order when None. Units under 0.01 nats are dimmed.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    array, steps = np.asarray(images), np.asarray(values, float)
    units = len(unit_names)
    nats = None if rates is None else np.asarray(rates, float)
    if array.ndim not in (4, 5) or array.shape[:2] != (units, len(steps)) or (nats is not None and len(nats) != units):
        raise UsageError(f"traversals of shape {array.shape} do not fit {units} names and {len(steps)} values.")
    order = list(range(units)) if nats is None else [int(i) for i in np.argsort(-nats, kind="stable")]
    dead = [nats is not None and bool(nats[i] < DEAD_NATS) for i in order]
    pixels = as_rgba(array[order].reshape(-1, *array.shape[2:]))
    height, width = pixels.shape[1:3]
    for row, is_dead in enumerate(dead):  # a third of the ink is left: seen to be there, and not looked at
        if is_dead:
            pixels[row * len(steps) : (row + 1) * len(steps), ..., 3] //= 3
    picture = tile_pixels(pixels, len(steps), gap)
    names = [unit_names[i] for i in order]
    notes = [] if nats is None else ["dead" if d else f"{nats[i]:.2f}" for i, d in zip(order, dead, strict=True)]
    note_width = ceil(max((text_width(note) for note in notes), default=0.0))
    margin = left_margin(names) + (note_width + 16 if notes else 0)
    axes = framed(picture, scale, Margins(top=20, left=margin), title)
    for row, (y, name) in enumerate(zip(centres(units, height, gap), names, strict=True)):
        texts = (
            [(notes[row], -6.0, MUTED), (name, -6 - (note_width + 16) * 0.75, INK)] if notes else [(name, -6.0, INK)]
        )
        for text, offset, colour in texts:
            axes.annotate(
                text, (0, y), (offset, 0), textcoords="offset points", ha="right", va="center", size=NORMAL,
                color=MUTED if dead[row] else colour, annotation_clip=False,
            )  # fmt: skip
    if notes:
        axes.annotate(
            "nats", (0, 0), (-6, 4), textcoords="offset points", ha="right", va="bottom",
            color=MUTED, size=SMALL, annotation_clip=False,
        )  # fmt: skip
    write_above(axes, [number(v, 1) for v in steps], centres(len(steps), width, gap), SMALL)
    return axes.figure  # type: ignore[return-value]
