"""Device, precision and threads: chosen by what the machine is, and by what it is measured to do faster."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from zatlas.errors import UsageError
from zatlas.training.game import Game
from zatlas.types import Batch

Precision = Literal["fp32", "bf16"]


def choose_device(name: str) -> torch.device:
    """``"auto"`` is cuda, then mps, then cpu; anything else is taken by its word.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"there is no device {name!r} on this machine; give auto, cpu, cuda or mps.") from None
    return device


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """bfloat16 inside networks, or nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _seconds(game: Game, batch: Batch, device: torch.device, precision: Precision) -> float:
    """The best of a few gradients, the first of which warms up; slow ones are not repeated."""
    best, spent = float("inf"), 0.0
    for repeat in range(5):
        start = time.perf_counter()
        for player in game.players:
            with autocast(device, precision):
                loss = game(player, batch, 0).loss.sum()
            torch.autograd.grad(loss, game.owned(player), allow_unused=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
        if repeat and spent > 0.3:
            break
    return best


def runnable(threads: int) -> int:
    """So many threads, or as many as can be had: a runtime that cannot start one ends the process without a word.

    64 are started anywhere, so that a run made on a larger machine is repeated bit for bit on a smaller one.
    """
    return min(threads, max(64, os.cpu_count() or 1))


@contextmanager
def using_threads(threads: int | None) -> Iterator[None]:
    """Runs torch's operators on so many threads; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(
    game: Game, batch: Batch, device: torch.device, *, precision: Precision | None = None, threads: int | None = None
) -> tuple[Precision, int]:
    """The precision and the number of threads in which this machine computes the game's own gradients fastest.

    Small networks are faster on one thread than on all of them, and on a busy machine far faster, because OpenMP's
    barriers wait for the last thread. Nothing changes: it is a copy that plays, and the random state is put back.

    Args:
        game: what will be trained.
        batch: one of its batches.
        device: where both live.
        precision: fixes the precision; None: bf16 where it saves at least a tenth.
        threads: fixes the threads, see :func:`runnable`; None: one or all.

    Returns:
        Precision and threads.
    """
    most = torch.get_num_threads()
    counts = [runnable(threads)] if threads else [most, *([1] if most > 1 and device.type == "cpu" else [])]
    kinds: list[Precision] = [precision] if precision else ["fp32", "bf16"]
    if len(counts) == len(kinds) == 1:
        return kinds[0], counts[0]
    found: dict[tuple[Precision, int], float] = {}
    game = copy.deepcopy(game)  # a game may change its buffers as it plays
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for kind in kinds:
            for count in counts:
                with using_threads(count):
                    try:
                        # a change must save a tenth: below that it is noise
                        penalty = 1.1 if kind == "bf16" and not precision else 1.0
                        found[kind, count] = penalty * _seconds(game, batch, device, kind)
                    except RuntimeError:  # a device or an operation without bfloat16
                        if kind == "fp32":
                            raise
    return min(found, key=lambda choice: found[choice])
