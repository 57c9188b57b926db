"""How alike the codes of two trainings are: those of the same examples, rotated onto one another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.points import check_codes, listed
from zatlas.evaluation.disentanglement.score import if_unknown, jackknife_error
from zatlas.evaluation.figure import Figure

SAME, SHARED = 0.9, 0.9  # correlations from which a unit, or a direction, is called the same
ADVISED_PER_UNIT = 20


@dataclass(frozen=True, eq=False)
class Moments:
    """The joint covariance of two codes, on which every measure here depends."""

    first: Array
    second: Array
    cross: Array

    @classmethod
    def of(cls, both: Array, split: int, weights: Array | None = None) -> Moments:
        """Of codes side by side ``[N, D + E]``, the first of which has ``split`` units."""
        weights = np.ones(len(both)) if weights is None else weights
        centred = both - weights @ both / weights.sum()
        joint = centred.T @ (weights[:, None] * centred) / weights.sum()
        return cls(joint[:split, :split], joint[split:, split:], joint[:split, split:])

    def procrustes(self) -> tuple[float, Array, float]:
        r"""Residual share, rotation ``[D, E]`` and scale that carry the first code to the second (Schönemann 1966).

        .. math:: \min_{s,R} |Y - s X R|^2 / |Y|^2 = 1 - |X^T Y|_*^2 / (|X|^2 |Y|^2)
        """
        left, singular, right = np.linalg.svd(self.cross, full_matrices=False)
        spread = np.trace(self.first), np.trace(self.second)
        share = singular.sum() ** 2 / (spread[0] * spread[1])
        return float(max(0.0, 1 - share)), left @ right, float(singular.sum() / spread[0])

    def correlations(self) -> Array:
        """Of each unit with each, ``[D, E]``; 0 where one never changes."""
        spread = np.sqrt(np.outer(np.diag(self.first), np.diag(self.second)))
        return np.divide(self.cross, spread, out=np.zeros_like(self.cross), where=spread > 0)

    def canonical(self) -> Array:
        """Correlations of the best matched directions, falling, ``[min(ranks)]`` (Hotelling 1936)."""
        singular = np.linalg.svd(_whitener(self.first).T @ self.cross @ _whitener(self.second), compute_uv=False)
        return singular.clip(0, 1)


def _whitener(covariance: Array) -> Array:
    """W ``[D, rank]`` with W^T C W = I; directions that hardly vary against their units' own scale are left out."""
    scale = np.sqrt(np.diag(covariance))
    scale = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(covariance * scale[:, None] * scale)
    kept = values > 1e-10
    return scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])


@dataclass(frozen=True, eq=False)
class Alignment:
    """Two codes of the same examples, compared.

    Attributes:
        figures: ``procrustes_residual``, the share of the second code that no rotation and scale of the first explains;
            ``matched_correlation``, the mean |correlation| of units matched one to one; ``canonical_correlation``, the
            mean over directions.
        correlations: of each unit with each, ``[D, E]``.
        matches: unit of the second code that each of the first is matched with, -1 for none, ``[D]``.
        canonical: correlations, falling.
        rotation: that carries the first code to the second, ``[D, E]``.
        chance: what the root mean square canonical correlation of unrelated codes would be.
        warnings: sentences; empty where nothing is amiss.
    """

    figures: dict[str, Figure]
    correlations: Array
    matches: Array
    canonical: Array
    rotation: Array
    chance: float
    warnings: tuple[str, ...]

    def sentences(self, names: Sequence[str] | None = None) -> tuple[str, ...]:
        """What stays and what turns, in words; ``names`` of the first code's units instead of their numbers from 0."""
        residual = self.figures["procrustes_residual"].value
        shared = int((self.canonical >= SHARED).sum())
        rows = np.flatnonzero(self.matches >= 0)
        strength = np.abs(self.correlations[rows, self.matches[rows]])
        same, turned = rows[strength >= SAME], rows[strength < SAME]
        units = len(self.canonical)
        told = [
            f"{shared} of {units} directions are shared up to a linear map (canonical correlation {SHARED} or more)."
        ]
        told.append(f"A rotation and one scale explain {1 - residual:.0%} of the second code.")
        called = lambda rows: listed("unit", rows) if names is None else ", ".join(names[row] for row in rows)
        named = lambda rows: ("each of " if len(rows) > 1 else "") + called(rows.tolist())
        if len(same):
            told.append(f"A single unit of the second code stands for {named(same)} of the first.")
        if len(turned):
            why = ": the space stayed and its axes turned" if shared == units else ""
            told.append(f"No single unit of the second code stands for {named(turned)} of the first{why}.")
        return tuple(told)

    def to_json(self) -> dict[str, Any]:
        return {
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "canonical": self.canonical.tolist(),
            "correlations": self.correlations.tolist(),
            "matches": self.matches.tolist(),
            "chance": self.chance,
            "sentences": list(self.sentences()),
            "warnings": list(self.warnings),
        }


def align(first: Array, second: Array, *, seed: int = 0) -> Alignment:
    """Compares two codes by a rotation, by matched units and by any linear map.

    A rotation and a scale keep what a distance in the code means, a matching keeps what a unit means; canonical
    correlation (as in SVCCA, Raghu et al. 2017, without its truncation) keeps only the space that the units span.

    Args:
        first: codes ``[N, D]``.
        second: codes ``[N, E]`` of the same examples in the same order.
        seed: of the groups that the standard errors are from.

    Raises:
        UsageError: shapes that do not match, NaN, fewer than 20 rows, or a code that never changes.
    """
    a, b = check_codes(first, "the first codes"), check_codes(second, "the second codes")
    if len(a) != len(b):
        raise UsageError(f"codes of {len(a)} and of {len(b)} examples cannot be aligned; encode the same ones.")
    for codes, what in ((a, "first"), (b, "second")):
        if (codes == codes[0]).all():
            raise UsageError(f"the {what} codes never change: there is nothing to align.")
    a, b = a - a[0], b - b[0]  # a unit that never changes is then zero, exactly, and takes no part
    count, width = len(a), max(a.shape[1], b.shape[1])
    both, split = np.concatenate([a, b], axis=1).astype(np.float64), a.shape[1]
    moments = Moments.of(both, split)
    _, rotation, _ = moments.procrustes()
    correlations, canonical = moments.correlations(), moments.canonical()
    matches = _match(correlations)
    measures: dict[str, tuple[Callable[[Moments], float], str]] = {
        "procrustes_residual": (lambda m: m.procrustes()[0], "share left by a rotation and one scale"),
        "matched_correlation": (lambda m: _matched(m.correlations()), "mean |correlation| of matched units"),
        "canonical_correlation": (lambda m: float(m.canonical().mean()), "mean canonical correlation"),
    }

    def figure(measure: Callable[[Moments], float], estimator: str) -> Figure:
        error = jackknife_error(lambda weights: measure(Moments.of(both, split, weights)), count, seed)
        return Figure(measure(moments), error, count, estimator, fixed="the trainings", caution=if_unknown(error))

    figures = {name: figure(*measure) for name, measure in measures.items()}
    told = []
    for codes, what in ((a, "first"), (b, "second")):
        if dead := np.flatnonzero((codes == codes[0]).all(axis=0)).tolist():
            told.append(f"{listed('unit', dead)} of the {what} code never change.")
    if count < ADVISED_PER_UNIT * width:
        told.append(f"{count} examples are few for {width} units: {ADVISED_PER_UNIT * width} are advised.")
    chance = math.sqrt(min(1.0, width / (count - 1)))
    return Alignment(figures, correlations, matches, canonical, rotation, chance, tuple(told))


def _match(correlations: Array) -> Array:
    from scipy.optimize import linear_sum_assignment

    matches = np.full(len(correlations), -1)
    rows, columns = linear_sum_assignment(-np.abs(correlations))
    matches[rows] = columns
    return matches


def _matched(correlations: Array) -> float:
    matches = _match(correlations)
    rows = np.flatnonzero(matches >= 0)
    return float(np.abs(correlations[rows, matches[rows]]).mean())


def reproducibility(codes: Sequence[Array], *, seed: int = 0) -> dict[str, Figure]:
    """The figures of ``align``, as means over all pairs of trainings.

    Args:
        codes: of the same examples, ``[N, D]`` for each training.
        seed: as in ``align``.

    Returns:
        Figures whose count is of trainings; the standard error is the jackknife's, each training left out in turn, and
        NaN of two.

    Raises:
        UsageError: fewer than two codes, or what ``align`` raises.
    """
    if len(codes) < 2:
        raise UsageError(f"{len(codes)} training(s) cannot be compared: give the codes of at least two.")
    runs = len(codes)
    found = {pair: align(codes[pair[0]], codes[pair[1]], seed=seed) for pair in itertools.combinations(range(runs), 2)}

    def figure(name: str) -> Figure:
        mean = lambda out: float(np.mean([a.figures[name].value for pair, a in found.items() if out not in pair]))
        without = np.array([mean(run) for run in range(runs)]) if runs > 2 else np.array([math.nan])
        error = math.sqrt((runs - 1) * without.var())
        return Figure(
            mean(None),
            error,
            runs,
            f"{found[0, 1].figures[name].estimator}, all pairs of {runs} trainings",
            over="trainings",
        )

    return {name: figure(name) for name in found[0, 1].figures}
