"""How much training there is to do, and how the learning rate follows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from zatlas.errors import UsageError


@dataclass(frozen=True)
class Budget:
    """The first of these limits that is reached ends the training.

    Args:
        steps: most steps; 0: none, for a model that is fitted in closed form.
        epochs: most passes over the training rows.
        seconds: most seconds spent in training steps (validation and writing are not counted).

    >>> Budget(steps=100).progress(step=25, epochs=0.0, seconds=0.0)
    0.25
    """

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.steps is None and self.epochs is None and self.seconds is None:
            raise UsageError("training needs a limit: give epochs, steps or seconds.")

    def progress(self, *, step: int, epochs: float, seconds: float) -> float:
        """The fraction of the budget that is used, from 0 to 1: the largest over the limits given."""
        spent = ((step, self.steps), (epochs, self.epochs), (seconds, self.seconds))
        return min(1.0, max(used / limit if limit else 1.0 for used, limit in spent if limit is not None))


Shape = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """The learning rate's factor as a function of progress: a linear rise, then a shape that ends at zero.

    A function of progress and not of the step, so that a budget in seconds decays as well as one in epochs.

    >>> Schedule("linear", warmup=0.5)(0.25), Schedule("linear", warmup=0.5)(1.0)
    (0.5, 0.0)
    """

    shape: Shape = "constant"
    warmup: float = 0.0

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        rest = (progress - self.warmup) / (1 - self.warmup)
        match self.shape:
            case "linear":
                return 1 - rest
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * rest))
            case "constant":
                return 1.0
