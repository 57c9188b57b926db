"""Who does the work: this process, or several workers, each with its share of the cores."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from zatlas.errors import UsageError, one_line
from zatlas.studies.members import Member

Task = Mapping[str, Any]
MEMORY = 1.2e9  # bytes that a worker is expected to need: torch and MNIST take half of it
HANG = 600.0  # seconds without a sign of life
_POSIX = os.name == "posix"


@dataclass(frozen=True)
class Share:
    """How many workers, how many threads each has, and why; workers 0 is this process."""

    workers: int
    threads: int
    reason: str


def share(members: int, asked: int | None = None, *, device: str = "cpu", stack: bool = False) -> Share:
    """The workers for so many members: one for each core, as a small model trains no faster on two.

    Args:
        members: that are left to do.
        asked: what a person asked for; 0: this process; None: by the rule.
        device: that members train on; on a GPU one worker.
        stack: whether members are trained as one: then one worker, with all the cores.

    Raises:
        UsageError: a number that cannot be.

    >>> share(16, 2).workers, share(1, 0).threads >= 1
    (2, True)
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked is not None:
        if not 0 <= asked <= 1024:
            raise UsageError(f"{asked} workers cannot be: give 0 (this process) to 1024.")
        threads = max(1, cores // max(asked, 1))
        where = "in this process" if asked == 0 else f"by {_count(asked, 'worker')} of {_count(threads, 'thread')}"
        return Share(asked, threads, f"{where}, as asked for.")
    if stack:
        return Share(1, cores, f"by one worker of {_count(cores, 'thread')}, as members are stacked.")
    if on_gpu(device):
        return Share(1, cores, "by one worker, as there is one device.")
    room = max(1, int(_free_memory() / MEMORY))
    count = max(1, min(cores, members, room))
    threads = max(1, cores // count)
    least = {cores: "one for each core", members: "one for each member", room: "as many as memory has room for"}
    return Share(count, threads, f"by {_count(count, 'worker')} of {_count(threads, 'thread')}: {least[count]}.")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def on_gpu(device: str) -> bool:
    """Whether members train on something else than the cores."""
    if device != "auto":
        return device != "cpu"
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _free_memory() -> float:
    """Bytes that could be had; where that is not known, much."""
    with suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as file:
        return next(1024.0 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    return 1e12


class Here:
    """This process; one member at a time.

    Args:
        call: does the work, ``(task, channel)``.
        task_of: makes a member's task.
    """

    def __init__(self, call: Callable[[Task, Any], tuple[str, Any]], task_of: Callable[[Member], Task]) -> None:
        self.call, self.task_of = call, task_of
        self.judge: Callable[[Member, int, float], bool] = lambda member, rung, loss: True
        self._member: Member | None = None

    def free(self) -> bool:
        return self._member is None

    def busy(self) -> bool:
        return self._member is not None

    def start(self, member: Member) -> None:
        self._member = member

    def next(self) -> tuple[Member, str, Any]:
        assert self._member is not None
        member, self._member = self._member, None
        what, fact = self.call(self.task_of(member), _Direct(self, member))
        if what == "interrupted":
            raise KeyboardInterrupt
        return member, what, fact

    def answer(self, member: Member, on: bool) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class _Direct:
    """The channel of a member that is worked on in this process."""

    def __init__(self, crew: Here, member: Member) -> None:
        self.crew, self.member = crew, member

    def beat(self) -> None: ...

    def ask(self, rung: int, loss: float) -> bool:
        return self.crew.judge(self.member, rung, loss)


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[bytes]
    member: Member | None = None
    heard: float = field(default_factory=time.monotonic)
    ready: bool = False


class Processes:
    """Workers that are processes of their own: one that ends or hangs loses its member and nothing else.

    Args:
        count: at most so many at once.
        threads: of each.
        call: ``"module:function"``, what a worker calls with the task and its channel.
        task_of: makes a member's task.
        hang_seconds: a worker that gives no sign of life for so long is ended.
    """

    def __init__(
        self,
        count: int,
        threads: int,
        call: str,
        task_of: Callable[[Member], Task],
        *,
        hang_seconds: float = HANG,
    ) -> None:
        self.count, self.threads, self.call, self.task_of = count, threads, call, task_of
        self.hang_seconds = hang_seconds
        self._workers: list[_Worker] = []
        self._heard: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()
        self._ended: deque[tuple[Member, str, Any]] = deque()
        self._stopping = False

    def free(self) -> bool:
        return not self._stopping and sum(w.member is not None for w in self._workers) < self.count

    def busy(self) -> bool:
        return bool(self._ended) or any(w.member is not None for w in self._workers)

    def start(self, member: Member) -> None:
        worker = next((w for w in self._workers if w.member is None), None) or self._hire()
        worker.member, worker.heard = member, time.monotonic()
        self._send(worker, {"call": self.call, "argv": sys.argv, **self.task_of(member)})

    def answer(self, member: Member, on: bool) -> None:
        for worker in self._workers:
            if worker.member is member:
                self._send(worker, {"answer": on})

    def next(self) -> tuple[Member, str, Any]:
        """What is heard next of a member: its end, its failure, or a question at a rung."""
        while True:
            if self._ended:
                return self._ended.popleft()
            try:
                # time.monotonic() and not the clock of the day, which may be set while the study runs
                worker, message = self._heard.get(timeout=min(1.0, self.hang_seconds / 4))
            except queue.Empty:
                self._end_silent()
                continue
            worker.heard = time.monotonic()
            member = worker.member
            if message is None:
                told = self._dismiss(worker)
                if member is not None:
                    return member, "died", told
            elif message["what"] == "ready":
                worker.ready = True
            elif member is not None and message["what"] == "rung":
                return member, "rung", message["fact"]
            elif member is not None and message["what"] != "beat":
                worker.member = None
                if message["what"] == "interrupted" and not self._stopping:
                    raise KeyboardInterrupt
                return member, message["what"], message.get("fact")

    def _end_silent(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.member is not None and now - worker.heard > self.hang_seconds:
                member = worker.member
                self._dismiss(worker)
                told = f"its worker gave no sign of life for {self.hang_seconds:g} s and was ended."
                self._ended.append((member, "hung", told))

    def _hire(self) -> _Worker:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the worker lives)
        process = subprocess.Popen(
            [sys.executable, "-m", "zatlas.studies.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=_POSIX,  # Ctrl-C is for the study, which tells its workers
        )
        worker = _Worker(process, errors)
        self._workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        with suppress(ValueError, OSError):
            for text in worker.process.stdout:
                with suppress(ValueError):
                    message = json.loads(text)
                    if isinstance(message, dict) and "what" in message:
                        self._heard.put((worker, message))
        self._heard.put((worker, None))

    def _send(self, worker: _Worker, message: Task) -> None:
        assert worker.process.stdin is not None
        with suppress(OSError, ValueError):  # a worker that has ended is noticed by its missing heartbeat
            worker.process.stdin.write(json.dumps(message) + "\n")
            worker.process.stdin.flush()

    def _dismiss(self, worker: _Worker) -> str:
        """Ends a worker, and says how it ended."""
        if worker not in self._workers:  # its end was heard of before
            return ""
        self._workers.remove(worker)
        worker.member = None
        with suppress(OSError):
            worker.process.kill()
        worker.process.wait()
        for stream in (worker.process.stdin, worker.process.stdout):
            with suppress(OSError, ValueError):
                if stream is not None:
                    stream.close()
        with worker.errors:
            return _death(worker)

    def stop(self) -> None:
        """Asks every worker to stop at its next step, and waits until they have saved what they have."""
        self._stopping = True
        for worker in self._workers:
            if worker.member is not None and worker.ready:
                with suppress(OSError):
                    worker.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 30
        while any(w.member is not None and w.process.poll() is None for w in self._workers):
            with suppress(queue.Empty):
                worker, message = self._heard.get(timeout=0.2)
                if message is None or message["what"] in ("interrupted", "done", "failed", "disk"):
                    worker.member = None
                elif message["what"] == "rung":
                    self._send(worker, {"answer": True})
            if time.monotonic() > end:
                break

    def close(self) -> None:
        for worker in list(self._workers):
            self._dismiss(worker)


def _death(worker: _Worker) -> str:
    """How a worker died, in a sentence."""
    status = worker.process.returncode
    worker.errors.seek(0)
    last = worker.errors.read().decode(errors="replace").strip().splitlines()
    told = f" (its last word: {one_line(last[-1])[:300]})" if last else ""
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in {*signal.Signals} else str(-status)
        why = ", most likely for want of memory: give fewer workers" if name == "SIGKILL" else ""
        return f"its worker was ended by {name}{why}{told}."
    return f"its worker ended with status {status}{told}."
