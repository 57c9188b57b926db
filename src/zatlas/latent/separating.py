"""Which way codes of one group lie from those of the other, or a real attribute grows: three methods, and how sure.

Each method takes posterior means z ``[N, D]``, the attribute y ``[N]`` (0 and 1 for groups), weights w ``[N]`` and
posterior standard deviations ``[N, D]``, and gives a vector ``[D]`` of any length. A direction is to be moved along, so
codes count with their whole posterior: of the means alone a unit that carries next to nothing would get the largest
part of the direction, as its means hardly vary, and moving along it would change no image.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.evaluation import Figure
from zatlas.latent.directions import Direction, balanced_accuracy

FOLDS = 5
BOOTSTRAPS = 50
NOTHING_LEFT = 1e-8  # of a direction's length, once others are taken out of it

LOGISTIC_PENALTY = 1.0  # |w|^2 / 2 beside the sum of the losses, of units of variance 1: scikit-learn's default


def centroid(z: Array, y: Array, w: Array, std: Array) -> Array:
    """The difference of the two groups' means."""
    return np.average(z[y > 0.5], 0, w[y > 0.5]) - np.average(z[y < 0.5], 0, w[y < 0.5])


def canonical(z: Array, y: Array, w: Array, std: Array) -> Array:
    r"""The direction whose projection correlates most with y, :math:`Cov(z)^{-1} Cov(z, y)` (Hotelling 1936).

    For two groups it is Fisher's (1936), since taking the means out of the covariance only changes its length.
    """
    z = z - np.average(z, 0, w)
    noise = np.average(std**2, 0, w)
    unit = _inverse(np.sqrt(np.average(z**2, 0, w) + noise))
    white = z * unit
    weighted = white * (w / w.sum())[:, None]
    covariance = weighted.T @ white + np.diag(noise * unit**2)
    return unit * (np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ (weighted.T @ y))


def logistic(z: Array, y: Array, w: Array, std: Array) -> Array:
    """The normal of a logistic regression's boundary, both groups weighing the same, whatever their numbers.

    Of each posterior there are two draws, on either side of its mean, so that the groups' means stay what they are.
    """
    from scipy.linalg import LinAlgWarning
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    z = z - np.average(z, 0, w)
    unit = _inverse(np.sqrt(np.average(z**2 + std**2, 0, w)))
    used, group = w > 0, y > 0.5
    share = np.where(group, 0.5 / w[group].sum(), 0.5 / w[~group].sum()) * w * w.sum()
    x, group, share = (z * unit)[used], group[used], share[used]
    if std.any():
        noise = (std * unit)[used] * np.random.default_rng(0).standard_normal(x.shape)
        x, group, share = np.concatenate([x + noise, x - noise]), np.tile(group, 2), np.tile(share / 2, 2)
    model = LogisticRegression(C=1 / LOGISTIC_PENALTY, solver="newton-cholesky", max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # it goes on with lbfgs
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, group, share)
    return unit * model.coef_[0]


def _inverse(spread: Array) -> Array:
    """One over it, and 0 where there is none."""
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)


METHODS: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "centroid": centroid,
    "logistic": logistic,
    "cca": canonical,
}
REAL_METHODS = ("cca",)  # the others want two groups


def fit_direction(
    z: Array,
    y: Array,
    *,
    std: Array | None = None,
    method: str = "logistic",
    others: Sequence[Array] = (),
    name: str = "direction",
    seed: int = 0,
) -> Direction:
    """The direction along which an attribute grows, with figures of how well and how surely.

    It is fitted to whole posteriors and scored at their means. Rows are first put into an order of their own, so that
    nothing depends on the one they came in.

    Args:
        z: codes ``[N, D]``, posterior means.
        y: ``[N]``: bool, the group of each; or float, a real attribute.
        std: posterior standard deviations ``[N, D]``; None: codes are points.
        method: ``"centroid"``, the difference of the groups' means; ``"logistic"``, the normal of an L2-penalised
            logistic regression of units of variance 1; ``"cca"``, canonical correlation with y, which for two groups
            is linear discriminant analysis. A real attribute wants ``"cca"``.
        others: vectors ``[D]`` that it is made orthogonal to (Gram-Schmidt).
        name: what it is called.
        seed: of folds and of resampling.

    Raises:
        UsageError: a method that is not there or wants groups, a group of fewer than two, or shapes that do not match.
        ZatlasError: codes that are not finite, or nothing that tells the groups apart.

    >>> z = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])
    >>> found = fit_direction(z, np.array([False, False, True, True]), method="centroid")
    >>> found.vector.tolist(), found.scale, found.threshold
    ([1.0, 0.0], 4.0, 2.0)
    """
    z, y, std, groups = _checked(z, y, std, method)
    order = np.lexsort((y, *z.T))
    order = order[np.random.default_rng(seed).permutation(len(z))]
    order = order[np.argsort(y[order], kind="stable")]  # folds take turns along it: as many of each group in each
    z, y, std = z[order], y[order], std[order]
    fit = _Fit(z, y, std, groups, method, _orthonormal(others, z.shape[1]))
    found = fit(np.ones(len(z)))
    folds = min(FOLDS, int(min(y.sum(), len(y) - y.sum())) if groups else len(y) // 2)
    margins = np.empty(len(z))
    for fold in range(folds):
        out = np.arange(len(z)) % folds == fold
        part = fit((~out).astype(np.float64))
        margins[out] = z[out] @ part.vector - part.threshold
    facts = _separated(margins, y > 0.5, folds) if groups else _correlated(margins, y, folds)
    angles = fit.angles(found.vector, seed)
    facts |= {"angle_degrees": float(angles.mean()), "angle_degrees_95": float(np.percentile(angles, 95))}
    return replace(found, name=name, facts={**facts, "bootstraps": len(angles)})


def _checked(z: Array, y: Array, std: Array | None, method: str) -> tuple[Array, Array, Array, bool]:
    """Codes, attribute and deviations as float64, and whether the attribute is two groups."""
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}; {nearest(method, METHODS)}")
    z, y = np.asarray(z, np.float64), np.asarray(y)
    std = np.zeros_like(z) if std is None else np.asarray(std, np.float64)
    if z.ndim != 2 or y.shape != z.shape[:1] or std.shape != z.shape or y.dtype.kind not in "bf":
        raise UsageError(
            f"a direction wants codes [N, D], deviations alike, and one bool or float each: these are {list(z.shape)}, "
            f"{list(std.shape)} and {list(y.shape)} of {y.dtype}."
        )
    if not all(np.isfinite(values).all() for values in (z, y, std)):
        raise ZatlasError("the codes or the attribute hold NaN or infinity.")
    groups = y.dtype.kind == "b"
    if not groups and method not in REAL_METHODS:
        raise UsageError(f"the {method} method wants two groups, and this attribute is real: use cca.")
    if groups and (fewest := int(min(y.sum(), (~y).sum()))) < 2:
        which = "with" if y.sum() < 2 else "without"
        held = "one example" if fewest else "no example"
        raise UsageError(f"the group {which} the attribute has {held}, and a direction wants two or more on each side.")
    if not groups and (len(y) < 4 or y.min() == y.max()):
        raise UsageError("a real attribute wants four examples or more, and values that differ.")
    return z, y.astype(np.float64), std, groups


def _orthonormal(others: Sequence[Array], dim: int) -> Array:
    """An orthonormal basis ``[K, D]`` of what some directions span."""
    if not len(others):
        return np.zeros((0, dim))
    _, values, axes = np.linalg.svd(np.stack([np.asarray(o, np.float64) for o in others]), full_matrices=False)
    return axes[values > 1e-10 * values[0]]


@dataclass(frozen=True, eq=False)
class _Fit:
    """One method on some codes, made orthogonal to a basis ``[K, D]``: from weights ``[N]`` to a direction."""

    z: Array
    y: Array
    std: Array
    groups: bool
    method: str
    basis: Array

    def __call__(self, w: Array) -> Direction:
        raw = METHODS[self.method](self.z, self.y, w, self.std)
        if not np.linalg.norm(raw) > 0:
            raise ZatlasError("nothing in the codes tells the two sides apart: there is no direction between them.")
        vector = raw / np.linalg.norm(raw)
        vector = vector - (vector @ self.basis.T) @ self.basis
        if not np.linalg.norm(vector) > NOTHING_LEFT:
            raise ZatlasError(
                "nothing is left of the direction once it is orthogonal to the others: it lies in what they span."
            )
        vector = vector - (vector @ self.basis.T) @ self.basis  # again: the first time rounds (Björck 1967)
        vector /= np.linalg.norm(vector)
        spot, middle = self.z @ vector, np.average(self.y, weights=w)
        variance = np.average((self.y - middle) ** 2, weights=w)
        slope = np.average(spot * (self.y - middle), weights=w) / variance
        if slope < 0:
            vector, spot, slope = -vector, -spot, -slope
        # the line of regression of spots on y: its rise over Δy, and its height between the groups or at the mean
        scale = slope * (1.0 if self.groups else math.sqrt(variance))
        threshold = np.average(spot, weights=w) + slope * ((0.5 - middle) if self.groups else 0.0)
        return Direction("direction", self.method, vector, float(scale), float(threshold), {})

    def angles(self, vector: Array, seed: int) -> Array:
        """Degrees from a direction to those of examples drawn again with replacement, within each group."""
        rng = np.random.default_rng(seed)
        sides = [np.flatnonzero(self.y == side) for side in (0, 1)] if self.groups else [np.arange(len(self.y))]
        cosines = []
        for _ in range(BOOTSTRAPS):
            drawn = np.concatenate([rng.choice(rows, len(rows)) for rows in sides])
            weights = np.bincount(drawn, minlength=len(self.y)).astype(np.float64)
            cosines.append(self(weights).vector @ vector)
        return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def _separated(margins: Array, y: Array, folds: int) -> dict[str, Any]:
    """Figures of two groups, from held-out margins."""
    spread = math.sqrt((margins[y].var() * y.sum() + margins[~y].var() * (~y).sum()) / len(y))
    gap = float(margins[y].mean() - margins[~y].mean())
    return {
        "accuracy": balanced_accuracy(margins, y, f"{folds}-fold cross-validation").to_json(),
        "effect": gap / max(spread, 1e-12 * abs(gap), np.finfo(np.float64).tiny),
        "counts": [int(y.sum()), int((~y).sum())],
    }


def _correlated(margins: Array, y: Array, folds: int) -> dict[str, Any]:
    """The figure of a real attribute, from held-out projections; its error is Pearson's, a third too small near 0."""
    varied = margins.min() < margins.max()
    r = float(np.corrcoef(margins, y)[0, 1]) if varied else 0.0
    error = (1 - r**2) / math.sqrt(len(y) - 1)
    figure = Figure(r, error, len(y), f"{folds}-fold cross-validation", fixed="the directions of the folds")
    return {"correlation": figure.to_json(), "counts": [len(y)]}
