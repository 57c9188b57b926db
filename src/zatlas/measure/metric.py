"""What a metric is: a name, when to ask for it, what a model lacks for it, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zatlas.data import Rows
from zatlas.errors import ZatlasError
from zatlas.evaluation import Figure
from zatlas.runs.opened import Run

Progress = Callable[[float], None]


class Refused(ZatlasError):
    """A metric whose figures would mislead; the message is a clause that says why, and what to do instead."""


@dataclass(frozen=True)
class Options:
    """What a person may say of how much is computed.

    Attributes:
        rows: at most so many examples; None: the metric's own number.
        samples: draws, chains' temperatures or the like for each example; None: the metric's own number.
        seed: of all draws.
        prior: the kind of ex-post prior that examples are drawn from, by metrics that look at draws; None: the model's
            own.
        guidance: of that prior, towards every class in turn.
    """

    rows: int | None = None
    samples: int | None = None
    seed: int = 0
    prior: str | None = None
    guidance: float | None = None

    def named(self, metric: str) -> str:
        """The metric with what it is of, as its figures are kept: those of several priors stand side by side.

        >>> Options().named("samples"), Options(prior="flow-matching", guidance=2.0).named("samples")
        ('samples', 'samples of flow-matching, guidance 2')
        """
        towards = "" if self.guidance is None else f", guidance {self.guidance:g}"
        return metric if self.prior is None else f"{metric} of {self.prior}{towards}"


@dataclass(frozen=True)
class Found:
    """What a metric found: its figures, and what else is worth keeping, as JSON holds it."""

    figures: dict[str, Figure]
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        when: what it tells, one line.
        lacks: what a run has not that it needs, as a reason; None where nothing lacks.
        measure: the figures over some rows; it is told when each example is done, and may raise :class:`Refused`.
        rows: at most so many examples unless more are asked for, or what says how many; None: all.
        usual: whether it belongs to the default set.
        draws: whether it looks at new examples, for which another prior may be named.
    """

    when: str
    lacks: Callable[[Run], str | None]
    measure: Callable[[Run, Rows, Options, Progress], Found]
    rows: int | Callable[[Run, Options], int] | None = None
    usual: bool = False
    draws: bool = False

    def count(self, run: Run, options: Options) -> int | None:
        """How many examples are measured; None: all."""
        if options.rows or not callable(self.rows):
            return options.rows or self.rows  # type: ignore[return-value]
        return self.rows(run, options)
