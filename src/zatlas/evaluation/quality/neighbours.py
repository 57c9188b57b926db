"""What nearest neighbours tell of samples: precision and recall, density and coverage, and copies of training data."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.score import Array, Score, binomial_error
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import check_pair

PAIRS = 10_000_000  # compared at once, which bounds the memory
SUSPECT = 0.6  # share from which a warning is due; test data of other writers or days alone are a little farther
CLOSEST = 0.01  # of the test examples, against which samples that all but copy are counted


def squared_distances(a: Array, b: Array) -> Iterator[tuple[slice, Array]]:
    """Pieces ``[n, M]`` of the squared distances between rows of ``[N, F]`` and ``[M, F]``, and where they begin.

    Equal rows are at distance zero exactly: what is left by rounding counts as nothing.
    """
    norms_a, norms_b = (a**2).sum(axis=1), (b**2).sum(axis=1)
    size = max(1, PAIRS // len(b))
    for start in range(0, len(a), size):
        rows = slice(start, start + size)
        scale = norms_a[rows, None] + norms_b
        squared = scale - 2 * a[rows] @ b.T
        squared[squared < 1e-12 * scale] = 0
        yield rows, squared


def neighbour_radii(a: Array, k: int) -> Array:
    """Squared distance of each row of ``[N, F]`` to its k-th neighbour, itself left out, ``[N]``."""
    radii = np.empty(len(a))
    for rows, squared in squared_distances(a, a):
        squared[np.arange(len(squared)), np.arange(len(a))[rows]] = np.inf
        radii[rows] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii


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
        Four figures by name. Standard errors are of the counted examples, the balls taken as given.

    Raises:
        UsageError: shapes that do not match, NaN, k out of range, or too few examples.
    """
    real, made = check_pair(real, made)
    if not 1 <= k < min(len(real), len(made)):
        raise UsageError(f"of {min(len(real), len(made))} examples none has {k} neighbours: give fewer neighbours.")
    middle = real.mean(axis=0)
    real, made = real - middle, made - middle  # large common offsets would cost digits
    radii_real, radii_made = neighbour_radii(real, k), neighbour_radii(made, k)
    balls = np.zeros(len(made))  # of real examples, that a sample lies in
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for rows, squared in squared_distances(real, made):
        inside = squared <= radii_real[rows, None]
        balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (squared <= radii_made).any(axis=1)
    name = lambda what: f"{what} of {real.shape[1]} features, k={k}"
    share = lambda hits, what: Figure(
        float(hits.mean()), binomial_error(float(hits.mean()), len(hits)), len(hits), name(what)
    )
    density = Figure(
        float(balls.mean() / k), float(balls.std(ddof=1) / k / math.sqrt(len(made))), len(made), name("density")
    )
    return {
        "precision": share(balls > 0, "precision"),
        "recall": share(recalled, "recall"),
        "density": density,
        "coverage": share(covered, "coverage"),
    }


def nearest(queries: Array, points: Array) -> tuple[Array, Array]:
    """Row of the nearest of ``[M, F]`` and its distance, for each of ``[N, F]``: ``[N]`` and ``[N]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    queries, points = check_pair(queries, points)
    middle = points.mean(axis=0)
    index, distance = np.empty(len(queries), np.int64), np.empty(len(queries))
    for rows, squared in squared_distances(queries - middle, points - middle):
        index[rows] = squared.argmin(axis=1)
        distance[rows] = np.sqrt(squared.min(axis=1))
    return index, distance


def copying(samples: Array, train: Array, test: Array) -> Score:
    r"""Whether samples lie nearer to training examples than test examples do (Meehan et al. 2020, section 3).

    .. math:: P(d(\text{sample}, \text{train}) < d(\text{test}, \text{train}))

    with d the distance to the nearest training example, and ties counted half. A half is what fresh data gives; well
    above it the model repeats its training examples, well below it its samples lie far from any. The test is global: a
    model that copies here and fails there may come out at a half, so look at the nearest too.

    Args:
        samples: features ``[N, F]``.
        train: features ``[T, F]``, best of all the training examples.
        test: features ``[M, F]``.

    Returns:
        The share, with the standard error of DeLong et al. 1988; parts ``z`` (standard errors above a half) and
        ``closest``, the share of samples nearer than all but 1% of the test examples; ``"index"`` and ``"distance"``
        ``[N]`` of each sample's nearest training example.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    index, of_samples = nearest(samples, train)
    _, of_test = nearest(test, train)
    farther = _share_above(of_samples, of_test)  # for each sample, of the test examples
    nearer = 1 - _share_above(of_test, of_samples)  # for each test example, of the samples
    value = float(farther.mean())
    error = math.sqrt(farther.var(ddof=1) / len(farther) + nearer.var(ddof=1) / len(nearer))
    told = []
    if value - 3 * error > SUSPECT:
        told.append(f"{value:.0%} of pairs have the sample nearer to the training data than the test example: copies?")
    parts = {
        "z": (value - 0.5) / error if error else math.copysign(math.inf, value - 0.5) if value != 0.5 else 0.0,
        "closest": float((of_samples < np.quantile(of_test, CLOSEST)).mean()),
    }
    figure = Figure(value, error, len(of_samples), f"share nearer to {len(train)} training examples than test examples")
    return Score(figure, parts, {"index": index, "distance": of_samples}, tuple(told))


def _share_above(values: Array, others: Array) -> Array:
    """For each of ``[N]`` the share of ``[M]`` that is greater, ties counted half, ``[N]``."""
    ordered = np.sort(others)
    below, not_above = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return 1 - (below + not_above) / (2 * len(others))
