"""Looking at and decoding many files on all cores: processes for many files, threads for few.

Pillow lets go of the interpreter's lock while it decodes, but of a small image most of the time is Python around it:
10,000 JPEGs of 32x32 took 2.4 s on one thread and still 2.1 s on two. Processes begin in 0.3 s: they import no torch.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zatlas.decoding.files import Unusable, look, pixels
from zatlas.decoding.geometry import Geometry
from zatlas.decoding.members import Archive, Folder, Members, Place

MANY = 4000  # files, from which on processes are worth their beginning
MOST_PROCESSES = 32
_AT_A_TIME = 200  # files that are looked at for one answer

Request = dict[str, Any]


class CannotWrite(Exception):
    """The disk is full, or the like; the reason."""


class Spoilt(Exception):
    """An image that cannot be decoded: its name and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name, self.reason = name, reason


def cores() -> int:
    """Of this process."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def look_at(
    members: Members, names: list[str], *, thorough: bool, told: Callable[[int], None] = lambda done: None
) -> list[Any]:
    """Of every file the fields of its :class:`~zatlas.decoding.files.Look`, or the reason (str) why it has none."""
    requests: list[Request] = [
        {"do": "look", "names": names[i : i + _AT_A_TIME], "thorough": thorough}
        for i in range(0, len(names), _AT_A_TIME)
    ]
    found: list[Any] = []
    with closing(_answers(members, requests, len(names))) as answers:
        for request, answer in zip(requests, answers, strict=True):
            found += answer["looks"]
            told(len(request["names"]))
    return found


def decode_into(
    out: Path,
    members: Members,
    names: list[str],
    digests: list[str],
    geometry: Geometry,
    shape: tuple[int, ...],
    rows_a_piece: int,
    told: Callable[[int], None] = lambda done: None,
) -> list[int]:
    """Writes the pixels ``[N, C, H, W]`` (uint8) of all files to ``out``.

    Returns:
        The CRC-32 of every piece of so many rows.

    Raises:
        Spoilt: a file that is damaged or has changed.
        CannotWrite: the disk is full, or the like.
    """
    size = int(np.prod(shape))
    requests: list[Request] = [
        {
            "do": "decode",
            "names": names[i : i + rows_a_piece],
            "digests": digests[i : i + rows_a_piece],
            "geometry": [geometry.resize, geometry.crop],
            "shape": shape,
            "out": str(out),
            "offset": i * size,
        }
        for i in range(0, len(names), rows_a_piece)
    ]
    sums = []
    with closing(_answers(members, requests, len(names))) as answers:
        for request, answer in zip(requests, answers, strict=True):
            if "spoilt" in answer:
                raise Spoilt(*answer["spoilt"])
            if "cannot_write" in answer:
                raise CannotWrite(answer["cannot_write"])
            sums.append(answer["crc"])
            told(len(request["names"]))
    return sums


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings; around a pool, as filters belong to the whole process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # PIXEL_LIMIT is stricter
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # EXIF that a camera wrote badly
        yield


def _perform(members: Members, request: Request) -> dict[str, Any]:
    if request["do"] == "look":
        return {"looks": [_looked(members, name, request["thorough"]) for name in request["names"]]}
    shape, (resize, crop) = tuple(request["shape"]), request["geometry"]
    geometry = Geometry(_pair(resize), _pair(crop))
    out = np.empty((len(request["names"]), *shape), np.uint8)
    for place, name, digest in zip(out, request["names"], request["digests"], strict=True):
        try:
            place[:] = pixels(members, name, geometry, shape[0], shape, digest)
        except Unusable as error:
            return {"spoilt": [name, str(error)]}
    try:
        with open(request["out"], "rb+", buffering=0) as file:
            file.seek(request["offset"])
            content = out.reshape(-1).data
            while content:
                content = content[file.write(content) :]
    except OSError as error:
        return {"cannot_write": error.strerror or str(error)}
    return {"crc": zlib.crc32(out.data)}


def _pair(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


def _looked(members: Members, name: str, thorough: bool) -> Any:
    try:
        return list(look(members, name, thorough=thorough))
    except Unusable as error:
        return str(error)


def _answers(members: Members, requests: list[Request], files: int) -> Generator[dict[str, Any], None, None]:
    """The answer to every request, in order, from processes where there are many files."""
    count = min(cores(), MOST_PROCESSES, len(requests))
    workers = [w for w in (_start(members) for _ in range(count if files >= MANY and count > 1 else 0)) if w]
    idle: queue.Queue[_Worker | None] = queue.Queue()
    for place in range(len(workers) or max(1, min(8, count))):
        idle.put(workers[place] if workers else None)
    stop = threading.Event()

    def answer(request: Request) -> dict[str, Any]:
        if stop.is_set():
            return {}
        worker = idle.get()
        try:
            if worker is not None:
                if isinstance(members, Archive):
                    known = {name: members.places[name] for name in request["names"] if name in members.places}
                    request = {**request, "places": known}
                given = worker.ask(request)
                if given is not None:
                    return given
                worker = None  # it has died: its work is done here
                if stop.is_set():
                    return {}
            return _perform(members, request)
        finally:
            idle.put(worker)

    with quiet(), ThreadPoolExecutor(max(1, idle.qsize())) as pool:
        try:
            yield from pool.map(answer, requests)
        finally:
            stop.set()
            for worker in workers:
                worker.end()


class _Worker:
    """A process that answers requests, one line of JSON each."""

    def __init__(self, process: subprocess.Popen[bytes], greeting: dict[str, Any]) -> None:
        self._process = process
        self._greeting: bytes | None = json.dumps(greeting).encode() + b"\n"

    def ask(self, request: Request) -> dict[str, Any] | None:
        """Its answer; None if the process is gone."""
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write((self._greeting or b"") + json.dumps(request).encode() + b"\n")
            self._greeting = None
            self._process.stdin.flush()
            return dict(json.loads(self._process.stdout.readline()))
        except (OSError, ValueError):
            return None

    def end(self) -> None:
        self._process.kill()
        with suppress(OSError):
            self._process.communicate()


def _start(members: Members) -> _Worker | None:
    """A process that finds zatlas where this one does and imports nothing from the folder that it is started in."""
    if not sys.executable:
        return None
    # not multiprocessing: it runs a person's script again where that has no `if __name__ == "__main__"`
    path = [os.path.abspath(entry) for entry in sys.path if entry]
    code = f"import sys; sys.path[:] = {path!r}; from zatlas.decoding.pool import serve; serve()"
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except OSError:
        return None
    return _Worker(process, {"archive": isinstance(members, Archive), "root": os.path.abspath(members.root)})


def serve() -> None:
    """Answers requests from stdin on stdout until that ends; the first one says where the files are."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked is interrupted, and ends this process
    warnings.simplefilter("ignore")
    opened = json.loads(sys.stdin.readline())
    root = Path(opened["root"])
    members: Members = Archive(root) if opened["archive"] else Folder(root, listed=False)
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(members, Archive):
            members.places = {name: Place(*place) for name, place in request["places"].items()}
        print(json.dumps(_perform(members, request)), flush=True)
