"""The drawing of the evidence lower bound of a model with one latent unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
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
    LINE,
    MUTED,
    NORMAL,
    PALETTE,
    PAPER,
    PX,
    SECOND,
    SMALL,
    sequential,
    styled,
)

_POSTERIOR = PALETTE[2]
_COLOURS = (SECOND, ACCENT)
_NAMES = 128.0  # pixels for the names of terms


class World(NamedTuple):
    """The model: densities ``[G]`` at z, the mean f(z) of x, what was seen and its noise, log p(x)."""

    z: Array
    mean: Array
    x: float
    noise: float
    prior: Array
    posterior: Array
    log_px: float


class Candidate(NamedTuple):
    """A q: its density ``[G]``, its terms in nats, and its importance-weighted bounds ``[k]`` with their errors."""

    name: str
    density: Array
    mu: float
    sigma: float
    reconstruction: float
    rate: float
    gap: float
    bounds: Array
    errors: Array

    @property
    def elbo(self) -> float:
        return self.reconstruction - self.rate


@styled
def elbo(
    world: World, candidates: Sequence[Candidate], samples: Sequence[int], over: tuple[Array, Array, Array]
) -> Figure:
    """The model above its posterior; log p(x) as a sum above the bounds in between; the ELBO as q moves.

    Args:
        world: the model.
        candidates: two q.
        samples: k of each bound, ``[k]``.
        over: μ ``[M]``, log σ ``[S]``, ELBO ``[S, M]`` in nats.
    """
    figure, ((model, sums, plane), (densities, climb, spare)) = panels((270, 300, 240), 190, rows=2)
    heading(figure, "log p(x) = ELBO + KL(q‖p(z|x)), whatever q is", 56)
    low, high = spare.get_position(), plane.get_position()
    plane.set_position((high.x0, low.y0, high.width, high.y1 - low.y0))
    spare.remove()
    _model(model, world)
    _densities(densities, world, candidates)
    _sums(figure, sums, world, candidates)
    _climb(climb, world, candidates, samples)
    _plane(plane, over, candidates)
    return figure


def _model(axes: Axes, world: World) -> None:
    axes.fill_between(world.z, world.mean - world.noise, world.mean + world.noise, color=LINE, alpha=0.7, linewidth=0)
    axes.plot(world.z, world.mean, color=MUTED)
    axes.axhline(world.x, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    point_out(axes, f"x = {number(world.x)}, seen", (world.z[0], world.x), (4, 7))
    axes.set_xlim(world.z[0], world.z[-1])
    axes.set_ylim(min(-1.5, world.x - 1.5), max(5.0, world.x + 1.5))
    describe(axes, "the model: x is f(z) and noise", ("z", "x"), [("f(z) ± noise", MUTED)])


def _densities(axes: Axes, world: World, candidates: Sequence[Candidate]) -> None:
    axes.plot(world.z, world.prior, color=MUTED, linewidth=1.0)
    axes.fill_between(world.z, world.posterior, color=_POSTERIOR, alpha=0.2, linewidth=0)
    axes.plot(world.z, world.posterior, color=_POSTERIOR)
    for one, colour in zip(candidates, _COLOURS, strict=True):
        axes.plot(world.z, one.density, color=colour)
    axes.set_xlim(world.z[0], world.z[-1])
    axes.set_ylim(0, 1.25 * float(max(world.posterior.max(), candidates[1].density.max())))
    names = [("p(z)", MUTED), ("p(z|x)", _POSTERIOR)]
    describe(
        axes, "what q stands for", ("z", "density"),
        [*names, *((one.name, colour) for one, colour in zip(candidates, _COLOURS, strict=True))],
    )  # fmt: skip
    plain(axes)


def _sums(figure: Figure, axes: Axes, world: World, candidates: Sequence[Candidate]) -> None:
    """For each q the way from 0 over reconstruction and rate to the ELBO, and by the gap on to log p(x)."""
    box = axes.get_position()
    room = _NAMES / (figure.get_size_inches()[0] * PX)
    axes.set_position((box.x0 + room, box.y0, box.width - room, box.height))
    for group, (one, colour) in enumerate(zip(candidates, _COLOURS, strict=True)):
        top = 4.4 * group
        write = lambda text, y, shade, weight="normal": axes.annotate(
            text, (0, y), (-6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
            va="center", size=NORMAL, color=shade, weight=weight, annotation_clip=False,
        )  # fmt: skip
        write(f"{one.name}: ELBO {number(one.elbo)}", top, colour, "bold")
        for row, (start, end, name, shade) in enumerate(
            (
                (0.0, one.reconstruction, "E log p(x|z)", colour),
                (one.reconstruction, one.elbo, "− KL(q‖p(z))", colour),
                (one.elbo, one.elbo + one.gap, "+ KL(q‖p(z|x))", _POSTERIOR),
            ),
            1,
        ):
            axes.barh(top + row, end - start, 0.72, left=start, color=shade, alpha=0.6 if row == 1 else 1.0)
            write(f"{name}  {end - start:.2f}".replace("-", "−"), top + row, INK)
        axes.plot([one.elbo, one.elbo], [top + 1.6, top + 3.4], color=INK, linewidth=1.0)
    axes.axvline(world.log_px, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.set_ylim(8.0, -0.5)
    ends = [0.0, world.log_px, *(one.elbo for one in candidates), *(one.reconstruction for one in candidates)]
    span = max(ends) - min(ends)
    axes.set_xlim(min(ends) - 0.06 * span, max(ends) + 0.06 * span)
    right = world.log_px > (max(ends) + min(ends)) / 2
    point_out(
        axes, f"log p(x) = {number(world.log_px)}", (world.log_px, -0.5), (8 if right else -8, 6),
        align="right" if right else "left",
    )  # fmt: skip
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    describe(axes, "log p(x) as a sum", ("nats", ""), left=-_NAMES)


def _climb(axes: Axes, world: World, candidates: Sequence[Candidate], samples: Sequence[int]) -> None:
    for one, colour in zip(candidates, _COLOURS, strict=True):
        axes.errorbar(samples, one.bounds, one.errors, color=colour, marker="o", markersize=3.5, elinewidth=1.0)
    axes.axhline(world.log_px, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    point_out(axes, "log p(x)", (float(samples[-1]), world.log_px), (0, 7), align="right")
    axes.set_xscale("log", base=4)
    axes.xaxis.set_major_locator(FixedLocator(list(samples)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low = min(float(one.bounds.min()) for one in candidates)
    room = world.log_px - low
    axes.set_ylim(low - 0.08 * room, world.log_px + 0.16 * room)
    names = [(one.name, colour) for one, colour in zip(candidates, _COLOURS, strict=True)]
    describe(axes, "bounds of k draws: ELBO at k = 1", ("k", "nats"), names)
    plain(axes)


def _plane(axes: Axes, over: tuple[Array, Array, Array], candidates: Sequence[Candidate]) -> None:
    mus, log_sigmas, nats = over
    best = float(nats.max())
    levels = best - np.array([40, 20, 10, 5, 2, 1, 0.5, 0.2])
    axes.pcolormesh(mus, log_sigmas, nats.clip(best - 40), cmap=sequential(), vmin=best - 12, vmax=best,
                    shading="gouraud", rasterized=True)  # fmt: skip
    lines = axes.contour(mus, log_sigmas, nats, levels, colors=[PAPER], linewidths=0.8, linestyles="solid")
    for text in axes.clabel(lines, levels[:-2], fmt=lambda v: number(v, 1), fontsize=SMALL, inline_spacing=3):
        text.set_color(INK)
        text.set_path_effects([withStroke(linewidth=2, foreground=PAPER)])
    for one, colour in zip(candidates, _COLOURS, strict=True):
        if mus[0] <= one.mu <= mus[-1] and log_sigmas[0] <= np.log(one.sigma) <= log_sigmas[-1]:
            at = (one.mu, float(np.log(one.sigma)))
            axes.plot(*at, "o", color=colour, markeredgecolor=PAPER, markeredgewidth=1.2, markersize=8, zorder=7)
            point_out(axes, one.name, at, (9, 0))
    describe(axes, "the ELBO as q moves (nats)", ("μ", "log σ"))
