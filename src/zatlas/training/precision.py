"""Device, precision and threads: all by rule, from what the machine is and how much a training step computes.

No time is measured. A choice by timing between float32 and bfloat16, or between one thread and two, changes with what
else the machine does, and both change the weights: so the same command gave two results on a busy machine.
"""

from __future__ import annotations

import copy
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch.utils.flop_counter import flop_registry

from zatlas.errors import UsageError
from zatlas.training.game import Game
from zatlas.training.operators import Operators
from zatlas.training.randomness import forked_rng
from zatlas.types import Batch

Precision = Literal["fp32", "bf16"]

# With less arithmetic for each of two threads, waiting for one another costs about what they save.
GFLOP_A_THREAD = 0.25
# Below so much arithmetic in a step, casting to bfloat16 and back costs about what the faster products save.
GFLOP_FOR_BF16 = 0.1


def choose_device(name: str) -> torch.device:
    """``"auto"`` is cuda, then mps, then cpu; anything else is taken by its word.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        name = "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UsageError(f"there is no device {name!r} on this machine; give auto, cpu, cuda or mps.") from None
    if device.type == "cpu":
        keep_freed_memory()
    return device


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT = 1 << 28  # bytes: larger than a tensor that a network on a CPU had better make


@cache
def keep_freed_memory() -> None:
    """Lets the C library keep what is freed for the next tensor of the size, where it is glibc.

    By itself it gives every large tensor back to the system, which clears each page of the next one again: a tenth to
    a third of the time of convolutions. Who sets ``MALLOC_TRIM_THRESHOLD_`` or ``MALLOC_MMAP_THRESHOLD_`` decides.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, 2 * KEPT)


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """bfloat16 inside networks, or nothing."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def runnable(threads: int) -> int:
    """So many threads, or as many as can be had: a runtime that cannot start one ends the process without a message.

    64 are started anywhere, so that a run made on a larger machine is repeated bit for bit on a smaller one.
    """
    return min(threads, max(64, os.cpu_count() or 1))


@contextmanager
def using_threads(threads: int | None) -> Iterator[None]:
    """Runs torch's operators on so many threads, see :func:`runnable`; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(runnable(threads) if threads else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def crowded() -> str | None:
    """A sentence where other programs keep this machine busy, by the load average of the last minute; else None."""
    if not hasattr(os, "getloadavg"):  # Windows has none
        return None
    load, there = os.getloadavg()[0], os.cpu_count() or 1
    if load < 1.5 * there:  # a training of our own that has just ended leaves a load of one a core
        return None
    asleep = os.environ.get("OMP_WAIT_POLICY", "").lower() == "passive" or torch.get_num_threads() == 1
    much = "" if asleep else "much "  # threads that spin: see zatlas/__init__.py
    cure = "" if asleep else "; import zatlas before torch, or set OMP_WAIT_POLICY=passive, to lose less"
    return f"this machine is busy (load {load:.1f} on {there} cores): it takes {much}longer, and gives the same{cure}"


@dataclass(frozen=True)
class Arithmetic:
    """What the numbers of a training depend on beside its configuration and seed.

    Attributes:
        precision: of the networks.
        threads: of torch's operators; sums are split among them, so they too change the last bits.
        reason: the rules by which both were chosen, one sentence, for the record.
    """

    precision: Precision
    threads: int
    reason: str


class Products(Operators):
    """Counts the floating-point operations of matrix products and convolutions.

    torch's own FlopCounterMode counts by the same registry, but also follows modules by hooks on their gradients, which
    a gradient penalty's second derivative trips.
    """

    def __init__(self, kind: str = "") -> None:
        super().__init__()
        self.kind, self.flops = kind, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula and self.kind in func._overloadpacket.__name__:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out


def step_gflop(game: Game, batch: Batch, kind: str = "") -> float:
    """Billions of floating-point operations in the products of every player's gradient on one batch.

    Nothing changes: it is a copy that plays, and the random state is put back.

    Args:
        game: what plays.
        batch: one of its batches.
        kind: counts operators with this in their name alone, as ``"convolution"``.
    """
    game = copy.deepcopy(game)  # a game may change its buffers as it plays
    device = batch.x.device
    with forked_rng(device), Products(kind) as products:
        for player in game.players:
            torch.autograd.grad(game(player, batch, 0).loss.sum(), game.owned(player), allow_unused=True)
    return products.flops / 1e9


def fast_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16, rather than by way of float32."""
    match device.type:
        case "cuda":
            return torch.cuda.get_device_capability(device) >= (8, 0)
        case "cpu":
            has = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
            return any(getattr(torch.cpu, name, lambda: False)() for name in has)
        case _:
            return False


def choose_arithmetic(
    game: Game,
    batch: Batch,
    device: torch.device,
    *,
    precision: Precision | None = None,
    threads: int | None = None,
    share: float = 1.0,
) -> Arithmetic:
    """Precision and threads for training a game, a function of the hardware and the shapes alone.

    bfloat16 where the hardware multiplies in it and a step's products are at least ``GFLOP_FOR_BF16``; a thread for
    each ``GFLOP_A_THREAD`` of a step, to the nearest, up to the number that torch has. ``benchmarks/precision.py``
    shows both rules beside what a stopwatch finds.

    Args:
        game: what will be trained.
        batch: one of its batches.
        device: that both are on.
        precision: fixes the precision.
        threads: fixes the threads.
        share: of the examples of a step that are in ``batch``.
    """
    most = torch.get_num_threads()
    able = precision is None and fast_bf16(device)
    if device.type != "cpu":
        found: Precision = precision or ("bf16" if able else "fp32")
        return Arithmetic(found, threads or most, f"{found} {_why(precision, able, device)}")
    if not able and (threads or most == 1):
        work, size = 0.0, ""
    else:
        work = step_gflop(game, batch) / share
        size = f", {work:.2g} GFLOP a step"
    large = work >= GFLOP_FOR_BF16
    found = precision or ("bf16" if able and large else "fp32")
    count = runnable(threads) if threads else max(1, min(most, round(work / GFLOP_A_THREAD)))
    why = "as the step is small" if able and not large else _why(precision, able, device)
    many = "asked for" if threads else f"of {most}, one for each {GFLOP_A_THREAD} GFLOP of a step"
    return Arithmetic(found, count, f"{found} {why}; threads: {count} {many}{size}")


def _why(asked: Precision | None, able: bool, device: torch.device) -> str:
    if asked:
        return "asked for"
    return f"as this {device.type} {'multiplies' if able else 'does not multiply'} in bfloat16"
