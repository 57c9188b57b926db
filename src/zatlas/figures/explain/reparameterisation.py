"""The drawing of gradient estimators, and of descent in σ against descent in log σ²."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from zatlas.arrays import Array
from zatlas.figures.explain.panels import describe, panels, plain, point_out
from zatlas.figures.latents import number
from zatlas.figures.pictures import heading
from zatlas.figures.style import ACCENT, INK, LINE, MUTED, NORMAL, PALETTE, PAPER, SECOND, styled

_COLOURS = (SECOND, PALETTE[3], ACCENT)


class Paths(Protocol):
    """Two descents: places ``[T, 2]`` in (μ, σ) and in (μ, log σ²), where they should end, and their rate."""

    @property
    def rate(self) -> float: ...
    @property
    def by_sigma(self) -> Array: ...
    @property
    def by_log_variance(self) -> Array: ...
    @property
    def optimum(self) -> tuple[float, float]: ...


@styled
def reparameterisation(
    gradients: Array, exact: Array, over: tuple[Array, Array, float], names: Sequence[str], paths: Paths, loss: Any
) -> Figure:
    """Above: how single draws of each estimator spread, and their variances over σ. Below: the slope of the KL, and
    descent in (μ, σ) and in (μ, log σ²).

    Args:
        gradients: of single draws ``[E, 2, N]``.
        exact: what they estimate, ``[2]``.
        over: σ ``[S]``, variances ``[E, 2, S]``, and the σ that the draws are of.
        names: of the estimators.
        paths: of the two descents.
        loss: of (μ, σ²), nats.
    """
    figure, ((spread, first, second), (slopes, plane, log_plane)) = panels((270, 250, 250), 200, rows=2)
    heading(figure, "A gradient through a draw: reparameterised it varies less, and log σ² keeps σ above 0", 56)
    _spread(spread, gradients[:, 0], float(exact[0]), names)
    sigmas, variances, here = over
    for axes, which, title in ((first, 0, "variance of a draw, in μ"), (second, 1, "variance of a draw, in log σ²")):
        for line, colour in zip(variances[:, which], _COLOURS, strict=True):
            axes.plot(sigmas, line, color=colour)
        if sigmas[0] <= here <= sigmas[-1]:
            axes.axvline(here, color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)
        _logarithmic(axes)
        describe(axes, title, ("σ", "variance"), [("dashed: the σ at the left", MUTED)] if which == 0 else ())
        plain(axes)
    _slopes(slopes)
    _descents(plane, log_plane, paths, loss)
    return figure


def _spread(axes: Axes, gradients: Array, exact: float, names: Sequence[str]) -> None:
    """A violin for each estimator, from the 1st to the 99th percentile."""
    for row, (values, colour) in enumerate(zip(gradients, _COLOURS, strict=True)):
        low, high = np.percentile(values, [1, 99])
        heights, edges = np.histogram(values[(values >= low) & (values <= high)], bins=40)
        middles, share = (edges[:-1] + edges[1:]) / 2, 0.38 * heights / max(heights.max(), 1)
        axes.fill_between(middles, row - share, row + share, color=colour, alpha=0.75, linewidth=0)
        axes.text(
            0, row - 0.5, names[row], transform=axes.get_yaxis_transform(), size=NORMAL, weight="bold", color=colour,
            va="center",
        )  # fmt: skip
    axes.axvline(exact, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.set_ylim(2.6, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    point_out(axes, f"exact {number(exact)}", (exact, -0.75), (0, 6), align="center")
    describe(axes, "gradients in μ of single draws", ("∂/∂μ", ""))


def _slopes(axes: Axes) -> None:
    sigma = np.geomspace(0.01, 4, 200)
    axes.plot(sigma, sigma - 1 / sigma, color=SECOND)
    axes.plot(sigma, 0.5 * (sigma**2 - 1), color=ACCENT)
    axes.axhline(0, color=MUTED, linewidth=0.7)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([0.01, 0.1, 1, 4]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(-12, 8)
    names = [("in σ: σ − 1/σ", SECOND), ("in log σ²: ½ (σ² − 1)", ACCENT)]
    describe(axes, "slope of KL(N(μ, σ²)‖N(0, 1))", ("σ", "nats"), names)
    plain(axes)


def _descents(plane: Axes, log_plane: Axes, paths: Paths, loss: Any) -> None:
    """Both paths over the loss; where σ would be 0 or less there is no Gaussian."""
    best, spread = paths.optimum
    mu = np.linspace(-1.4, 1.6, 121)
    sigma = np.linspace(0.01, 1.2, 120)
    logs = np.linspace(-5.2, 0.6, 120)
    least = float(loss(best, spread**2))
    levels = least + np.array([0.1, 0.5, 1, 2, 4, 8, 16, 32])
    for axes, up, variance in ((plane, sigma, sigma**2), (log_plane, logs, np.exp(logs))):
        axes.contour(mu, up, loss(mu, variance[:, None]), levels, colors=[LINE], linewidths=0.9, zorder=1)
        axes.set_xlim(mu[0], mu[-1])
    for axes, path, end, colour in (
        (plane, paths.by_sigma, (best, spread), SECOND),
        (log_plane, paths.by_log_variance, (best, 2 * np.log(spread)), ACCENT),
    ):
        axes.plot(*path.T, "o-", color=colour, markersize=3 if len(path) < 30 else 2, linewidth=1.0, zorder=4)
        axes.plot(*path[0], "o", color=PAPER, markeredgecolor=colour, markersize=6, zorder=5)
        axes.plot(*end, "*", color=INK, markersize=10, zorder=6)
        point_out(axes, "start", tuple(path[0]), (0, 10), align="center")
    plane.set_ylim(-0.4, 1.2)
    plane.axhspan(-0.4, 0, color=LINE, alpha=0.6, linewidth=0)
    point_out(plane, "no Gaussian has such a σ", (mu[0], -0.3), (4, 0), colour=MUTED)
    last = paths.by_sigma[-1]
    if -0.4 < last[1] <= 0:
        words = f"step {len(paths.by_sigma) - 1}: σ = {number(last[1])}"
        point_out(plane, words, tuple(last), (-7, 0), colour=SECOND, align="right")
    log_plane.set_ylim(logs[0], logs[-1])
    describe(plane, f"descent in (μ, σ), rate {paths.rate:g}", ("μ", "σ"), [("★ the posterior", INK)])
    describe(log_plane, "the same in (μ, log σ²)", ("μ", "log σ²"))


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator([0.05, 0.2, 1, 4]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(LogLocator(10, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
