"""What an objective is: it names its players and gives each one's loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from zatlas.parts import Remembers
from zatlas.types import Batch, Infers, Terms


class Objective(Remembers, nn.Module, ABC):
    """A loss in nats per example for every player, as a function of (model, batch, step) alone.

    Weights such as beta are buffers, so that objectives of different weights can be stacked and trained at once.

    Attributes:
        players: each player's name and the prefix of the parameters that it owns within the game; of two prefixes
            that fit, the longer one counts. The first player is the one that validation scores.
        unit: of the losses; empty where they are in units of a critic's own.
        couples: whether the mean loss of a batch is something else than the mean of those of its parts, as where a
            covariance over the batch is charged; such a batch cannot be cut among workers.
    """

    players: ClassVar[Mapping[str, str]] = {"model": "model."}
    unit: ClassVar[str] = "nats"
    couples: bool = False

    def plays(self, player: str, step: int) -> bool:
        """Whether it is the player's turn at this step; every player's at every step, unless an objective says not."""
        return True

    @abstractmethod
    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        """The terms of ``player`` for ``batch`` ``[B, *data]`` at ``step`` (0 is the first)."""
