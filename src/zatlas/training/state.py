"""Where a training stands, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class State:
    """Where training stands; with the tensors of :meth:`Trainer.tensors` it is all that resuming needs."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    seconds: float = 0.0
    examples: int = 0
    best_loss: float | None = None
    best_step: int = 0
    validations: int = 0
    stale: int = 0
    stopped: str | None = None
    due: bool = False  # a validation was put off, as it would have cost more than its share
    train_loss: float | None = None  # of the last record
    beginnings: int = 1
    begun_step: int = 0  # where the present beginning stands, and how many steps it has; None: the budget's
    begun_seconds: float = 0.0
    span: int | None = None
    curve: list[list[float]] = field(default_factory=list)  # since: own step, validation loss, training loss

    @property
    def own_step(self) -> int:
        """Steps since the present beginning."""
        return self.step - self.begun_step
