"""How much memory a training step takes, found before it is made.

A copy of the game plays on two to eight examples, and the bytes that are held after every operator are counted.
A batch of any size meets the same operators, so what is held after one of them is a polynomial in the number of
examples, of degree two where a loss compares them in pairs; a step takes the largest of these polynomials. Peaks alone
would not do: on few examples the peak is among the gradients of the weights, on many where the backward pass begins.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from zatlas.training.game import Game
from zatlas.training.operators import Operators
from zatlas.training.precision import Precision, autocast
from zatlas.training.randomness import forked_rng
from zatlas.types import Batch

COUNTED = (2, 4, 6, 8)  # examples; of one alone the layout in memory is ambiguous, and it has no batch statistics
LATE = 10**9  # a step after all schedules, when every part of a loss is at work
HELD = 8  # tensors as large as its output that a layer may hold at once, with gradients and what operators set aside


class _Held(Operators):
    """Bytes of the tensors that operators have made and that are still held, after each of them."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self._known = {StorageWeakRef(tensor.untyped_storage()) for tensor in known}
        self._live: dict[StorageWeakRef, int] = {}
        self.trace: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for gone in [ref for ref in self._live if ref.expired()]:
            del self._live[gone]
        for made in out if isinstance(out, tuple | list) else (out,):
            if isinstance(made, Tensor):
                storage = made.untyped_storage()
                if (ref := StorageWeakRef(storage)) not in self._known:
                    self._live[ref] = storage.nbytes()
        self.trace.append(sum(self._live.values()))
        return out


@dataclass(frozen=True)
class Reckoned:
    """What one pass takes, from what it took on a few examples.

    Attributes:
        sizes: numbers of examples that were tried.
        traces: of each of them the bytes that were held, operator by operator ``[T]``.
    """

    sizes: tuple[int, ...]
    traces: tuple[npt.NDArray[np.int64], ...]

    def bytes(self, rows: int) -> int:
        """The most that is held at once on so many examples.

        >>> two, four = np.array([20, 50]), np.array([40, 60])
        >>> Reckoned((2, 4), (two, four)).bytes(10)
        100
        """
        traces = [trace.astype(np.float64) for trace in self.traces]
        if len({len(trace) for trace in traces}) > 1:  # not the same operators: the peaks are all there is
            traces = [trace.max(keepdims=True) for trace in traces]
        sizes, last = self.sizes, len(traces) - 1
        if last == 0:
            return int(traces[0].max() * rows / sizes[0])
        found = _through(sizes, traces, (0, last), rows)
        if last == 3:
            # curved only where a fourth size confirms it: what is held by accident would be multiplied by thousands
            curved = np.abs(_through(sizes, traces, (0, 1, 3), sizes[2]) - traces[2]) < 1
            found = np.where(curved, _through(sizes, traces, (0, 1, 3), rows), found)
        return int(max(found.max(), 0))

    def rows(self, room: int) -> int:
        """The most examples that fit into so many bytes; 0 where one does not.

        >>> Reckoned((2, 4), (np.array([20]), np.array([40]))).rows(105)
        10
        """
        low, high = 0, 1
        while high < 1 << 40 and self.bytes(high) <= room:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.bytes(middle) <= room else (low, middle)
        return low


def _through(
    sizes: Sequence[int], traces: Sequence[npt.NDArray[np.float64]], chosen: Sequence[int], rows: int
) -> npt.NDArray[np.float64]:
    """At ``rows``, Lagrange's polynomials through the traces of the chosen sizes, one for every operator."""
    found = np.zeros_like(traces[0])
    for number in chosen:
        others = (sizes[place] for place in chosen if place != number)
        found = found + traces[number] * math.prod((rows - other) / (sizes[number] - other) for other in others)
    return found


def at_most(game: nn.Module, batch: Batch, *, rows: int, samples: int = 1) -> int:
    """An upper bound of what a step takes, in bytes, from the shapes of the weights alone.

    Every convolution counts as if it were at the full size of the image.

    Args:
        game: what plays.
        batch: one of its batches.
        rows: examples in a step.
        samples: K, decoded for each of them.
    """
    places = math.prod(batch.x.shape[2:]) if batch.x.dim() == 4 else 1
    values = batch.x[0].numel()
    for weight in game.parameters():
        if weight.dim() >= 2:
            values += max(weight.shape[:2]) * (places if weight.dim() > 2 else 1)
    return 4 * HELD * values * rows * samples + 2 * weight_bytes(game)


def weight_bytes(game: nn.Module) -> int:
    """Bytes of the parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in [*game.parameters(), *game.buffers()])


def step_memory(game: Game, batch: Batch, *, precision: Precision = "fp32", room: float = math.inf) -> Reckoned:
    """What a step of every player takes beside weights and optimiser: activations, and gradients of all of them.

    Nothing changes: it is a copy that plays, and the random state is put back.

    Args:
        game: what plays.
        batch: one of its batches, of any size.
        precision: of the networks.
        room: bytes that are free; no more examples are tried than take half of them.
    """

    def play(own: Game, some: Batch) -> None:
        own.train()
        for player in own.players:
            with autocast(some.x.device, precision):
                loss = own(player, some, LATE).loss.sum()
            torch.autograd.grad(loss, own.owned(player), allow_unused=True)

    return _reckoned(game, batch, play, room)


def look_memory(game: Game, batch: Batch, *, precision: Precision = "fp32", room: float = math.inf) -> Reckoned:
    """What a look at held-out examples takes, without gradients; arguments as for :func:`step_memory`."""

    def play(own: Game, some: Batch) -> None:
        own.eval()
        with torch.no_grad(), autocast(some.x.device, precision):
            own(own.players[0], some, LATE)

    return _reckoned(game, batch, play, room)


def _reckoned(game: Game, batch: Batch, play: Callable[[Game, Batch], None], room: float) -> Reckoned:
    sizes: list[int] = []
    traces: list[npt.NDArray[np.int64]] = []
    with forked_rng(batch.x.device):
        for size in COUNTED:
            if traces and 2 * int(traces[-1].max()) > room / 2:
                break
            own, some = copy.deepcopy(game), first_rows(batch, size)  # a game may change its buffers as it plays
            held = _Held([*own.parameters(), *own.buffers(), *(t for t in some if t is not None)])
            with held:
                play(own, some)
            sizes.append(size)
            traces.append(np.array(held.trace))
    return Reckoned(tuple(sizes), tuple(traces))


def first_rows(batch: Batch, rows: int) -> Batch:
    """So many examples of a batch, from its first on again where it has fewer."""
    chosen = torch.arange(rows, device=batch.x.device) % len(batch.x)
    return Batch(batch.x[chosen], None if batch.y is None else batch.y[chosen])


def even(rows: int) -> int:
    """A batch size that people write, not above ``rows``.

    >>> [even(rows) for rows in (5, 21, 100, 700)]
    [5, 20, 96, 640]
    """
    unit: int = next((unit for least, unit in _UNITS if rows >= least), 1)
    return rows // unit * unit


_UNITS: Sequence[tuple[int, int]] = ((512, 128), (64, 32), (16, 4))


class TooLarge(MemoryError):
    """More bytes were asked for than may be had; ``wanted`` is how many so far."""

    def __init__(self, wanted: int) -> None:
        super().__init__(f"out of memory: {wanted:,} bytes are wanted")
        self.wanted = wanted


class Allotted(Operators):
    """Lets new tensors, as those of weights, take so many bytes together, and raises before one takes more.

    The system would often grant it, as most of what is asked for is never used, and end the process later.

    Raises:
        TooLarge: in the place of an operator that makes the tensor.

    >>> with Allotted(4 << 20):
    ...     torch.empty(2 << 20).sum()
    Traceback (most recent call last):
      ...
    zatlas.training.memory.TooLarge: out of memory: 8,388,608 bytes are wanted
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.taken = most, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in _MAKERS and args and isinstance(args[0], tuple | list):
            wanted = math.prod(args[0]) * ((kwargs or {}).get("dtype") or torch.get_default_dtype()).itemsize
            if wanted >= _LARGE:
                self.taken += wanted
                if self.taken > self.most:
                    raise TooLarge(self.taken)
        return func(*args, **(kwargs or {}))


_MAKERS, _LARGE = {"empty", "zeros", "ones", "full", "rand", "randn"}, 1 << 20
