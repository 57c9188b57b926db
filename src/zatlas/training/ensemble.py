"""Many games at once: E games of one structure, stacked into one module that trains each as if it were alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zatlas.errors import UsageError
from zatlas.training.game import Game
from zatlas.types import Batch, Terms

Randomness = Literal["same", "different"]
INTERNAL = frozenset(vars(nn.Module())) | {"made_with"}  # what torch itself keeps in every module, and the arguments


class Ensemble(nn.Module):
    """E games as one: every parameter and buffer has the members as its first dimension, ``[E, ...]``.

    Members see the same batches. Under the ``"same"`` randomness they see the same noise too (common random
    numbers), and each is, to rounding, the game that it would have become alone from the same random state: members
    then differ by their weights and by buffers such as beta, and never by their random draws. A buffer that a game
    changes while it plays must be changed in place; each member then changes its own.

    Args:
        games: of the same modules, settings and shapes; they are copied.
        randomness: whether all members get the ``"same"`` draws, or each ``"different"`` ones.

    Raises:
        UsageError: there is no game, or one differs from the first in more than the values of its tensors.
    """

    def __init__(self, games: Sequence[Game], *, randomness: Randomness = "same") -> None:
        super().__init__()
        if not games:
            raise UsageError("an ensemble wants at least one game.")
        first, *others = games
        for number, other in enumerate(others, 1):
            _refuse_unlike(first, other, number)
        self.members = len(games)
        self.randomness = randomness
        together = zip(*(_tensors(game).values() for game in games), strict=True)
        self.stacked = _rebuilt(first, ((own[0], _like(own[0], torch.stack(own))) for own in together))

    @property
    def players(self) -> tuple[str, ...]:
        return self.stacked.players

    def owned(self, player: str) -> list[nn.Parameter]:
        """The parameters that ``player`` moves, ``[E, ...]`` each."""
        return self.stacked.owned(player)

    def plays(self, player: str, step: int) -> bool:
        """Whether it is the player's turn, in every member alike."""
        return self.stacked.plays(player, step)

    def decays(self, parameter: Tensor) -> bool:
        """What the members say of their own part of ``parameter``."""
        return self.stacked.decays(parameter[0])

    def forward(self, player: str, batch: Batch, step: Tensor | int) -> Terms:
        """The player's terms in every member, in nats per example ``[E, B]``."""

        def play(tensors: dict[str, Tensor]) -> Terms:
            return functional_call(self.stacked, tensors, (player, batch, step))

        return torch.vmap(play, randomness=self.randomness)(_tensors(self.stacked))

    def clip(self, parameters: Iterable[nn.Parameter], largest: float) -> Tensor:
        """Scales each member's gradient down to a norm of ``largest``, and gives the norms that they had, ``[E]``."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        norms = torch.stack([g.reshape(self.members, -1).norm(dim=1) for g in gradients]).norm(dim=0)
        if norms.device.type != "cpu" or not (norms <= largest).all():
            factors = (largest / (norms + 1e-6)).clamp_max(1.0)
            for gradient in gradients:
                gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
        return norms

    def member(self, index: int) -> Game:
        """A copy of one member as a game of its own."""
        if not 0 <= index < self.members:
            raise IndexError(f"an ensemble of {self.members} has no member {index}")
        return _rebuilt(self.stacked, ((own, _like(own, own[index])) for own in _tensors(self.stacked).values()))


def _tensors(game: Game) -> dict[str, Tensor]:
    return dict(chain(game.named_parameters(), game.named_buffers()))


def _like(model: Tensor, values: Tensor) -> Tensor:
    """A copy of ``values`` that is a parameter where ``model`` is one."""
    values = values.detach().clone()
    return nn.Parameter(values, model.requires_grad) if isinstance(model, nn.Parameter) else values


def _rebuilt(game: Game, exchanges: Iterable[tuple[Tensor, Tensor]]) -> Game:
    """A copy of ``game`` with other tensors wherever its own stood, also where one of them stood in several places."""
    kept = list(exchanges)
    return copy.deepcopy(game, {id(own): other for own, other in kept})


def _refers(value: Any) -> bool:
    """Whether a module keeps another one in sight without owning it, as a prior may its model's encoder."""
    return isinstance(value, tuple) and any(isinstance(item, nn.Module) for item in value)


def _structure(game: Game) -> dict[str, Any]:
    """What members must have in common: by name the modules' classes, their settings, and the tensors' shapes."""
    found: dict[str, Any] = {}
    for name, module in game.named_modules():
        found[name] = type(module).__qualname__
        settings = {k: v for k, v in vars(module).items() if k not in INTERNAL and not _refers(v)}
        found |= {f"{name}.{key}": value for key, value in settings.items()}
    for name, t in _tensors(game).items():
        found[name] = f"{str(t.dtype).removeprefix('torch.')} {list(t.shape)} on {t.device}"
        found[f"{name}.requires_grad"] = t.requires_grad
    return found


def _refuse_unlike(first: Game, other: Game, number: int) -> None:
    ours, theirs = _structure(first), _structure(other)
    for name in [*ours, *theirs]:
        if name not in theirs:
            raise UsageError(f"these games cannot be stacked: game {number} has no {name}, which game 0 has.")
        if name not in ours:
            raise UsageError(f"these games cannot be stacked: game {number} has {name}, which game 0 has not.")
        if ours[name] != theirs[name]:
            raise UsageError(
                f"these games cannot be stacked: {name} is {ours[name]} in game 0 and {theirs[name]} in game {number}."
            )
