"""Who is told how a training goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zatlas.training.loop import Trainer


class Watcher:
    """Is told what happens; each method may be left as it is. What a method raises ends the training.

    started: before the first step, also of a resumed training; ``trainer.state.step`` says which that is.
    stepped: after every step of all players.
    recorded: a record for metrics.jsonl, ``{"step", "epoch", "seconds", "split", "loss", ...}`` in nats per example,
        of ``split`` train (a mean over the steps since the last record, with the learning rate) or validation.
    validated: after a validation; ``improved``: its loss is the best so far.
    begun_again: after a validation that showed overfitting: the weights are the first ones again, and the schedule is
        shorter; ``trainer.state.span`` says how many steps it has.
    finished: after the last step; ``trainer.state.stopped`` says why it was the last.
    close: nothing more will come, whether the training finished, failed or was interrupted.
    """

    def started(self, trainer: Trainer) -> None: ...
    def stepped(self, trainer: Trainer) -> None: ...
    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None: ...
    def validated(self, trainer: Trainer, improved: bool) -> None: ...
    def begun_again(self, trainer: Trainer) -> None: ...
    def finished(self, trainer: Trainer) -> None: ...
    def close(self) -> None: ...
