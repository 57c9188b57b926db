"""What every measure of disentanglement hands back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.evaluation.figure import Figure

Array = npt.NDArray[Any]

BOOTSTRAP_DRAWS = 50


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


def bootstrap_error(statistic: Callable[[Array], float], count: int, seed: int) -> float:
    """Standard deviation of ``statistic(weights [N])`` when the N points are drawn again with replacement."""
    rng = np.random.default_rng(seed)
    values = [
        statistic(np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64))
        for _ in range(BOOTSTRAP_DRAWS)
    ]
    return float(np.std(values, ddof=1))


def binomial_error(accuracy: float, count: int) -> float:
    """Standard error of a share of ``count`` independent trials."""
    return math.sqrt(accuracy * (1 - accuracy) / count)
