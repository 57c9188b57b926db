"""Whether a classifier is right as often as it says."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike

from zatlas.errors import UsageError
from zatlas.figures.pictures import heading
from zatlas.figures.style import ACCENT, MUTED, SECOND, SMALL, canvas, place, styled

_SIDE = 260.0


@styled
def reliability(
    edges: ArrayLike, confidence: ArrayLike, accuracy: ArrayLike, count: ArrayLike, *, title: str | None = None
) -> Figure:
    """Accuracy against confidence in bins, the examples of each bin counted below (Guo et al. 2017, figure 4).

    On the diagonal a prediction is right as often as it says; below it, it is too sure. Bars are one binomial standard
    error.

    Args:
        edges: of the bins, from 0 to 1, ``[bins + 1]``.
        confidence: mean probability of the likeliest class, ``[bins]``; NaN in empty bins.
        accuracy: share of right ones, ``[bins]``; NaN in empty bins.
        count: examples, ``[bins]``.
        title: written above, at the left.

    Raises:
        UsageError: the arrays do not belong together, or all bins are empty.
    """
    sides, sure, right, number = (np.asarray(a, float) for a in (edges, confidence, accuracy, count))
    bins = len(number)
    if any(a.shape != (n,) for a, n in ((sides, bins + 1), (sure, bins), (right, bins))) or not number.sum() > 0:
        raise UsageError("a reliability plot wants [bins + 1] edges and [bins] confidences, accuracies and counts.")
    top = 40.0 if title else 12.0
    figure = canvas(60 + _SIDE + 24, top + _SIDE + 18 + 60 + 46)
    if title:
        heading(figure, title, 60)
    axes = place(figure, 60, top, _SIDE, _SIDE)
    below = place(figure, 60, top + _SIDE + 18, _SIDE, 60)
    full = number > 0
    sure, right, seen = sure[full], right[full], number[full]
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (3, 3)), linewidth=0.9, zorder=1)
    axes.vlines(sure, np.minimum(sure, right), np.maximum(sure, right), color=SECOND, alpha=0.35, linewidth=5, zorder=2)
    error = np.sqrt(right * (1 - right) / seen)
    axes.errorbar(
        sure, right, error, color=ACCENT, marker="o", markersize=4.5, linewidth=0, elinewidth=1.0, capsize=2.5, zorder=3
    )
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("accuracy")
    axes.tick_params(labelbottom=False)
    below.bar(sides[:-1], number / number.sum(), np.diff(sides), align="edge", color=ACCENT, alpha=0.55, linewidth=0)
    below.set_xlabel("confidence")
    below.set_ylabel("examples")
    below.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    for panel in (axes, below):
        panel.set_xlim(-0.02, 1.02)
        panel.set_xticks(np.linspace(0, 1, 6))
        panel.grid(axis="y")
        panel.spines["left"].set_visible(False)
        panel.tick_params(axis="y", length=0, labelsize=SMALL)
    figure.align_ylabels([axes, below])
    return figure
