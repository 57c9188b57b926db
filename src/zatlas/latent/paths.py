"""Paths from code to code: straight, along a sphere, and where the codes of the data lie densest."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.distributions.gaussian import LOG_2PI
from zatlas.errors import UsageError
from zatlas.latent.aggregate import ExPostPrior

LogDensity = Callable[[Tensor], Tensor]  # codes [..., D] to nats [...], and gradients back
PathName = Literal["linear", "spherical", "density"]
PATHS: tuple[PathName, ...] = ("linear", "spherical", "density")

POWER = 2.0  # alpha - 1 of Hwang et al.; 1 hardly leaves the straight line, 4 takes long ways round
FINE = 60  # points of a path while it is sought
NEIGHBOURS = 12
STEPS = 300


def linear(anchors: Array, n: int) -> Array:
    """Straight from each anchor ``[A, D]`` to the next, n points each with both ends: ``[(A - 1)(n - 1) + 1, D]``.

    Raises:
        UsageError: fewer than two anchors, or n below 2.
    """
    return _joined(anchors, n, lambda a, b: _line(a, b, n))


def spherical(anchors: Array, n: int) -> Array:
    """From each anchor to the next by equal angles about the origin, the norm changing evenly (White 2016).

    .. math:: z_t = \\Big((1 - t) |a| + t |b|\\Big)
        \\frac{\\sin((1 - t) \\omega)\\, a/|a| + \\sin(t \\omega)\\, b/|b|}{\\sin \\omega},
        \\quad \\cos \\omega = \\frac{a b}{|a| |b|}

    Draws of N(0, I) have norms near the root of D, and so have the points between two of them; those of the straight
    line have not. Anchors in one line with the origin are joined straight.

    Args:
        anchors: ``[A, D]``.
        n: points from one to the next, both included.

    Raises:
        UsageError: fewer than two anchors, or n below 2.
    """
    return _joined(anchors, n, lambda a, b: _arc(a, b, n))


def densest(anchors: Array, n: int, log_density: LogDensity, codes: Array | None = None) -> Array:
    """From each anchor to the next where the density is high, evenly spaced.

    .. math:: \\min_\\gamma \\int p(\\gamma)^{-2/D} |d\\gamma|

    the limit of shortest paths over points drawn from p, each step at the cost of its length cubed (Hwang, Damelin &
    Hero 2016, theorem 1). Sought by gradient from the straight line and from the shortest path over a graph of
    neighbouring codes; where nothing found has a higher mean log density, the straight line stays.

    Args:
        anchors: ``[A, D]``.
        n: points from one to the next, both included.
        log_density: log p of codes, differentiable.
        codes: of examples ``[N, D]``, for the graph; None: only the straight line is a start.

    Raises:
        UsageError: fewer than two anchors, or n below 2.
    """
    return _joined(anchors, n, lambda a, b: _densest(a, b, n, log_density, codes))


def log_density(prior: ExPostPrior) -> LogDensity:
    """log p(z) of a mixture fitted to the aggregate posterior, in nats, through which gradients flow.

    Raises:
        UsageError: the prior is no mixture.
    """
    if prior.kind != "mixture":
        raise UsageError(f"a path of high density is sought along a mixture, and this prior is a {prior.kind}.")
    weights, means, scales = (torch.from_numpy(values) for values in prior.density.tensors().values())
    centre, axes, widths = (torch.from_numpy(values) for values in prior.white)
    scales = scales if scales.dim() == 3 else torch.diag_embed(scales)
    whiteners = torch.linalg.inv(scales)  # [M, D, D]
    heights = weights.log() + whiteners.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = prior.white.log_determinant + len(widths) / 2 * LOG_2PI

    def of(z: Tensor) -> Tensor:
        u = ((z - centre) @ axes / widths)[..., None, :] - means  # [..., M, D]
        squares = torch.einsum("mij,...mj->...mi", whiteners, u).square().sum(-1)
        return torch.logsumexp(heights - squares / 2, -1) - constant

    return of


def even(path: Array, n: int) -> Array:
    """n points of a polygon ``[P, D]`` at equal lengths along it, both ends exact."""
    lengths = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
    wanted = np.linspace(0, lengths[-1], n)
    points = np.stack([np.interp(wanted, lengths, column) for column in path.T], 1)
    points[0], points[-1] = path[0], path[-1]
    return points


def _joined(anchors: Array, n: int, leg: Callable[[Array, Array], Array]) -> Array:
    anchors = np.asarray(anchors, np.float64)
    if anchors.ndim != 2 or len(anchors) < 2:
        raise UsageError(f"a path goes from code to code, at least two [A, D], and these are {list(anchors.shape)}.")
    if n < 2:
        raise UsageError(f"a path of {n} points does not reach its end: give at least 2.")
    legs = [leg(a, b) for a, b in pairwise(anchors)]
    return np.concatenate([anchors[:1], *(points[1:] for points in legs)])


def _line(a: Array, b: Array, n: int) -> Array:
    return np.linspace(a, b, n)  # whose last point is b itself


def _arc(a: Array, b: Array, n: int) -> Array:
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if not all(norms):
        return _line(a, b, n)
    one, two = a / norms[0], b / norms[1]
    angle = 2 * math.atan2(float(np.linalg.norm(one - two)), float(np.linalg.norm(one + two)))  # exact for small ones
    if math.sin(angle) < 1e-6:
        return _line(a, b, n)
    t = np.linspace(0, 1, n)[:, None]
    directions = (np.sin((1 - t) * angle) * one + np.sin(t * angle) * two) / math.sin(angle)
    points = ((1 - t) * norms[0] + t * norms[1]) * directions
    points[0], points[-1] = a, b
    return points


def _densest(a: Array, b: Array, n: int, density: LogDensity, codes: Array | None) -> Array:
    straight = _line(a, b, n)
    if n == 2 or np.array_equal(a, b):
        return straight
    starts = [_line(a, b, FINE)]
    if codes is not None and (found := _over_graph(a, b, codes, density)) is not None:
        starts.append(even(found, FINE))
    path, cost = _relaxed(torch.from_numpy(np.stack(starts)), density)
    best = even(path[int(cost.argmin())].numpy(), n)
    with torch.no_grad():
        kept, given_up = (float(density(torch.from_numpy(points)).mean()) for points in (best, straight))
    return best if kept > given_up else straight


def _log_energy(path: Tensor, density: LogDensity) -> Tensor:
    """log of the sum of squared steps in the metric p^(-2 POWER / D) I, of paths ``[S, P, D]``: ``[S]``.

    At its minimum the steps are equal in that metric, and their sum is the length (do Carmo 1992, chapter 9).
    The logarithm, since p may fall by hundreds of nats.
    """
    steps = path.diff(dim=1).square().sum(-1)
    middles = (path[:, 1:] + path[:, :-1]) / 2
    return torch.logsumexp((steps + 1e-300).log() - 2 * POWER / path.shape[-1] * density(middles), 1)


def _relaxed(start: Tensor, density: LogDensity) -> tuple[Tensor, Tensor]:
    """Paths ``[S, P, D]`` after a descent of their energy, the ends held, and its logarithm ``[S]``."""
    inner = start[:, 1:-1].clone().requires_grad_()
    whole = lambda: torch.cat([start[:, :1], inner, start[:, -1:]], 1)
    size = float((start[0, -1] - start[0, 0]).norm()) / math.sqrt(start.shape[-1])
    optimiser = torch.optim.Adam([inner], 0.02 * size)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        optimiser.zero_grad()
        _log_energy(whole(), density).sum().backward()
        optimiser.step()
        falling.step()
    with torch.no_grad():
        return whole(), _log_energy(whole(), density)


def _over_graph(a: Array, b: Array, codes: Array, density: LogDensity) -> Array | None:
    """The shortest path over neighbouring codes ``[P, D]`` in the metric sought; None where the graph falls apart."""
    from scipy.sparse.csgraph import dijkstra
    from sklearn.neighbors import kneighbors_graph

    nodes = np.concatenate([[a, b], codes])
    graph = kneighbors_graph(nodes, min(NEIGHBOURS, len(nodes) - 1), mode="distance").tocoo()
    middles = (nodes[graph.row] + nodes[graph.col]) / 2
    with torch.no_grad():
        nats = density(torch.from_numpy(middles)).numpy()
    # relative to the densest edge: the factor is common, and its exponential must neither overflow nor vanish
    graph.data = graph.data.clip(1e-12) * np.exp((POWER / nodes.shape[1] * (nats.max() - nats)).clip(max=300))
    distance, before = dijkstra(graph.tocsr(), directed=False, indices=0, return_predecessors=True)
    if not np.isfinite(distance[1]):
        return None
    way = [1]
    while way[-1] != 0:
        way.append(int(before[way[-1]]))
    return nodes[way[::-1]]
