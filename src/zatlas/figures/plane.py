"""The plane of rate and distortion, in which models of one data set can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zatlas.errors import UsageError
from zatlas.figures.pictures import heading
from zatlas.figures.style import ACCENT, INK, LINE, MUTED, NORMAL, SMALL, canvas, place, styled


class Place(NamedTuple):
    """A model on the plane: its name, and rate and distortion in nats per example."""

    name: str
    rate: float
    distortion: float


@styled
def rate_distortion(places: Sequence[Place], *, highlight: int | None = None, title: str | None = None) -> Figure:
    """Distortion against rate, one point for each model (Alemi et al. 2018, figure 1).

    On a dashed line the negative ELBO, their sum, is the same everywhere: a model to the left and below of another is
    better at both.

    Args:
        places: the models.
        highlight: the number of the one that the picture is about.
        title: written above, at the left.

    Raises:
        UsageError: there is no model, or a figure is not finite.
    """
    if not places or not all(np.isfinite([p.rate, p.distortion]).all() for p in places):
        raise UsageError("the plane of rate and distortion wants at least one model with finite figures.")
    top = 64.0 if title else 24.0
    figure = canvas(560, top + 340 + 48)
    if title:
        heading(figure, title, 56)
    axes = place(figure, 56, top, 440, 340)
    rates, distortions = (np.array([p[i] for p in places], float) for i in (1, 2))
    low, high = _limits(rates), _limits(distortions)
    axes.set_xlim(*low)
    axes.set_ylim(*high)
    for total in MaxNLocator(6).tick_values(low[0] + high[0], low[1] + high[1]):
        axes.plot(low, [total - low[0], total - low[1]], color=LINE, linestyle=(0, (4, 4)), linewidth=0.8, zorder=1)
        across = np.clip(total - high[1], *low) if total - low[0] > high[1] else low[0]
        if high[0] + 0.05 * (high[1] - high[0]) < total - across <= high[1]:
            axes.annotate(f"{total:g}", (across, total - across), (3, -9), textcoords="offset points", color=MUTED,
                          size=SMALL)  # fmt: skip
    order = np.argsort(rates)
    axes.plot(rates[order], distortions[order], color=MUTED, alpha=0.5, linewidth=1.0, zorder=2)
    for number, one in enumerate(places):
        colour = ACCENT if highlight in (None, number) else INK
        axes.plot([one.rate], [one.distortion], "o", color=colour, markersize=5.5, zorder=3)
        left = one.rate > low[0] + 0.75 * (low[1] - low[0])
        axes.annotate(
            one.name, (one.rate, one.distortion), (-6 if left else 7, 8), textcoords="offset points", size=NORMAL,
            color=INK, ha="right" if left else "left", weight="bold" if number == highlight else "normal",
        )  # fmt: skip
    axes.set_xlabel("rate (nats)")
    axes.set_ylabel("distortion (nats)")
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.15 * ((high - low) or max(abs(high), 1.0))
    return low - room, high + room
