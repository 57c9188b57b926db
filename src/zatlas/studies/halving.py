"""Which members are hopeless: asynchronous successive halving over rungs of validation loss."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from zatlas.studies.plan import Halving


class Board:
    """The losses at each rung, of members that may be compared.

    A member goes on from a rung if its loss is among the best 1/factor of those that have reached it so far (Li et al.
    2020, "A system for massively parallel hyperparameter tuning", algorithm 2; a member is stopped where they would
    not promote it). The first factor - 1 members of a rung go on whatever they have. Losses of other data, another
    objective or another likelihood are other quantities: they are never compared.

    Args:
        halving: its factor and rungs.

    >>> board = Board(Halving(factor=2))
    >>> [board.goes_on(key, "same", 0, loss) for key, loss in (("a", 3.0), ("b", 2.0), ("c", 4.0))]
    [True, True, False]
    """

    def __init__(self, halving: Halving) -> None:
        self.halving = halving
        self._losses: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)

    def restore(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Restores the state that a journal records."""
        for event in events:
            if event["event"] == "rung":
                self._losses[event["bracket"], event["rung"]].setdefault(event["key"], event["loss"])

    def goes_on(self, key: str, bracket: str, rung: int, loss: float) -> bool:
        """Whether a member whose loss is this at a rung is trained further.

        A member that is resumed asks again, and is compared by the loss that it had there first.
        """
        losses = self._losses[bracket, rung]
        loss = losses.setdefault(key, loss)
        if len(losses) < self.halving.factor:
            return True
        kept = max(1, len(losses) // self.halving.factor)
        return sum(other < loss for other in losses.values()) < kept
