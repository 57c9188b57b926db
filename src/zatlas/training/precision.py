"""Device and precision: chosen by what the machine is, and by what it is measured to do faster."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
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
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        for player in game.players:
            with autocast(device, precision):
                loss = game(player, batch, 0).loss.sum()
            torch.autograd.grad(loss, game.owned(player), allow_unused=True)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def measure_precision(game: Game, batch: Batch, device: torch.device) -> Precision:
    """Times the game's own gradients in both precisions and takes bf16 where it saves at least a tenth.

    Nothing changes: no weight moves and the random state is put back.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            bf16 = _seconds(game, batch, device, "bf16")
        except RuntimeError:  # a device or an operation without bfloat16
            return "fp32"
        return "bf16" if bf16 < 0.9 * _seconds(game, batch, device, "fp32") else "fp32"
