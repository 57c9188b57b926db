"""Images along paths through the latent space, and how dense the codes of the data lie there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.latents import number
from zatlas.figures.pictures import centres, fit_scale
from zatlas.figures.style import INK, LINE, MUTED, NORMAL, PALETTE, SMALL, canvas, place, styled, text_width
from zatlas.figures.tiles import as_rgba, tile_pixels

_PLOT = 104.0  # pixels of height


@styled
def paths(
    images: ArrayLike,
    names: Sequence[str],
    *,
    anchors: dict[int, str] | None = None,
    log_density: ArrayLike | None = None,
    typical: tuple[float, float] | None = None,
    gap: int = 1,
    scale: int | None = None,
) -> Figure:
    """A row of images for each path; under them, column by column, the log density of the codes they are decoded from.

    Args:
        images: ``[P, n, C, H, W]`` or ``[P, n, H, W]``.
        names: of the P paths; with one, its name may be empty.
        anchors: names of columns that all paths pass through, by their number.
        log_density: ``[P, n]`` in nats; None leaves the plot out.
        typical: a band of log densities, such as that of nine codes of the data in ten.
        gap: image pixels between tiles.
        scale: figure pixels per image pixel; chosen for a figure of about 760 pixels when None.

    Raises:
        UsageError: names or densities that do not fit the images.
    """
    array = np.asarray(images)
    count, n = array.shape[:2]
    nats = None if log_density is None else np.asarray(log_density, float)
    if array.ndim not in (4, 5) or len(names) != count or (nats is not None and nats.shape != (count, n)):
        raise UsageError(f"paths of shape {array.shape} do not fit {len(names)} names: give [P, n, C, H, W] and P.")
    pixels = as_rgba(array.reshape(count * n, *array.shape[2:]))
    height, width = pixels.shape[1:3]
    picture = tile_pixels(pixels, n, gap)
    scale = fit_scale(picture.shape[1], 760) if scale is None else scale
    across, down = picture.shape[1] * scale, picture.shape[0] * scale
    top = 20.0 if anchors else 2.0
    widest = max(text_width(name, NORMAL, "bold") for name in names)
    left = max(widest + 14 if widest else 2.0, 58.0 if nats is not None else 2.0)
    below = _PLOT + 30 if nats is not None else 2.0
    figure = canvas(left + across + 14, top + down + below)
    axes = place(figure, left, top, across, down)
    extent = (0, picture.shape[1], picture.shape[0], 0)
    axes.imshow(picture, interpolation="none", extent=extent, aspect="auto")
    axes.set_axis_off()
    colours = PALETTE[:count] if nats is not None and count > 1 else [INK] * count
    for name, colour, y in zip(names, colours, centres(count, height, gap), strict=True):
        axes.annotate(
            name, (0, y), (-6, 0), textcoords="offset points", ha="right", va="center", size=NORMAL, color=colour,
            weight="bold" if count > 1 and nats is not None else "normal", annotation_clip=False,
        )  # fmt: skip
    middles = centres(n, width, gap)
    for column, name in (anchors or {}).items():
        axes.annotate(
            name, (middles[column], 0), (0, 4), textcoords="offset points", ha="center", va="bottom", size=NORMAL,
            color=MUTED, annotation_clip=False,
        )  # fmt: skip
    if nats is None:
        return figure
    plot = place(figure, left, top + down + 22, across, _PLOT)
    plot.set_xlim(0, picture.shape[1])
    plot.set_xticks([])
    plot.spines["bottom"].set_visible(False)
    if typical is not None:
        plot.axhspan(*typical, color=LINE, alpha=0.55, linewidth=0, zorder=0)
        plot.annotate(
            "grey: nine codes of the data in ten", (1, 1), (0, 4), xycoords="axes fraction", textcoords="offset points",
            ha="right", va="bottom", size=SMALL, color=MUTED,
        )  # fmt: skip
    for line, colour in zip(nats, PALETTE, strict=False):
        plot.plot(middles, line, color=colour, marker="o", markersize=3.2, markeredgewidth=0, clip_on=False)
    plot.margins(y=0.08)
    plot.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    plot.yaxis.set_major_formatter(lambda value, _: number(value, 1))
    plot.set_ylabel("log density\n(nats)", color=INK, labelpad=4)
    return figure
