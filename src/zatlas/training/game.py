"""A game: a model and an objective. It is what gets averaged, stacked, compiled and checkpointed."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zatlas.objectives import Objective
from zatlas.types import Batch, Terms


class Game(nn.Module):
    """Model and objective as one module.

    Args:
        model: infers, generates, or both.
        objective: names the players and their losses.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model: Any = model
        self.objective = objective

    @property
    def players(self) -> tuple[str, ...]:
        return tuple(self.objective.players)

    def owned(self, player: str) -> list[nn.Parameter]:
        """The parameters that ``player`` moves."""
        prefix = self.objective.players[player]
        return [p for name, p in self.named_parameters() if name.startswith(prefix) and p.requires_grad]

    def forward(self, player: str, batch: Batch, step: Tensor | int) -> Terms:
        """The player's terms, in nats per example ``[B]``."""
        return self.objective(player, self.model, batch, step)
