"""Decoded images kept in the user's cache, so that the second command does not decode again.

Two kinds of file lie there. What was seen of the files of a folder or archive is found by its stamp (names, sizes,
times, inodes) and holds the SHA-256 of every file. Pixels are found by those digests and by what is done to the images,
so it is the contents that decide, and a stamp only spares reading them. Both carry checksums, and what is damaged is
made anew. Nothing here is needed: where it cannot be kept, images are decoded each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import weakref
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from zatlas.decoding.pool import CannotWrite
from zatlas.errors import UsageError, ZatlasError
from zatlas.files import read_at, typed_path, user_cache, write_bytes

LIMIT_BYTES = 32 << 30  # of all that is kept
RACY_NS = 2_000_000_000  # a file that changed so shortly before may change again without a new time (FAT counts in 2 s)
_PIECE_BYTES = 1 << 20  # pixels with one checksum; a random batch of 128 rows reads 128 of them at first
_VERSION = 1
_WAIT_SECONDS = 3600


class Damaged(Exception):
    """What was kept is not what was written."""


class Entry(NamedTuple):
    """One data set that is kept: its key, name and path, bytes, shape ``[N, C, H, W]``, and when it was last used."""

    key: str
    name: str
    root: str
    nbytes: int
    shape: tuple[int, ...]
    used: float


def rows_a_piece(shape: tuple[int, ...]) -> int:
    return max(1, _PIECE_BYTES // int(np.prod(shape)))


def default_folder() -> Path | None:
    """``$ZATLAS_CACHE``, else ``zatlas`` in the user's cache folder; None where there is no home."""
    try:
        chosen = os.environ.get("ZATLAS_CACHE")
        return typed_path(chosen) if chosen else user_cache()
    except UsageError:
        return None


def limit_bytes() -> int:
    """How much may be kept: ``$ZATLAS_CACHE_GB``, else 32 GiB.

    Raises:
        UsageError: it is no number.
    """
    chosen = os.environ.get("ZATLAS_CACHE_GB")
    if chosen is None:
        return LIMIT_BYTES
    try:
        limit = float(chosen)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < 1e9:
        raise UsageError(f"ZATLAS_CACHE_GB is {chosen!r}: give the gigabytes that may be kept, or 0.")
    return int(limit * 1e9)


class Pixels:
    """Kept pixels ``[N, C, H, W]``, uint8, read from their file by position; a piece is verified when it is first read.

    Not mapped: a mapped file that is cut short ends the process by a bus error, where a short read is seen as damage.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], sums: list[int]) -> None:
        self._handle = os.open(path, os.O_RDONLY)  # goes on reading what is removed while it is open
        weakref.finalize(self, os.close, self._handle)
        self._shape, self._sums, self._rows = shape, sums, rows_a_piece(shape[1:])
        self._trusted = np.zeros(len(sums), bool)

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Some rows.

        Raises:
            Damaged: they are not what was written.
        """
        wanted = np.unique(rows // self._rows)
        for piece in wanted[~self._trusted[wanted]].tolist():
            first = piece * self._rows
            content = self._read(np.arange(first, min(first + self._rows, self._shape[0])))
            if zlib.crc32(content.data) != self._sums[piece]:
                raise Damaged
            self._trusted[piece] = True
        return self._read(rows)

    def _read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        out = np.empty((len(rows), *self._shape[1:]), np.uint8)
        view, size = out.reshape(-1).data, int(np.prod(self._shape[1:]))
        cuts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        for begin, end in pairwise(cuts if len(rows) else []):
            part = view[begin * size : end * size]
            try:
                if read_at(self._handle, part, int(rows[begin]) * size) < len(part):
                    raise Damaged
            except OSError:
                raise Damaged from None
        return out


class Kept:
    """The folder of what is kept.

    Args:
        folder: where; None: nowhere, so that nothing is ever found.
        limit: bytes of everything together; None: :func:`limit_bytes`. The least recently used goes first.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None) -> None:
        chosen = folder or default_folder()
        self.folder = None if chosen is None else chosen / "decoded"
        self.limit = limit_bytes() if limit is None else limit

    # what was seen of files -------------------------------------------------------------------------------------------

    def seen(self, stamp: str) -> dict[str, Any] | None:
        """What :meth:`keep_seen` was given under that stamp."""
        if self.folder is None:
            return None
        path = self.folder / f"{stamp}.seen"
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            _remove(path)
            return None
        _touch(path)
        return dict(json.loads(zlib.decompress(content[32:])))

    def keep_seen(self, stamp: str, newest_ns: int, listed_ns: int, record: dict[str, Any]) -> None:
        """Keeps what was seen, unless a file changed so shortly before it was listed that its times may not tell."""
        if self.folder is None or newest_ns > listed_ns - RACY_NS:
            return
        content = zlib.compress(json.dumps(record).encode(), 1)
        with suppress(OSError, ZatlasError):
            if self._room(len(content)):
                write_bytes(self.folder / f"{stamp}.seen", hashlib.sha256(content).digest() + content)

    # pixels -----------------------------------------------------------------------------------------------------------

    def pixels(self, key: str) -> Pixels | None:
        """The pixels of that key, if they are there whole."""
        if self.folder is None:
            return None
        about = self.folder / f"{key}.json"
        record = _record(about)
        if record is None:
            return None
        path, shape = about.with_suffix(".pixels"), tuple(record["shape"])
        try:
            whole = path.stat().st_size == np.prod(shape)
            found = Pixels(path, shape, record["sums"]) if whole else None
        except (OSError, ValueError):
            found = None
        if found is None:
            self.discard(key)
            return None
        _touch(about)
        return found

    def fill(
        self, key: str, shape: tuple[int, ...], about: dict[str, Any], decode: Callable[[Path], list[int]]
    ) -> Pixels | None:
        """The pixels of that key, made by ``decode`` unless another process makes them at this time: then it waits.

        Args:
            key: of the contents and of what is done to them.
            shape: ``[N, C, H, W]``.
            about: facts to show: name, root.
            decode: writes the pixels into the file that it is given, and returns their checksums.

        Returns:
            None where they cannot be kept: no room within the limit or on the disk, or no permission.
        """
        if self.folder is None:
            return None
        nbytes = int(np.prod(shape))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f"{key}.lock", timeout=_WAIT_SECONDS):
                return self.pixels(key) or self._made(key, shape, nbytes, about, decode)
        except (OSError, NotImplementedError, Timeout, ZatlasError) as error:
            if isinstance(error, ZatlasError) and not isinstance(error, _NoRoom):
                raise  # of the images
            return None

    def _made(
        self, key: str, shape: tuple[int, ...], nbytes: int, about: dict[str, Any], decode: Callable[[Path], list[int]]
    ) -> Pixels | None:
        assert self.folder is not None
        if not self._room(nbytes):
            return None
        part = self.folder / f"{key}.part"
        try:
            with part.open("wb") as file:
                file.truncate(nbytes)
            sums = decode(part)
            part.replace(self.folder / f"{key}.pixels")
            record = {"version": _VERSION, "shape": list(shape), "made": time.time(), **about, "sums": sums}
            body = json.dumps(record).encode()
            summed = {"sum": hashlib.sha256(body).hexdigest(), "record": record}
            write_bytes(self.folder / f"{key}.json", json.dumps(summed).encode())
        except CannotWrite as error:
            raise _NoRoom(str(error)) from None
        finally:
            _remove(part)
        return self.pixels(key)

    def discard(self, key: str) -> None:
        """Removes one data set. Who has it open goes on reading it."""
        if self.folder is not None:
            for ending in ("json", "pixels"):  # in this order: pixels without a record are not used
                _remove(self.folder / f"{key}.{ending}")

    # all of it --------------------------------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """What is kept, last used first."""
        found = []
        for about in self._files("*.json"):
            record = _record(about)
            if record is None:
                self.discard(about.stem)
                continue
            with suppress(OSError):
                used, shape = about.stat().st_mtime, tuple(record["shape"])
                nbytes = about.stat().st_size + about.with_suffix(".pixels").stat().st_size
                found.append(Entry(about.stem, record.get("name", ""), record.get("root", ""), nbytes, shape, used))
        return sorted(found, key=lambda entry: -entry.used)

    def nbytes(self) -> int:
        """Of everything together, with what is being filled."""
        return sum(_size(path) for path in self._files("*"))

    def clear(self) -> int:
        """Removes everything that no other process is filling; the bytes that were freed."""
        before = self.nbytes()
        for entry in self.entries():
            self.discard(entry.key)
        for path in self._files("*"):
            if path.suffix in (".seen", ".pixels"):
                _remove(path)
            elif path.suffix in (".part", ".lock"):
                self._remove_idle(path.stem)
        return before - self.nbytes()

    def _files(self, pattern: str) -> list[Path]:
        return [] if self.folder is None or not self.folder.is_dir() else sorted(self.folder.glob(pattern))

    def _remove_idle(self, key: str) -> None:
        """An unfinished cache entry of a process that was killed: its lock is free."""
        assert self.folder is not None
        lock = FileLock(self.folder / f"{key}.lock", timeout=0)
        with suppress(OSError, Timeout, NotImplementedError), lock:
            _remove(self.folder / f"{key}.part")
            _remove(self.folder / f"{key}.lock")

    def _room(self, nbytes: int) -> bool:
        """Makes room for so much more; False where that cannot be."""
        assert self.folder is not None
        if nbytes > self.limit:
            return False
        for path in self._files("*.part"):
            if time.time() - path.stat().st_mtime > _WAIT_SECONDS:
                self._remove_idle(path.stem)
        paths = [path for path in self._files("*") if path.suffix in (".seen", ".json")]
        total = self.nbytes()
        for path in sorted(paths, key=_used):
            if total + nbytes <= self.limit:
                break
            if path.suffix == ".json":
                total -= _size(path) + _size(path.with_suffix(".pixels"))
                self.discard(path.stem)
            else:
                total -= _size(path)
                _remove(path)
        self.folder.mkdir(parents=True, exist_ok=True)
        return total + nbytes <= self.limit and nbytes < 0.95 * shutil.disk_usage(self.folder).free


class _NoRoom(ZatlasError):
    pass


def _record(path: Path) -> dict[str, Any] | None:
    """The record of kept pixels, if it is whole."""
    try:
        given = json.loads(path.read_bytes())
        record: dict[str, Any] = given["record"]
        if hashlib.sha256(json.dumps(record).encode()).hexdigest() != given["sum"] or record["version"] != _VERSION:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    """On the disk: a file that is being filled is as large as what was written of it."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return min(found.st_size, found.st_blocks * 512)


def _touch(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
