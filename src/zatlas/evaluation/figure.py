"""What every measure returns: a number with its unit, its error, what it is a mean over, and what to know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Figure:
    """A number with its error, and the words that are printed beside it.

    Attributes:
        value: in ``unit``.
        standard_error: in ``unit``; NaN where nothing gives one.
        count: n, how many ``over`` it is from.
        estimator: how it was computed, in words.
        unit: ``"nats"``, ``"bits per dimension"``, ``"dB"``, ...; empty for pure numbers such as shares and counts.
        over: what ``count`` counts: ``"examples"``, ``"samples"``, ``"factors"``, ...
        fixed: what the standard error holds fixed, as in ``"the reference images"``; empty: the weights only.
        caution: a sentence without which the number misleads; empty where there is none.
        samples: draws per example where it is a point of a curve over their number; 0 for any other figure.
    """

    value: float
    standard_error: float
    count: int
    estimator: str
    unit: str = ""
    over: str = "examples"
    fixed: str = ""
    caution: str = ""
    samples: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "standard_error": None if math.isnan(self.standard_error) else self.standard_error,
            "count": self.count,
            "estimator": self.estimator,
            "unit": self.unit,
            "over": self.over,
            **({"fixed": self.fixed} if self.fixed else {}),
            **({"caution": self.caution} if self.caution else {}),
            **({"samples": self.samples} if self.samples else {}),
        }


def mean_figure(
    values: Tensor,
    estimator: str,
    *,
    unit: str = "nats",
    over: str = "examples",
    fixed: str = "",
    caution: str = "",
    samples: int = 0,
) -> Figure:
    """Mean and standard error of independent values ``[N]``."""
    values = values.double()
    count = len(values)
    error = values.std().item() / math.sqrt(count) if count > 1 else math.nan
    return Figure(values.mean().item(), error, count, estimator, unit, over, fixed, caution, samples)


def bits_per_dimension(figure: Figure, size: int) -> Figure:
    """A mean log probability in nats as the bits that one of ``size`` values costs: -value / (size ln 2).

    >>> round(bits_per_dimension(Figure(-64 * math.log(256), 0.0, 1, "exact", "nats"), 64).value, 9)
    8.0
    """
    per = size * math.log(2)
    return replace(
        figure,
        value=-figure.value / per,
        standard_error=figure.standard_error / per,
        estimator=f"{figure.estimator}; over {size} values",
        unit="bits per dimension",
    )
