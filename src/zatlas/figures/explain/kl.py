"""The drawings of Kullback-Leibler divergences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from zatlas.arrays import Array
from zatlas.figures.explain.panels import describe, panels, plain, point_out
from zatlas.figures.latents import number
from zatlas.figures.pictures import heading
from zatlas.figures.style import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    SECOND,
    SMALL,
    class_colours,
    sequential,
    styled,
)

Line = tuple[Array, Array, Array]


@styled
def discrete(p: Array, q: Array, forward: Array, reverse: Array) -> Figure:
    """Two distributions, and beside them the terms of the divergence from each to the other.

    Args:
        p: probabilities ``[N]``.
        q: the same.
        forward: terms of KL(P‖Q) ``[N]``, nats.
        reverse: terms of KL(Q‖P) ``[N]``.
    """
    figure, ((shares, one, other),) = panels((230, 230, 230), 210)
    heading(figure, "The Kullback-Leibler divergence, both ways", 56)
    at = np.arange(1, len(p) + 1)
    shares.bar(at - 0.2, p, 0.38, color=ACCENT)
    shares.bar(at + 0.2, q, 0.38, color=SECOND)
    describe(shares, "two distributions", ("outcome", "probability"), [("P", ACCENT), ("Q", SECOND)])
    finite = np.concatenate([t[np.isfinite(t)] for t in (forward, reverse)])
    low, high = min(float(finite.min(initial=0)), 0.0), max(float(finite.max(initial=0)), 1e-3)
    room = 0.14 * (high - low)
    for axes, terms, colour, a, b in ((one, forward, ACCENT, "P", "Q"), (other, reverse, SECOND, "Q", "P")):
        ends = np.where(np.isfinite(terms), terms, high + room)
        axes.bar(at, ends, 0.6, color=colour)
        axes.axhline(0, color=MUTED, linewidth=0.7)
        for x, term in zip(at, terms, strict=True) if len(p) <= 10 else ():
            top = term if np.isfinite(term) else high + room
            text = f"{term:.2f}".replace("-", "−") if np.isfinite(term) else "∞"
            point_out(axes, text, (float(x), float(top)), (0, -7 if term < 0 else 7), align="center")
        total = f"{terms.sum():.3f} nats" if np.isfinite(terms).all() else "∞"
        small = f"{a.lower()} log({a.lower()}/{b.lower()})"
        describe(axes, f"KL({a}‖{b}) = {total}", ("outcome", "nats"), [(f"terms {small}", colour)])
        axes.set_ylim(low - room * (low < 0), high + 1.5 * room)
        axes.spines["bottom"].set_visible(False)
    for axes in (shares, one, other):
        axes.xaxis.set_major_locator(FixedLocator(at.tolist()) if len(p) <= 12 else MaxNLocator(6, integer=True))
        axes.tick_params(axis="x", length=0)
        plain(axes)
    return figure


@styled
def curves(over_mu: Line, over_sigma: Line, both: Line, marks: Sequence[tuple[float, float, str]]) -> Figure:
    """KL(N(μ, σ²)‖N(0, 1)) over μ, over σ, and as a map.

    Args:
        over_mu: μ ``[M]``, σ ``[L]``, nats ``[L, M]``.
        over_sigma: σ ``[S]``, μ ``[L]``, nats ``[L, S]``.
        both: μ ``[W]`` of 0 or more, σ ``[S]``, nats ``[S, W]``.
        marks: (μ, σ, words) that are pointed out where they lie.
    """
    figure, ((first, second, third),) = panels((230, 230, 290), 230)
    heading(figure, "KL(N(μ, σ²)‖N(0, 1)) = ½ (μ² + σ² − 1 − log σ²)", 56)
    for axes, (x, of, nats), symbol, title in (
        (first, over_mu, "σ", "over μ, for some σ"),
        (second, over_sigma, "μ", "over σ, for some μ"),
    ):
        colours = class_colours(len(of))
        for line, colour in zip(nats, colours, strict=True):
            axes.plot(x, line, color=colour)
        names = [(f"{symbol} = {number(value)}", colour) for value, colour in zip(of, colours, strict=True)]
        describe(axes, title, ("μ" if symbol == "σ" else "σ", "nats"), names)
        plain(axes)
        axes.set_ylim(0, 10)
    second.set_xscale("log")
    _sigma_ticks(second.xaxis)
    for mu, sigma, words in marks:
        if mu == 0:
            value = float(np.interp(sigma, over_sigma[0], over_sigma[2][0]))
            second.plot([sigma], [value], "o", color=INK, markersize=4.5, zorder=6)
            point_out(second, f"σ = {number(sigma)}: {words}", (sigma, value), (-9, 0), align="right")
    _map(third, both, marks)
    return figure


def _map(axes: Axes, both: Line, marks: Sequence[tuple[float, float, str]]) -> None:
    mu, sigma, nats = both
    shown = nats.clip(0.01)
    axes.pcolormesh(mu, sigma, shown, cmap=sequential(), norm=LogNorm(0.01, 2e4), shading="gouraud", rasterized=True)
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.6)
    axes.set_yscale("log")
    levels = [0.1, 1, 10, 100, 1000, 10_000]
    lines = axes.contour(mu, sigma, shown, levels, colors=[PAPER], linewidths=0.8)
    for text in axes.clabel(lines, levels[1:], fmt=lambda v: f"{v:,g}", fontsize=SMALL, inline_spacing=3):
        text.set_color(INK)
        text.set_path_effects([withStroke(linewidth=2, foreground=PAPER)])
    for at, spread, words in marks:
        axes.plot([at], [spread], "o", color=PAPER, markeredgecolor=INK, markersize=6, zorder=7, clip_on=False)
        left = at > 10
        point_out(axes, words, (at, spread), (-8 if left else 8, 0), align="right" if left else "left")
    axes.xaxis.set_major_locator(FixedLocator([0, 1, 10, 100]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _sigma_ticks(axes.yaxis)
    describe(axes, "over both: nats", ("μ", "σ"))


def _sigma_ticks(axis: Any) -> None:
    axis.set_major_locator(FixedLocator([0.02, 0.1, 0.5, 1, 5]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@styled
def gaussian(
    means: tuple[Array, Array],
    covariances: tuple[Array, Array],
    running: tuple[Array, Array, Array],
    levels: Sequence[tuple[str, float]],
) -> Figure:
    """Two Gaussians where they can be drawn, and how a Monte Carlo estimate comes to KL(1‖2).

    Args:
        means: of both, ``[D]``.
        covariances: of both, ``[D, D]``; up to two units are drawn.
        running: draws ``[T]``, the estimate of so many and its standard error, nats.
        levels: names and values that the estimate is compared with; the first is exact.
    """
    dims = len(means[0])
    shown = (260.0,) if dims > 2 else (260.0, 260.0)
    figure, ((*left, right),) = panels(shown, 230)
    heading(figure, "KL(N(μ₁, Σ₁)‖N(μ₂, Σ₂))", 56)
    for axes in left:
        (_densities if dims == 1 else _ellipses)(axes, means, covariances)
    draws, estimate, error = running
    right.fill_between(draws, estimate - error, estimate + error, color=ACCENT, alpha=0.25, linewidth=0)
    right.plot(draws, estimate, color=ACCENT)
    names = [("Monte Carlo ± 1 s.e.", ACCENT)]
    for (name, value), colour, dashes in zip(levels, (INK, SECOND), ("-", (0, (4, 3))), strict=False):
        right.axhline(value, color=colour, linewidth=1.0, linestyle=dashes)
        names.append((name, colour))
    right.set_xscale("log")
    right.set_xlim(draws[0], max(draws[-1], draws[0] + 1))
    values = np.array([value for _, value in levels])
    room = max(4 * float(error[-1]), float(np.ptp(values)), 2.5 * float(error[len(error) // 3]), 1e-3)
    right.set_ylim(values.min() - room, values.max() + room)
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    describe(right, "estimated by drawing from 1", ("draws", "nats"), names)
    plain(right)
    return figure


def _densities(axes: Axes, means: tuple[Array, Array], covariances: tuple[Array, Array]) -> None:
    spreads = [float(np.sqrt(c[0, 0])) for c in covariances]
    ends = [(m[0] - 4 * s, m[0] + 4 * s) for m, s in zip(means, spreads, strict=True)]
    x = np.unique(np.concatenate([np.linspace(*e, 300) for e in ends]))
    for mean, spread, colour in zip(means, spreads, (ACCENT, SECOND), strict=True):
        density = np.exp(-0.5 * ((x - mean[0]) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
        axes.plot(x, density, color=colour)
        axes.fill_between(x, density, color=colour, alpha=0.15, linewidth=0)
    axes.set_ylim(0, None)
    describe(axes, "two densities", ("x", "p(x)"), [("1", ACCENT), ("2", SECOND)])
    plain(axes)


def _ellipses(axes: Axes, means: tuple[Array, Array], covariances: tuple[Array, Array]) -> None:
    """One and two standard deviations around the means; dashed: what the diagonals alone would say."""
    turn = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    for mean, covariance, colour in zip(means, covariances, (ACCENT, SECOND), strict=True):
        for radius in (1, 2):
            ring = mean[:, None] + radius * np.linalg.cholesky(covariance) @ circle
            axes.plot(*ring, color=colour)
            if radius == 1:
                axes.fill(*ring, color=colour, alpha=0.12, linewidth=0)
        if np.abs(covariance[0, 1]) > 0:
            straight = mean[:, None] + np.sqrt(np.diag(covariance))[:, None] * circle
            axes.plot(*straight, color=colour, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.plot([mean[0]], [mean[1]], "o", color=colour, markersize=4)
    axes.set_aspect("equal", adjustable="datalim")
    dashed = any(c[0, 1] != 0 for c in covariances)
    names = [("1", ACCENT), ("2", SECOND), *([("dashed: its diagonal, 1σ", MUTED)] if dashed else [])]
    describe(axes, "1σ and 2σ", ("x₁", "x₂"), names)


@styled
def fits(x: Array, target: Array, sides: Sequence[tuple[str, str, Sequence[tuple[Array, str]]]]) -> Figure:
    """A density, and on each side the Gaussians that come nearest to it in one direction of the divergence.

    Args:
        x: where the densities are known, ``[G]``.
        target: p at x.
        sides: title, words under it, and the fits (density ``[G]``, name), the best first and drawn thickest.
    """
    figure, (row,) = panels((330,) * len(sides), 220)
    heading(figure, "One Gaussian for two bumps: which direction is minimised decides what is lost", 56)
    high = max(float(max(density.max() for density, _ in fitted)) for _, _, fitted in sides)
    for axes, (title, words, fitted) in zip(row, sides, strict=True):
        axes.fill_between(x, target, color=MUTED, alpha=0.25, linewidth=0)
        axes.plot(x, target, color=MUTED, linewidth=1.0)
        for number_, (density, name) in enumerate(fitted):
            axes.plot(x, density, color=SECOND, linewidth=1.8 if number_ == 0 else 1.1,
                      linestyle="-" if number_ == 0 else (0, (4, 3)))  # fmt: skip
            top = int(density.argmax())
            point_out(axes, name, (float(x[top]), float(density[top])), (0, 9), align="center", colour=SECOND)
        axes.set_ylim(0, 1.18 * max(high, float(target.max())))
        axes.set_xlim(x[0], x[-1])
        describe(axes, title, ("x", "density"), [("p", MUTED), (words, SECOND)])
        plain(axes)
    return figure
