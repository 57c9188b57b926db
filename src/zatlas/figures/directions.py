"""Figures of centroids and directions of the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.editing import beside_first, space_of
from zatlas.figures.latents import number
from zatlas.figures.pictures import Margins, centres, fit_scale, framed, left_margin, transparent, write_above
from zatlas.figures.pictures import write_left as write_names
from zatlas.figures.style import ACCENT, INK, MUTED, NORMAL, SECOND, SMALL, place, styled, text_width
from zatlas.figures.tiles import Pixels, as_rgba, tile_pixels

_HEADS = 36.0  # pixels of height
_HISTOGRAM = 84.0
_BINS = 48


@styled
def archetype(
    image: ArrayLike,
    grids: Sequence[ArrayLike],
    *,
    rows: int = 4,
    names: Sequence[str],
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """The archetype of one group, large, beside grids of images: samples around it, examples of the group.

    Args:
        image: ``[C, H, W]`` or ``[H, W]``, floats in [0, 1] or uint8.
        grids: ``[N, C, H, W]`` or ``[N, H, W]`` each.
        rows: of the grids; the archetype is so many times larger.
        names: written over the archetype and each grid.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.
    """
    large = as_rgba(np.asarray(image)[None])[0].repeat(rows, 0).repeat(rows, 1)
    tiles = [tile_pixels(as_rgba(images), -(-len(np.asarray(images)) // rows), gap) for images in grids]
    axes = _side_by_side([large, *tiles], names, space_of(np.shape(image)[-1]), Margins(top=20), title, scale)
    return axes.figure  # type: ignore[return-value]


@styled
def archetypes(
    images: ArrayLike,
    grids: Sequence[ArrayLike],
    labels: Sequence[str],
    *,
    names: Sequence[str],
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """A row for each group: its archetype, then images of every grid: samples around it, examples of the group.

    Args:
        images: ``[Y, C, H, W]`` or ``[Y, H, W]``, floats in [0, 1] or uint8.
        grids: ``[Y, N, C, H, W]`` or ``[Y, N, H, W]`` each.
        labels: of the Y groups, written at the left.
        names: written over the archetypes and each grid.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.

    Raises:
        UsageError: the parts are not of the same groups.
    """
    first, *others = (np.asarray(part) for part in (images, *grids))
    if {len(labels), len(first), *map(len, others)} != {len(labels)}:
        raise UsageError(f"archetypes of {len(first)} groups do not fit {len(labels)} labels: give one each.")
    parts = [tile_pixels(as_rgba(first), 1, gap)]
    parts += [tile_pixels(as_rgba(o.reshape(-1, *o.shape[2:])), o.shape[1], gap) for o in others]
    margins = Margins(top=20, left=left_margin(labels))
    axes = _side_by_side(parts, names, space_of(first.shape[-1]), margins, title, scale)
    write_names(axes, labels, centres(len(labels), first.shape[-2], gap), INK)
    return axes.figure  # type: ignore[return-value]


def _side_by_side(
    parts: Sequence[Pixels],
    names: Sequence[str],
    space: int,
    margins: Margins,
    title: str | None,
    scale: int | None,
) -> Axes:
    """Panels in a row, each under its name; those that are lower than the highest stand in its middle."""
    height = max(len(part) for part in parts)
    joined, middles, left = [], [], 0
    for part in parts:
        over = height - len(part)
        joined += [np.pad(part, ((over // 2, over - over // 2), (0, 0), (0, 0))), transparent(height, space)]
        middles.append(left + part.shape[1] / 2)
        left += part.shape[1] + space
    axes = framed(np.concatenate(joined[:-1], axis=1), scale, margins, title, target=760)
    for name, x in zip(names, middles, strict=True):
        axes.annotate(
            name, (x, 0), (0, 5), textcoords="offset points", ha="center", va="bottom", color=INK, size=NORMAL,
            annotation_clip=False,
        )  # fmt: skip
    return axes


@styled
def moved(
    originals: ArrayLike,
    images: ArrayLike,
    strengths: Sequence[float] | ArrayLike,
    *,
    row_labels: Sequence[str] | None = None,
    spots: tuple[ArrayLike, ArrayLike] | None = None,
    names: tuple[str, str] = ("without", "with"),
    boundary: float | None = 0.5,
    along: str = "",
    gap: int = 1,
    title: str | None = None,
    scale: int | None = None,
) -> Figure:
    """Images moved along a direction, a row an image and a column a strength, over where two groups lie along it.

    Args:
        originals: ``[R, C, H, W]`` or ``[R, H, W]``, floats in [0, 1] or uint8: what was encoded.
        images: ``[R, S, C, H, W]`` or ``[R, S, H, W]``; that of strength 0 is the reconstruction.
        strengths: ``[S]``.
        row_labels: the group of each row, or another name, written at the left, once for rows that follow one another.
        spots: where the groups without and with the attribute lie along it, ``[N]`` and ``[M]``, in strengths; None:
            no histogram.
        names: of the two groups.
        boundary: between two groups whose means are at 0 and 1; None: of a real attribute, whose mean is at 0.
        along: name of the direction, written above.
        gap: image pixels between tiles.
        title: written above, at the left.
        scale: figure pixels per image pixel; chosen when None.

    Raises:
        UsageError: the arrays do not belong together.
    """
    array, steps = np.asarray(images), np.asarray(strengths, float)
    if array.ndim < 4 or array.shape[1] != len(steps):
        raise UsageError(f"images {array.shape} do not fit {len(steps)} strengths: give [R, S, C, H, W].")
    picture, start = beside_first(originals, array, gap)
    height, width = picture.shape[:2]
    scale = fit_scale(width) if scale is None else scale
    names = (_short(names[0]), _short(names[1]))
    labels = [_short(label) for label in row_labels or ()]
    left = max(left_margin(labels), 4.0)
    room = _HISTOGRAM + 66 if spots is not None else 4.0
    axes = framed(picture, scale, Margins(top=_HEADS, right=6, bottom=room, left=left), title)
    across = array.shape[-1]
    colours = dict(zip(names, (ACCENT, SECOND), strict=True)) if spots is not None else {}
    middles = iter(centres(len(array), array.shape[-2], gap))
    for label, same in groupby(labels):  # once for all rows of a group
        write_names(axes, [label], [float(np.mean([next(middles) for _ in same]))], colours.get(label, MUTED))
    tight = text_width("original") > across * scale + 8
    write_above(axes, ["original"], [across / 2], SMALL if tight else NORMAL)
    write_above(axes, [number(v) for v in steps], [start + x for x in centres(len(steps), across, gap)])
    axes.annotate(
        f"strength along {_short(along, 40)}" if along else "strength", ((start + width) / 2, 0), (0, 16),
        textcoords="offset points", ha="center", va="bottom", color=INK, size=NORMAL, annotation_clip=False,
    )  # fmt: skip
    if spots is not None:
        top = _HEADS + (28 if title else 0) + height * scale + 24
        below = place(axes.figure, left + start * scale, top, (width - start) * scale, _HISTOGRAM)  # type: ignore[arg-type]
        _histogram(below, spots, names, boundary)
    return axes.figure  # type: ignore[return-value]


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _histogram(axes: Axes, spots: tuple[ArrayLike, ArrayLike], names: tuple[str, str], boundary: float | None) -> None:
    """Shares of the two groups along the direction, and the boundary between them."""
    groups = [np.asarray(values, float) for values in spots]
    low, high = (float(end) for end in np.percentile(np.concatenate(groups), [0.2, 99.8]))
    low, high = min(low, -0.3), max(high, 1.3)
    bins = int(np.clip(3 * min(map(len, groups)) ** 0.5, 8, _BINS))
    edges = np.linspace(low, high, bins + 1)
    shares = [np.histogram(values, edges)[0] / len(values) for values in groups]
    top = 1.25 * max(float(share.max()) for share in shares)
    for share, values, name, colour in zip(shares, groups, names, (ACCENT, SECOND), strict=True):
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        axes.stairs(share, edges, color=colour, linewidth=1.2)
        left = values is groups[0]
        axes.annotate(
            name, (0 if left else 1, 1), (2 if left else -2, 0), xycoords="axes fraction", textcoords="offset points",
            ha="left" if left else "right", va="top", color=colour, size=NORMAL, weight="bold", annotation_clip=False,
        )  # fmt: skip
    if boundary is not None:
        axes.axvline(boundary, color=MUTED, linestyle=(0, (3, 3)), linewidth=0.9)
    axes.set_xlim(low, high)
    axes.set_ylim(0, top)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.spines["left"].set_visible(False)
    means = f": 0 the mean of {names[0]}, 1 that of {names[1]}" if boundary is not None else ": 0 the mean of all"
    axes.set_xlabel("along the direction" + means)
