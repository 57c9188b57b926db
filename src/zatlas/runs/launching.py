"""Workers on this machine that train one model together: begun, watched, and begun again when one dies.

It does what ``torchrun --nproc-per-node N --max-restarts 3`` does, with the same environment, and differs in what it
says: the worker that died or hangs by its number, and a refusal (status 1 or 2) once and without another try.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import IO, Any

from zatlas.errors import UsageError, ZatlasError, one_line

RESTARTS = 3
LOST = 75  # the status of a worker that found another one gone: zatlas.training.team.Lost
_GRACE = 10.0  # seconds in which the others notice that one is gone, and end by themselves
_STOPPING = 60.0  # seconds for saving what there is after Ctrl-C
_POSIX = os.name == "posix"


@dataclass
class _Worker:
    rank: int
    process: subprocess.Popen[bytes]
    errors: IO[bytes] | None


def launch(
    arguments: Sequence[str],
    workers: int,
    *,
    hang_seconds: float,
    restarts: int = RESTARTS,
    say: Callable[[str], None] = lambda sentence: None,
) -> int:
    """Runs ``python -m zatlas ARGUMENTS`` in so many workers until they are done.

    Args:
        arguments: of the command line, without those about workers.
        workers: how many, at least 1.
        hang_seconds: how long the others wait for a worker that does not answer.
        restarts: how often all are begun again, from the last checkpoint, after one died or hung.
        say: is given sentences for people.

    Returns:
        The exit status: 0; that of a worker that refused, which has said why; or 130 after Ctrl-C.

    Raises:
        UsageError: a number of workers that cannot be.
        ZatlasError: a worker refused beside the first, or died once more than it may.
    """
    if not 1 <= workers <= 1024:
        raise UsageError(f"{workers} workers cannot be: give 1 to 1024.")
    name = uuid.uuid4().hex
    with _asked_to_stop() as asked:
        for attempt in range(restarts + 1):
            crew = [_begin(arguments, rank, workers, attempt, name, hang_seconds) for rank in _ranks(workers)]
            try:
                told = _watch(crew, asked)
            finally:
                _end(crew)
            if isinstance(told, int):
                return told
            if attempt < restarts:
                say(f"{told} The training goes on from its last checkpoint ({attempt + 1} of {restarts} restarts).")
    raise ZatlasError(f"{told} This was the last of {restarts} restarts; `zatlas train --resume` goes on.")


_port = 0


def _ranks(workers: int) -> range:
    """The ranks, who meet at a port that is free now."""
    global _port  # noqa: PLW0603 (one launch a process)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        _port = probe.getsockname()[1]
    return range(workers)


def _begin(arguments: Sequence[str], rank: int, workers: int, attempt: int, name: str, hang_seconds: float) -> _Worker:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // workers))
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(workers),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_port),
        "TORCHELASTIC_RESTART_COUNT": str(attempt),
        "TORCHELASTIC_RUN_ID": name,
        "ZATLAS_HANG": str(hang_seconds),
        "ZATLAS_LAUNCHED": "1",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    errors = tempfile.TemporaryFile() if rank else None  # noqa: SIM115 (as long as the worker lives)
    process = subprocess.Popen(
        [sys.executable, "-m", "zatlas", *arguments],
        stdin=subprocess.PIPE,  # closed when this process ends, however it does: then the workers end
        stdout=subprocess.DEVNULL if rank else None,
        stderr=errors,
        env=environment,
        start_new_session=_POSIX,  # Ctrl-C is for the launcher, which tells its workers
    )
    return _Worker(rank, process, errors)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that gets a signal's number whenever somebody asks to stop."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(crew: Sequence[_Worker], asked: list[int]) -> int | str:
    """Waits for the workers to end; gives the status, or in a sentence who died or hung."""
    told, deadline = 0, float("inf")
    while True:
        running = [worker for worker in crew if worker.process.poll() is None]
        if not running:
            break
        if len(asked) > told:
            told, deadline = len(asked), time.monotonic() + _STOPPING
            for worker in running:
                with suppress(OSError):
                    worker.process.send_signal(signal.SIGINT if told == 1 else signal.SIGKILL)
        elif not asked and len(running) < len(crew) and any(w.process.returncode for w in crew if w not in running):
            deadline = min(deadline, time.monotonic() + _GRACE)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    if asked:
        return 130
    return _outcome(crew)


def _outcome(crew: Sequence[_Worker]) -> int | str:
    statuses = {worker.rank: worker.process.poll() for worker in crew}
    if not any(statuses.values()) and None not in statuses.values():
        return 0
    for worker in crew:  # a refusal, or a bug: the same would come again
        status = worker.process.returncode
        if status is not None and status > 0 and status != LOST:
            said = _said(worker)
            if said:
                raise ZatlasError(f"worker {worker.rank} of {len(crew)} (from 0) failed: {said}")
            return status
    for worker in crew:
        status = worker.process.returncode
        if status is not None and status < 0:
            name = signal.Signals(-status).name if -status in {*signal.Signals} else str(-status)
            return f"Worker {worker.rank} of {len(crew)} (from 0) was ended by {name}."
    hung = [str(rank) for rank, status in statuses.items() if status is None]
    if hung:
        return f"Worker {', '.join(hung)} of {len(crew)} (from 0) hangs and was ended."
    return "The workers lost one another."


def _said(worker: _Worker) -> str:
    """The last line that a worker wrote where nobody saw it."""
    if worker.errors is None:
        return ""
    worker.errors.seek(0)
    lines = worker.errors.read().decode(errors="replace").strip().splitlines()
    return one_line(lines[-1].removeprefix("zatlas: ")) if lines else ""


def _end(crew: Sequence[_Worker]) -> None:
    for worker in crew:
        with suppress(OSError):
            worker.process.kill()
        worker.process.wait()
        for stream in (worker.process.stdin, worker.errors):
            with suppress(OSError, ValueError):
                if stream is not None:
                    stream.close()


def without(arguments: Sequence[str], *options: str) -> list[str]:
    """Arguments of a command line without some options and their values.

    >>> without(["train", "digits", "--workers", "2", "--hang=9", "-q"], "--workers", "--hang")
    ['train', 'digits', '-q']
    """
    kept: list[str] = []
    rest: Any = iter(arguments)
    for argument in rest:
        if argument in options:
            next(rest, None)
        elif not argument.startswith(tuple(f"{option}=" for option in options)):
            kept.append(argument)
    return kept
