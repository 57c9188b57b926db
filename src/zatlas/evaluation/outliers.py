"""How badly a model explains each example, by scores that are not contrast alone. Higher is worse.

The bound alone will not do: it grows with everything that costs nats, such as contrast and texture, so that a faint or
blank image is always explained well, whatever the model was trained on (Nalisnick et al. 2019a, Do deep generative
models know what they don't know?). All scores are relative to a sample of examples that may hold outliers itself, so
middles and spreads are medians and the like.
"""

from __future__ import annotations

import io
import math
import warnings
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.data import evenly_spaced

_LEVELS = 16
_FITTED = 5000  # rows to which a covariance is fitted
_MAD = 1.4826  # a normal's standard deviation over its median absolute deviation


class Explained(NamedTuple):
    """What is known of N examples, in nats: distortion and rate ``[N]`` of a model, ``pixels`` ``[N]``, -log p of
    each pixel by itself, and ``compressed`` ``[N]``, the length of the example compressed without loss."""

    distortion: Array
    rate: Array
    pixels: Array
    compressed: Array


class Score(NamedTuple):
    """A score: what it means, where it is from, and the function from :class:`Explained` to ``[N]``."""

    meaning: str
    source: str
    of: Callable[[Explained], Array]


def _bound(e: Explained) -> Array:
    return e.distortion + e.rate


def _typicality(e: Explained) -> Array:
    nats = _bound(e)
    return np.abs(nats - np.median(nats)) / _spread(nats)


def _ranks(e: Explained) -> Array:
    return -np.log(_tail(e.rate)) - np.log(_tail(e.distortion))


def _background(e: Explained) -> Array:
    return _bound(e) - e.pixels


def _complexity(e: Explained) -> Array:
    return _bound(e) - e.compressed


def _states(e: Explained) -> Array:
    return _mahalanobis(np.stack([e.distortion, e.rate, e.compressed], 1))


SCORES: dict[str, Score] = {
    "bound": Score("the bound itself, distortion + rate: what an example costs in nats, contrast and all", "", _bound),
    "typicality": Score(
        "how far the bound is from its median, either way: examples that cost too little are odd as well",
        "Nalisnick et al. 2019b, for one example",
        _typicality,
    ),
    "ranks": Score(
        "how near an example's rank is to either end, in rate and in distortion, both together: -log of the two tails",
        "Fisher's combination of two-sided empirical tails",
        _ranks,
    ),
    "background": Score(
        "the bound less what a model of every pixel by itself would charge: what the model fails to explain about how "
        "pixels go together",
        "Ren et al. 2019, with independent pixels for background",
        _background,
    ),
    "complexity": Score(
        "the bound less the length of the example compressed without loss: cost that its texture does not justify",
        "Serra et al. 2020, eq. 3",
        _complexity,
    ),
    "states": Score(
        "how unusual distortion, rate and compressed length are together, either way: the Mahalanobis distance of the "
        "three, by a robust covariance",
        "Morningstar et al. 2021, with one Gaussian for density",
        _states,
    ),
}
DEFAULT = "states"


def explained(distortion: Array, rate: Array, batches: Callable[[], Any], values: str) -> Explained:
    """Distortion and rate with what the images alone say.

    Args:
        distortion: ``[N]``, nats.
        rate: ``[N]``, nats.
        batches: gives the examples in order, arrays ``[B, *data]``, anew each time.
        values: ``"bits"`` or ``"grey"`` (values in [0, 1] under a Bernoulli, whose cross-entropy the background has
            too), ``"levels"`` (in [0, 1]: the background has a histogram for each pixel) or ``"real"`` (it has a
            Gaussian for each).
    """
    background = _pixels(batches, values, len(distortion))
    complexity = np.concatenate([_lengths(x, values) for x in batches()])
    return Explained(np.asarray(distortion, float), np.asarray(rate, float), background, complexity)


def auroc(score: Array, outlier: Array) -> float:
    """The probability that an outlier scores higher than another example, ties counted half.

    >>> auroc(np.array([1, 2, 3, 4]), np.array([0, 0, 1, 1]))
    1.0
    """
    outlier = np.asarray(outlier, bool)
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n, m = int(outlier.sum()), int((~outlier).sum())
    return float((ranks[outlier].sum() - n * (n + 1) / 2) / (n * m))


def _spread(x: Array) -> float:
    return float(_MAD * np.median(np.abs(x - np.median(x)))) or float(x.std()) or 1.0


def _tail(x: Array) -> Array:
    """Twice the share of examples at least as far out on the same side, at most 1."""
    below = (np.argsort(np.argsort(x, kind="stable"), kind="stable") + 0.5) / len(x)
    return np.minimum(1.0, 2 * np.minimum(below, 1 - below))


def _mahalanobis(x: Array) -> Array:
    from sklearn.covariance import MinCovDet

    x = (x - np.median(x, 0)) / np.array([_spread(column) for column in x.T])
    x = np.sign(x) * np.log1p(np.abs(x))  # beyond a spread or two only the order of magnitude counts
    rows = evenly_spaced(np.arange(len(x)), _FITTED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few or equal rows, where the ridge below decides
        try:
            fitted = MinCovDet(random_state=0, support_fraction=0.75 if len(rows) > 20 else None).fit(x[rows])
            middle, covariance = fitted.location_, fitted.covariance_
        except ValueError:
            middle, covariance = np.median(x, 0), np.eye(x.shape[1])
    gap = x - middle
    ridge = 1e-6 * max(float(np.trace(covariance)), 1e-6) * np.eye(x.shape[1])
    return np.sqrt(np.einsum("nd,nd->n", gap @ np.linalg.inv(covariance + ridge), gap))


def _pixels(batches: Callable[[], Any], values: str, n: int) -> Array:
    """-log p of examples under a model of each pixel by itself, fitted to them, in nats."""
    if values == "levels":
        counts: Array | None = None
        for x in batches():
            level = _level(x)
            if counts is None:
                counts = np.zeros((_LEVELS, level.shape[1]))
            for i in range(_LEVELS):
                counts[i] += (level == i).sum(0)
        assert counts is not None
        whole = (counts.sum(1, keepdims=True) + 1) / (counts.sum() + _LEVELS)
        nats = -np.log((counts + 5 * whole) / (n + 5))
        return np.concatenate([nats[_level(x), np.arange(nats.shape[1])].sum(1) for x in batches()])
    total = squares = 0.0
    for x in batches():
        flat = x.reshape(len(x), -1).astype(np.float64)
        total, squares = total + flat.sum(0), squares + (flat**2).sum(0)
    if values == "real":
        mean = total / n
        variance = np.maximum(squares / n - mean**2, 1e-4 * float(np.mean(squares / n - mean**2)) + 1e-12)
        nats = [
            0.5 * ((x.reshape(len(x), -1) - mean) ** 2 / variance + np.log(2 * math.pi * variance)).sum(1)
            for x in batches()
        ]
        return np.concatenate(nats)
    p = (total + 0.5) / (n + 1)
    logit, rest = np.log(p / (1 - p)), -np.log1p(-p).sum()
    return np.concatenate([rest - x.reshape(len(x), -1) @ logit for x in batches()])


def _level(x: Array) -> Array:
    return np.minimum((x.reshape(len(x), -1) * _LEVELS).astype(np.int64), _LEVELS - 1)


def _lengths(x: Array, values: str) -> Array:
    """Compressed lengths in nats: of images the shorter of PNG and lossless WebP, of other values what zlib makes."""
    from PIL import Image

    if x.ndim != 4 or values == "real":
        return np.array([len(zlib.compress(np.float16(row).tobytes(), 9)) for row in x]) * 8 * math.log(2)
    pixels = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    found = []
    for row in pixels:
        image = Image.fromarray(row[0] if len(row) == 1 else row.transpose(1, 2, 0))
        lengths = []
        for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "method": 0})):
            buffer = io.BytesIO()
            image.save(buffer, kind, **options)
            lengths.append(buffer.tell())
        found.append(min(lengths))
    return np.array(found) * 8 * math.log(2)
