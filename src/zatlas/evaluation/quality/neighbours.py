"""What nearest neighbours tell of samples: precision and recall, density and coverage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.score import binomial_error, left_out_error
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import check_pair

PAIRS = 1_000_000  # compared at once, which bounds the memory; ten times as many leave the cache, and are slower
GROUPS = 10  # of each set, for standard errors
CANDIDATES = 64  # for each row, on average; from there on float64 products are as fast
LEFT_OUT = ((), *((g,) for g in range(GROUPS)), *itertools.combinations(range(GROUPS), 2))


def squared_distances(a: Array, b: Array, *, whole: bool = False) -> Iterator[tuple[slice, Array]]:
    """Pieces ``[n, M]`` of the squared distances between rows of ``[N, F]`` and ``[M, F]``, and where they begin.

    Equal rows are at distance zero exactly: what is left by rounding counts as nothing. ``whole``: one piece.
    """
    norms_a, norms_b = (a**2).sum(axis=1), (b**2).sum(axis=1)
    size = len(a) if whole else max(1, PAIRS // len(b))
    for start in range(0, len(a), size):
        rows = slice(start, start + size)
        scale = norms_a[rows, None] + norms_b
        squared = scale - 2 * a[rows] @ b.T
        squared[squared < 1e-12 * scale] = 0
        yield rows, squared


def neighbour_radii(a: Array, k: int, group: Array) -> Array:
    """Squared distance of each row of ``[N, F]`` to its k-th neighbour, itself left out, ``[L, N]``.

    Line l is of all rows but those whose ``group`` ``[N]``, which must rise, is in ``LEFT_OUT[l]``.
    """
    bounds = np.searchsorted(group, np.arange(GROUPS + 1))
    nearest = np.full((len(a), GROUPS, k), np.inf)  # the k nearest within each group
    for rows, squared in squared_distances(a, a):
        squared[np.arange(len(squared)), np.arange(len(a))[rows]] = np.inf
        for g in range(GROUPS):
            own = squared[:, bounds[g] : bounds[g + 1]]
            nearest[rows, g, : own.shape[1]] = np.partition(own, k - 1)[:, :k] if own.shape[1] > k else own
    kth = lambda found: np.partition(found.reshape(len(a), -1), k - 1)[:, k - 1]
    return np.stack([kth(np.delete(nearest, out, axis=1)) for out in LEFT_OUT])


def overlap(real: Array, made: Array, *, k: int = 5) -> dict[str, Figure]:
    r"""Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020), from balls.

    The ball of an example reaches to its k-th neighbour in its own set. Precision is the share of samples in a ball of
    a real example, recall the share of real examples in a ball of a sample; density is how many real balls a sample
    lies in, over k; coverage the share of real balls that hold a sample.

    For two sets of one distribution density is 1 and coverage 1 - 2^-k (0.97 for k = 5), but precision and recall are
    what N and the dimension make them (0.5 of 10,000 examples of 1000 Gaussian features): read them beside the floor.

    Args:
        real: features ``[N, F]``.
        made: features ``[M, F]``.
        k: neighbours.

    Returns:
        Four figures by name. Standard errors are over both sets redrawn, balls and all, by leaving tenths of
        each set out; of the counted examples alone, the balls taken as given, they would be up to half as large.

    Raises:
        UsageError: shapes that do not match, NaN, k out of range, or too few examples.
    """
    real, made = check_pair(real, made)
    fewest = min(len(x) - 2 * math.ceil(len(x) / GROUPS) for x in (real, made))  # once two groups are left out
    if not 1 <= k < fewest:
        raise UsageError(f"of {fewest} examples none has {k} neighbours: give fewer neighbours.")
    middle = real.mean(axis=0)
    # every tenth row is of a group, so that a drift along the rows does not matter
    real, made = (np.concatenate([(x - middle)[g::GROUPS] for g in range(GROUPS)]) for x in (real, made))
    of_real, of_made = (np.sort(np.arange(len(x)) % GROUPS) for x in (real, made))
    radii_real, radii_made = neighbour_radii(real, k, of_real), neighbour_radii(made, k, of_made)
    balls = np.zeros((len(LEFT_OUT), len(made)))  # of real examples, that a sample lies in
    recalled, covered = np.zeros((2, len(LEFT_OUT), len(real)), bool)
    for i, j, apart in _near_pairs(real, made, radii_real.max(axis=0), radii_made.max(axis=0)):
        of_i, of_j = of_real[i], of_made[j]
        for line, out in enumerate(LEFT_OUT):
            there = ~(np.isin(of_i, out) | np.isin(of_j, out))
            in_real, in_made = (there & (apart <= radii) for radii in (radii_real[line, i], radii_made[line, j]))
            balls[line] += np.bincount(j[in_real], minlength=len(made))
            covered[line, i[in_real]] = True
            recalled[line, i[in_made]] = True
    sides = {"precision": (balls > 0, of_made), "recall": (recalled, of_real)}
    sides |= {"density": (balls / k, of_made), "coverage": (covered, of_real)}
    return {name: _figure(name, values, of, f"{real.shape[1]} features, k={k}") for name, (values, of) in sides.items()}


def _near_pairs(real: Array, made: Array, reach_real: Array, reach_made: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Rows i and j, and squared distances, of pairs within reach ``[N]`` of the one or ``[M]`` of the other."""
    found, count = [], 0
    for rows, squared in squared_distances(real, made):
        i, j = np.nonzero((squared <= reach_real[rows, None]) | (squared <= reach_made))
        found.append((i + rows.start, j, squared[i, j]))
        count += len(i)
        if count > PAIRS or rows.stop >= len(real):  # of sets far apart in spread nearly all are near
            i, j, apart = (np.concatenate(part) for part in zip(*found, strict=True))
            yield i, j, apart
            found, count = [], 0


def _figure(name: str, values: Array, group: Array, of: str) -> Figure:
    """The mean of the first line of ``[L, N]``, and its error from the others."""
    value, count = float(values[0].mean()), values.shape[1]
    means = {out: float(line[~np.isin(group, out)].mean()) for out, line in zip(LEFT_OUT, values, strict=True)}
    error = left_out_error(means, GROUPS)
    if name != "density":
        error = max(error, binomial_error(value, count))  # where all are in, or none, leaving some out tells nothing
    over = "samples" if name in ("precision", "density") else "reference examples"
    return Figure(value, error, count, f"{name} of {of}", over=over)


def nearest(queries: Array, points: Array, *, others: bool = False) -> tuple[Array, Array]:
    """Row of the nearest of ``[M, F]`` and its distance, for each of ``[N, F]``: ``[N]`` and ``[N]``.

    With ``others`` the queries are the points, and the nearest of the others is meant. The search is exact: float32
    products, twice as fast, leave those points that their rounding cannot rule out, and float64 decides.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    queries, points = check_pair(queries, points)
    middle = points.mean(axis=0)
    index, distance = np.empty(len(queries), np.int64), np.empty(len(queries))
    for rows, rough, error in _rough_distances(queries, points, middle):
        lines = np.arange(len(rough))
        own = lines + rows.start if others else None
        if own is not None:
            rough[lines, own] = np.inf
        possible = np.flatnonzero(rough <= (rough.min(axis=1) + 2 * error)[:, None])
        line, point = np.divmod(possible, len(points))
        if len(line) <= CANDIDATES * len(rough):
            index[rows], squared = _first_least(queries[rows], points, line, point)
        else:  # of points far from their middle and close together float32 tells little
            exact = next(squared_distances(queries[rows] - middle, points - middle, whole=True))[1]
            if own is not None:
                exact[lines, own] = np.inf
            index[rows] = best = exact.argmin(axis=1)
            squared = exact[lines, best]
        distance[rows] = np.sqrt(squared)
    return index, distance


def _rough_distances(a: Array, b: Array, middle: Array) -> Iterator[tuple[slice, Array, Array]]:
    """Pieces ``[n, M]`` of squared distances less the norm of the row, and by how much those of a row ``[n]`` may be
    off, in float32 if values permit.

    Large temporary arrays cost more than what is computed with them, so that only the float32 copies are whole.
    """
    norms_a, norms_b = (_from_middle(x, middle, lambda part: np.einsum("nf,nf->n", part, part)) for x in (a, b))
    # beyond these float32 has no square, or no place after the first
    low: Any = np.float32 if 1e-25 < max(norms_a.max(), norms_b.max()) < 1e25 else np.float64
    low_a, low_b = (_from_middle(x, middle, lambda part: part.astype(low)) for x in (a, b))
    # each of F products and sums rounds by at most half of eps, and so do both factors and what is added to them
    error = ((a.shape[1] + 8) * np.finfo(low).eps * (norms_a + norms_b.max())).astype(low)
    low_a, norms_b = -2 * low_a, norms_b.astype(low)
    size = max(1, PAIRS // len(b))
    for start in range(0, len(a), size):
        rows = slice(start, start + size)
        rough = low_a[rows] @ low_b.T
        rough += norms_b
        yield rows, rough, error[rows]


def _from_middle(x: Array, middle: Array, call: Callable[[Array], Array]) -> Array:
    """What a function makes of the rows of ``[N, F]`` less their middle, some rows at a time."""
    size = max(1, PAIRS // 10 // len(middle))
    return np.concatenate([call(x[i : i + size] - middle) for i in range(0, len(x), size)])


def _first_least(a: Array, b: Array, line: Array, point: Array) -> tuple[Array, Array]:
    """Of pairs of rows, lines rising, the first nearest of each line, and its squared distance: ``[n]`` and ``[n]``."""
    squared = np.concatenate(
        [
            np.square(a[line[part]] - b[point[part]]).sum(axis=1)
            for part in (slice(i, i + PAIRS // 100) for i in range(0, len(line), PAIRS // 100))
        ]
    )
    order = np.lexsort((point, squared, line))
    first = order[np.unique(line[order], return_index=True)[1]]
    return point[first], squared[first]
