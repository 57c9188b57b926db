"""Data-parallel training: each process has its rows of every batch, and all end where one would have ended.

Gradients travel by torch's DistributedDataParallel. Noise is drawn in every process for the rows of all of them and cut
as the batch is, so it is a function of the row and not of the process.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from zatlas.data.cutting import Cut
from zatlas.errors import UsageError
from zatlas.training.game import Game
from zatlas.training.loop import LOG_POINTS, Trainer
from zatlas.training.randomness import forked_rng
from zatlas.training.state import State
from zatlas.training.team import Team
from zatlas.types import Batch, Terms

_SHAPED = (torch.rand, torch.randn)
_LIKE = {torch.rand_like: torch.rand, torch.randn_like: torch.randn}
_STEP = 10**6  # at which schedules of an objective are over
_PROBED = 64  # rows with which a game is asked whether they can be cut
_CLOSE = 3e-4  # of the loss, and of the largest gradient: float32 sums in another order differ by 1e-5


class RowNoise(TorchFunctionMode):
    """Draws for the rows of this process are those that one process would make for them.

    While it is active ``torch.rand`` and ``torch.randn`` (and their ``_like``) of a shape that has this process's rows
    as an axis, ``[B, ...]`` or ``[K, B, ...]``, draw for the rows of all processes and keep their own. What draws in
    another way, as dropout does, is left alone: there each process draws the same for its first row, its second, ...

    Args:
        cut: whose batch was shown last.
    """

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.cut = cut

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _LIKE:
            like = args[0]
            return self._draw(_LIKE[func], tuple(like.shape), {"dtype": like.dtype, "device": like.device, **kwargs})
        if func in _SHAPED:
            size = kwargs.pop("size", None) or args
            shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
            return self._draw(func, shape, kwargs)
        return func(*args, **kwargs)

    def _draw(self, draw: Callable[..., Tensor], shape: tuple[int, ...], kwargs: dict[str, Any]) -> Tensor:
        rows = self.cut.rows(self.cut.whole)
        here = rows.stop - rows.start
        axes = [axis for axis in ((1, 0) if len(shape) > 2 else (0, 1)) if axis < len(shape) and shape[axis] == here]
        if not axes or not self.cut.whole:
            return draw(shape, **kwargs)
        whole = (*shape[: axes[0]], self.cut.whole, *shape[axes[0] + 1 :])
        return draw(whole, **kwargs)[(slice(None),) * axes[0] + (rows,)].contiguous()


class _Player(nn.Module):
    """What one player does, as a module of its own parameters alone: DistributedDataParallel waits for every one."""

    def __init__(self, game: Game, player: str) -> None:
        super().__init__()
        self.owned = nn.ParameterList(game.owned(player))
        self._play = lambda batch, step: game(player, batch, step)

    def forward(self, batch: Batch, step: int) -> Terms:
        terms = self._play(batch, step)
        return Terms(terms.loss, {name: part.detach() for name, part in terms.parts.items()})


class DistributedTrainer(Trainer):
    """A :class:`~zatlas.training.Trainer` that is one of several, all of which take the same steps.

    Losses, stopping and the learning rate are the same in all of them. Watchers are those of process 0.

    Args:
        team: the processes.
        cut: that of the batches.
        arguments: as the Trainer's.
    """

    def __init__(self, *arguments: Any, team: Team, cut: Cut, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.team, self.cut = team, cut
        self._stop, self._wish = False, ""
        self._asked: Callable[[], bool] = lambda: False
        batch = next(iter(self.batches.epoch(0)))
        self._players = {
            player: DistributedDataParallel(
                _Player(self.game, player),  # type: ignore[arg-type]
                find_unused_parameters=_sits_out(self.game, player, batch),  # type: ignore[arg-type]
            )
            for player in self.game.players
        }

    def fit(self) -> State:
        """See :meth:`Trainer.fit`; all processes begin where process 0 stands.

        Raises:
            Lost: another process died or hangs.
        """
        stands = (self.tensors(), self.snapshot()) if self.team.rank == 0 else None
        tensors, snapshot = self.team.share(stands)
        if self.team.rank:
            self.restore(tensors, snapshot)
        with self.team.watched():
            return super().fit()

    def play(self, player: str, batch: Batch) -> Terms:
        with RowNoise(self.cut):
            terms = self._players[player](batch, self.state.own_step)
        # the mean over processes of these is the mean over the rows of all
        weight = self.cut.weight
        if weight == 1:
            return terms
        return Terms(terms.loss * weight, {name: part * weight for name, part in terms.parts.items()})

    def took(self, mark: float) -> float:
        told = (time.perf_counter() - mark if self.team.rank == 0 else 0.0, self._asked(), bool(self._wish))
        seconds, asked, wished = self.team.total([float(number) for number in told])
        self._stop = asked > 0
        if wished:
            self.state.stopped = self.team.share(self._wish)
        return seconds

    def _epoch(self, interrupted: Callable[[], bool]) -> None:
        self._asked = interrupted
        super()._epoch(self._stops)

    def _stops(self) -> bool:
        """Whether all stop now; that a watcher of process 0 wants to is told to the others in the next step."""
        stopped = self.state.stopped
        if stopped is not None and stopped not in (self._enough(), self._wish):
            self._wish, self.state.stopped = stopped, None
        return self._stop

    def _after_step(self, before: float, after: float) -> None:
        rows = self.cut.rows(self.cut.whole)
        self.state.examples += self.cut.whole - (rows.stop - rows.start)
        if int(after * LOG_POINTS) > int(before * LOG_POINTS) or after >= 1 > before:
            means = self.team.total([float(value) / self.team.world for value in self._sums.values()])
            self._sums = dict(zip(self._sums, means, strict=True))
        super()._after_step(before, after)


def _sits_out(game: Game, player: str, batch: Batch) -> bool:
    """Whether some of a player's parameters have no part in its loss; to look for them in each step takes time."""
    copied = copy.deepcopy(game).train()
    with forked_rng(batch.x.device):
        loss = copied(player, batch, _STEP).loss.mean()
    found = torch.autograd.grad(loss, copied.owned(player), allow_unused=True)
    return any(each is None for each in found)


def means_of_all(measure: Callable[[], dict[str, float]], batches: Any, team: Team, size: int) -> dict[str, float]:
    """Means over all rows, each process measuring its own.

    Args:
        measure: gives means over the rows that ``batches`` shows here.
        batches: cut among the processes.
        team: the processes.
        size: rows of a batch.
    """
    cut, rows = batches.cut, len(batches)
    full, rest = divmod(rows, size)
    here = full * cut.count(size) + cut.count(rest)
    with RowNoise(cut):
        values = measure() if here else {}
    return team.mean(values, here)


def check_can_be_cut(game: Game, batch: Batch, who: str) -> None:
    """Refuses a game whose gradient over a batch is not the mean of those over its rows.

    Losses that say so (``objective.couples``), batch normalisation, and state that follows the batch are refused at
    once; anything else, as an objective of a person's own, is asked with a batch and its two halves.

    Raises:
        UsageError: its rows cannot be cut among workers.
    """
    mend = "train it by one worker, or several models at once by zatlas study"
    if game.objective.couples:
        raise UsageError(
            f"{who} looks at the examples of a batch together, so that they cannot be cut among workers: {mend}."
        )
    kinds = [type(module) for module in game.modules()]
    if any(issubclass(kind, nn.modules.batchnorm._BatchNorm) for kind in kinds):
        raise UsageError(f"{who} normalises over a batch, which cannot be cut among workers: {mend}.")
    if len(batch.x) < 2 or any(issubclass(kind, nn.modules.dropout._DropoutNd) for kind in kinds):
        return
    batch = Batch(batch.x[:_PROBED], None if batch.y is None else batch.y[:_PROBED])
    for player in game.players:
        whole, halves = (_asked(game, player, batch, parts) for parts in (1, 2))
        if whole is None or halves is None or not all(map(_close, whole, halves)):
            raise UsageError(
                f"{who} has another loss or gradient over a batch than over its two halves, so that it cannot be cut "
                f"among workers: {mend}."
            )


def _close(whole: Tensor, halves: Tensor) -> bool:
    return bool((whole - halves).abs().max() <= _CLOSE * whole.abs().max() + 1e-9)


def _asked(game: Game, player: str, batch: Batch, parts: int) -> tuple[Tensor, Tensor] | None:
    """The player's mean loss and its gradient, over a batch that is cut into parts; None where the game's own state
    follows the batch."""
    n, total, value = len(batch.x), torch.zeros(()), torch.zeros(())
    for rank in range(parts):
        cut = Cut(rank, parts, whole=n)
        rows, copied = cut.rows(n), copy.deepcopy(game).train()
        before = {name: buffer.clone() for name, buffer in copied.named_buffers()}
        part = Batch(batch.x[rows], None if batch.y is None else batch.y[rows])
        with forked_rng(batch.x.device, seed=0), RowNoise(cut):
            loss = copied(player, part, _STEP).loss.mean() * cut.weight / parts
        owned = copied.owned(player)
        found = torch.autograd.grad(loss, owned, allow_unused=True)
        flat = [torch.zeros_like(p) if g is None else g for p, g in zip(owned, found, strict=True)]
        total = total.to(batch.x.device) + torch.cat([each.flatten() for each in flat])
        value = value.to(batch.x.device) + loss.detach()
        if any(not torch.equal(before[name], buffer) for name, buffer in copied.named_buffers()):
            return None
    return value, total
