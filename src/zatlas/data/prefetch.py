"""Prefetching in a thread, and how much memory is free to hold data."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")


def read_ahead(items: Iterable[T], depth: int = 4) -> Generator[T]:
    """The items in their order, made up to ``depth`` ahead of need by a background thread.

    What the thread raises is raised here; when this iterator is closed or dropped the thread ends.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
            put(None, StopIteration())
        except BaseException as error:  # every exception is passed on, so that none is lost in the thread
            put(None, error)

    thread = threading.Thread(target=work, name="zatlas-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


GROUP = Path("/sys/fs/cgroup")  # of a container


def _cached(group: Path) -> int:
    """Bytes of files that a container keeps in memory and gives back when it is asked."""
    try:
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def free_bytes(device: torch.device) -> int:
    """Memory that new data could take on the device, in bytes: a container's limit counts, swap does not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2  # where nothing better is known
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        limit = (GROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((GROUP / "memory.current").read_text(encoding="ascii")) - _cached(GROUP)
        free = free if limit == "max" else min(free, max(int(limit) - used, 0))
    except (OSError, StopIteration, ValueError):
        pass
    return free
