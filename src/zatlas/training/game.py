"""A game: a model and an objective. It is what gets averaged, stacked, compiled and checkpointed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from zatlas.objectives import Objective
from zatlas.types import Batch, Generates, Terms


class Game(nn.Module):
    """Model and objective as one module.

    Args:
        model: infers, generates, or both.
        objective: names the players and their losses.
    """

    def __init__(self, model: Generates, objective: Objective) -> None:
        super().__init__()
        self.model: Generates = model
        self.objective = objective

    @property
    def players(self) -> tuple[str, ...]:
        return tuple(self.objective.players)

    def owned(self, player: str) -> list[nn.Parameter]:
        """The parameters that ``player`` moves: those to which its prefix is the longest that fits."""
        prefixes = self.objective.players
        owner = lambda name: max((p for p in prefixes.values() if name.startswith(p)), key=len, default=None)
        return [p for name, p in self.named_parameters() if owner(name) == prefixes[player] and p.requires_grad]

    def plays(self, player: str, step: int) -> bool:
        """Whether it is the player's turn at this step."""
        return self.objective.plays(player, step)

    def forward(self, player: str, batch: Batch, step: Tensor | int) -> Terms:
        """The player's terms, in nats per example ``[B]``."""
        return self.objective(player, self.model, batch, step)

    def decays(self, parameter: Tensor) -> bool:
        """Whether weight decay takes it: a matrix or a kernel, for a bias, an offset or a sigma need not be small."""
        return parameter.dim() >= 2

    def clip(self, parameters: Sequence[nn.Parameter], largest: float) -> Tensor:
        """Scales the joint gradient of ``parameters`` down to a norm of ``largest``, and gives the norm it had, ``[]``.

        On the CPU the norm is looked at first: most gradients need no scaling, and a pass over them costs as much as
        the optimiser's. A GPU would have to wait for the answer, so there every gradient is scaled.
        """
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if norm.device.type != "cpu" or norm.item() > largest:
            nn.utils.clip_grads_with_norm_(parameters, largest, norm)
        return norm
