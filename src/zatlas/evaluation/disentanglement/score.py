"""What every measure of disentanglement returns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.figure import Figure

JACKKNIFE_GROUPS = 20


@dataclass(frozen=True, eq=False)
class Score:
    """A figure, what it is made of, and what to know before quoting it.

    Attributes:
        figure: the score, with its standard error (NaN where nothing cheap gives one) and how many points it is from.
        parts: other numbers of the same measure, by name.
        matrices: what the score was read off, by name: ``[D, F]`` over units and factors, or ``[F]``, ``[D]``.
        warnings: sentences; empty where nothing is amiss.
    """

    figure: Figure
    parts: Mapping[str, float]
    matrices: Mapping[str, Array]
    warnings: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        return self.figure.value

    def to_json(self) -> dict[str, Any]:
        return {
            **self.figure.to_json(),
            "parts": dict(self.parts),
            "matrices": {name: matrix.tolist() for name, matrix in self.matrices.items()},
            "warnings": list(self.warnings),
        }


def top_gap(matrix: Array) -> Array:
    """The best unit's lead over the second best for each factor, ``[D, F] -> [F]``; a lone unit leads over zero."""
    ordered = np.sort(matrix, axis=0)
    return ordered[-1] - (ordered[-2] if len(ordered) > 1 else 0.0)


def left_out_error(found: Mapping[tuple[int, ...], float], groups: int) -> float:
    r"""Standard error of a statistic, from its values once no group of the data, each group, each pair is left out.

    .. math:: V = \frac{G - 1}{G} \sum_g (\theta_{-g} - \bar\theta)^2
              - \sum_{g < h} (\delta_{gh} - \bar\delta)^2,\qquad
              \delta_{gh} = \theta - \theta_{-g} - \theta_{-h} + \theta_{-gh}

    The first sum is Tukey's, which counts what is quadratic in the data twice (Efron & Stein 1981); the second takes it
    off once (Hinkley 1978). V lies between half the first sum and all of it. The bootstrap counts it three times: its
    error of the MIG of unrelated codes was 1.9 times their spread over data sets.
    """
    first, quadratic = _parts(found, groups)
    return math.sqrt(min(max(first - quadratic, first / 2), first))


def _parts(found: Mapping[tuple[int, ...], float], groups: int) -> tuple[float, float]:
    """The two sums of ``left_out_error``."""
    without = np.array([found[g,] for g in range(groups)])
    pairs = [found[()] - without[g] - without[h] + found[g, h] for g, h in itertools.combinations(range(groups), 2)]
    return (groups - 1) * float(without.var()), len(pairs) * float(np.var(pairs))


def jackknife_error(statistic: Callable[[Array], float], count: int, seed: int) -> float:
    """``left_out_error`` of ``statistic(weights [N])``, over N points in groups drawn by ``seed``.

    NaN where the second sum is larger than the first: a lead of the best over the second best, where which is best is
    open, is no smooth function of the data, and no resampling is known to give its error. Of unrelated codes it was
    still twice the spread over data sets.
    """
    group = np.random.default_rng(seed).permutation(count) % JACKKNIFE_GROUPS
    every = range(JACKKNIFE_GROUPS)
    left_out = ((), *((g,) for g in every), *itertools.combinations(every, 2))
    found = {out: statistic(np.isin(group, out, invert=True).astype(np.float64)) for out in left_out}
    first, quadratic = _parts(found, JACKKNIFE_GROUPS)
    return left_out_error(found, JACKKNIFE_GROUPS) if quadratic <= first else math.nan


def if_unknown(error: float) -> str:
    """The caution of a figure whose error ``jackknife_error`` does not know; empty where it does."""
    return "Its standard error is not known: it changes too abruptly with the points." * math.isnan(error)


def binomial_error(accuracy: float, count: int) -> float:
    """Standard error of a share of ``count`` independent trials.

    One more right and one more wrong are counted with them, or a share of 1 would be given as certain.
    """
    share = (accuracy * count + 1) / (count + 2)
    return math.sqrt(share * (1 - share) / count)
