"""The processes that train one model together: how they find one another, and what they say when one is gone."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from zatlas.errors import UsageError, ZatlasError, one_line
from zatlas.training.precision import choose_device

HANG = 600.0  # seconds that the others wait for a worker, unless ZATLAS_HANG says another number
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by torchrun, and by zatlas train --workers
_ROLL_CALL = 5.0  # seconds in which those that are still there say so


class Lost(ZatlasError):
    """Another worker has died or hangs: what is left begins again from the last checkpoint."""

    exit_status = 75  # EX_TEMPFAIL: to be tried again


class Team:
    """One of the processes that train a model together.

    Args:
        rank: which, from 0.
        world: of how many.
        device: its own.
        control: a group of processes for a few numbers on the CPU, whatever the gradients travel by.
        store: where each says that it is still there; None: nobody can.
        hang_seconds: how long the others wait for one.
    """

    def __init__(
        self, rank: int, world: int, device: torch.device, control: Any, store: Any, hang_seconds: float
    ) -> None:
        self.rank, self.world, self.device = rank, world, device
        self.control, self.store, self.hang_seconds = control, store, hang_seconds

    def total(self, values: Sequence[float]) -> list[float]:
        """The sums over all processes of a few numbers, the same to the last bit in each.

        Raises:
            Lost: a process is gone.
        """
        numbers = torch.tensor(values, dtype=torch.float64)
        with self.watched():
            dist.all_reduce(numbers, group=self.control)
        return [float(number) for number in numbers]

    def mean(self, values: Mapping[str, float], rows: int) -> dict[str, float]:
        """Means over the rows of all processes, of means over the ``rows`` of each.

        A process without rows has no values, and takes the names from the others.
        """
        names = next(names for names in self.gather(list(values)) if names)
        *sums, count = self.total([*(values.get(name, 0.0) * rows for name in names), float(rows)])
        return {name: value / count for name, value in zip(names, sums, strict=True)}

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in the order of their ranks."""
        found: list[Any] = [None] * self.world
        with self.watched():
            dist.all_gather_object(found, value, group=self.control)
        return found

    def share(self, value: Any = None) -> Any:
        """What process 0 gives."""
        box = [value]
        with self.watched():
            dist.broadcast_object_list(box, src=0, group=self.control)
        return box[0]

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Process 0 does it first, as what it downloads or decodes is then there for the others."""
        if self.rank == 0:
            yield
            self.share()
        else:
            self.share()
            yield

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns what a library raises when another process is gone into a sentence that names it.

        Raises:
            Lost: another process is gone, or has not answered for ``hang_seconds``.
        """
        try:
            yield
        except RuntimeError as error:
            if not is_of_network(error):
                raise
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> Lost:
        missing = self._roll_call()
        if not missing:
            return Lost(f"the workers lost one another ({one_line(str(error))[:200]}): see whether the network holds.")
        whose = f"worker{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))} of {self.world} (from 0)"
        waited = f"gave no answer for {self.hang_seconds:g} s and hangs" if is_timeout(error) else "is gone"
        return Lost(f"{whose} {waited}: the training goes on from its last checkpoint when it is begun again.")

    def _roll_call(self) -> list[int]:
        """The processes that do not say they are still there."""
        if self.store is None:
            return []
        end = time.monotonic() + _ROLL_CALL
        places = {rank: f"zatlas/still-there/{rank}" for rank in range(self.world)}
        with suppress(RuntimeError):  # of process 0, which keeps the store
            self.store.set(places.pop(self.rank), "yes")
            while places and time.monotonic() < end:
                places = {rank: place for rank, place in places.items() if not self.store.check([place])}
                time.sleep(0.05)
            return sorted(places)
        return [0]


def is_of_network(error: RuntimeError) -> bool:
    """Whether it is about another process, and not about this one's own work."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or "gloo" in text or "connection closed" in text or is_timeout(error)


def is_timeout(error: RuntimeError) -> bool:
    return "timed out" in str(error).lower() or "timeout" in str(error).lower()


def wanted(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Rank and number of processes that the environment asks for; None: this process trains by itself.

    Raises:
        UsageError: only some of the variables are there, or they hold no numbers.

    >>> wanted({}), wanted(dict.fromkeys(VARIABLES, "1") | {"WORLD_SIZE": "2"})
    (None, (1, 2))
    """
    there = [name for name in ("RANK", "WORLD_SIZE") if name in environment]
    if not there:
        return None
    mend = "start it by torchrun, which sets all of them, or by zatlas train --workers, or unset " + " and ".join(there)
    missing = [name for name in VARIABLES if name not in environment]
    if missing:
        raise UsageError(f"{there[0]} is set in the environment and {', '.join(missing)} is not: {mend}.")
    numbers = [environment[name] for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")]
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise UsageError(f"RANK, WORLD_SIZE and MASTER_PORT are {', '.join(numbers)}, which are no numbers: {mend}.")
    rank, world = int(numbers[0]), int(numbers[1])
    if not rank < world:
        raise UsageError(f"RANK is {rank} and WORLD_SIZE is {world}, and ranks count from 0: {mend}.")
    return (rank, world) if world > 1 else None


def hang_seconds(environment: Mapping[str, str]) -> float:
    """How long a worker is waited for.

    Raises:
        UsageError: ZATLAS_HANG is no number above 0.
    """
    text = environment.get("ZATLAS_HANG", str(HANG))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 10**6:
        raise UsageError(f"ZATLAS_HANG wants seconds, more than 0, and is {text!r}.")
    return seconds


@contextmanager
def joined(device: str = "auto") -> Iterator[Team | None]:
    """Joins the other processes, as torchrun's environment says; gives None where there are no others.

    Processes that are joined already, as by Ray Train, stay joined.

    Args:
        device: as :func:`~zatlas.training.precision.choose_device` knows it; each process gets a GPU of its own.

    Raises:
        UsageError: an environment that cannot be, or more processes than GPUs on a machine.
        Lost: the others did not come.
    """
    already = dist.is_available() and dist.is_initialized()
    place = (dist.get_rank(), dist.get_world_size()) if already else wanted(os.environ)
    if place is None or place[1] == 1:
        yield None
        return
    if "ZATLAS_LAUNCHED" in os.environ:
        threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    rank, world = place
    own, seconds = _own_device(device, rank), hang_seconds(os.environ)
    store = None if already else _join(rank, world, own, seconds)
    control = dist.new_group(backend="gloo", timeout=timedelta(seconds=seconds)) if own.type == "cuda" else None
    try:
        yield Team(rank, world, own, control, store, seconds)
    finally:
        if not already:
            with suppress(Exception):  # what is gone cannot be left
                dist.destroy_process_group()


def _own_device(device: str, rank: int) -> torch.device:
    own = choose_device(device)
    if own.type == "mps":
        raise UsageError("several workers cannot share this machine's GPU: give --device cpu.")
    if own.type != "cuda":
        return own
    local, there = int(os.environ.get("LOCAL_RANK", rank)), torch.cuda.device_count()
    if local >= there:
        here = f"{there} GPU{'' if there == 1 else 's'}"
        raise UsageError(f"worker {local} of this machine has no GPU, as it has {here}: give fewer workers.")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _join(rank: int, world: int, device: torch.device, seconds: float) -> Any:
    backend, wait = ("nccl" if device.type == "cuda" else "gloo"), timedelta(seconds=seconds)
    try:
        store, _, _ = next(rendezvous("env://", timeout=wait))
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=wait)
    except (RuntimeError, ValueError, OSError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        said = one_line(str(error))[:200]
        raise Lost(f"worker {rank} of {world} did not meet the others at {where} ({said}).") from error
    return store


def _end_with_the_launcher() -> None:
    """The launcher holds the other end of stdin: where that is closed it was killed, and nobody waits any more."""
    with suppress(OSError):
        while os.read(0, 1):  # and not sys.stdin, whose lock a waiting thread holds when Python ends
            pass
    os._exit(1)
