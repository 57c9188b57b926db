"""Rows of one array that lies in one or several .npy files, read when they are asked for."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.data.npy import Header
from zatlas.decoding.kept import Kept
from zatlas.errors import ZatlasError
from zatlas.files import read_at

KEPT_BYTES = 64 << 20  # files of fewer are looked through in a tenth of a second, and nothing is kept of them


class Stored(NamedTuple):
    """One file: its header, where its values begin, and what the system says of it when it is opened."""

    path: Path
    header: Header
    offset: int
    state: tuple[int, int, int, int]


def state_of(found: os.stat_result) -> tuple[int, int, int, int]:
    """Size, time of the last change of the contents, and which file it is."""
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev


class StoredRows:
    """The rows ``[N, ...]`` of files one after the other, with as much of an array's face as a source needs.

    A file is read by position and not mapped: what is read of a mapped file counts as memory of this process, and a
    mapped file that somebody cuts short ends the process by a bus error. Both are as fast (of 12 kB rows from the
    system's cache, 1.3 us a row in order and 3.5 us at random; mapped 1.2 and 4.4 us).

    Args:
        files: of one type and shape of row, in C order.
    """

    def __init__(self, files: Sequence[Stored]) -> None:
        first = files[0].header
        self.dtype, self._row = first.dtype, first.shape[1:]
        self._row_bytes = self.dtype.itemsize * prod(self._row)
        self._files = list(files)
        self._starts = np.cumsum([0, *(file.header.shape[0] for file in files)])
        self.shape = (int(self._starts[-1]), *self._row)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        return len(self) * self._row_bytes

    @property
    def newest_ns(self) -> int:
        """When a file was changed last."""
        return max(file.state[1] for file in self._files)

    @property
    def stamp(self) -> str:
        """SHA-256 (hex) of paths, sizes, times and inodes."""
        said = "\0".join(f"{os.path.realpath(file.path)} {file.state}" for file in self._files)
        return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()

    def __getitem__(self, key: int | slice | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows by number, as numpy gives them, always copied.

        Raises:
            ZatlasError: a file is gone, or has changed since it was opened.
        """
        if isinstance(key, slice):
            return self._read(np.arange(*key.indices(len(self))))
        if isinstance(key, int):
            return self._read(np.array([key]))[0]
        return self._read(np.asarray(key, np.int64))

    def _read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        rows = np.where(rows < 0, rows + len(self), rows)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        out = np.empty((len(rows), *self._row), self.dtype)
        view = out.reshape(-1).view(np.uint8).data if out.size else memoryview(b"")
        whose = np.searchsorted(self._starts, rows, side="right") - 1
        # one call of the system for every run of neighbouring rows
        cuts = [0, *(np.flatnonzero((np.diff(rows) != 1) | (np.diff(whose) != 0)) + 1).tolist(), len(rows)]
        number, handle = -1, -1
        try:
            for begin, end in pairwise(cuts):
                if begin == end:
                    continue
                if whose[begin] != number:
                    if handle >= 0:
                        os.close(handle)
                    number, handle = int(whose[begin]), -1
                    handle = self._open(self._files[number])
                file = self._files[number]
                place = file.offset + (int(rows[begin]) - int(self._starts[number])) * self._row_bytes
                self._fill(file, handle, view[begin * self._row_bytes : end * self._row_bytes], place)
        finally:
            if handle >= 0:
                os.close(handle)
        return out

    def _open(self, file: Stored) -> int:
        try:
            handle = os.open(file.path, os.O_RDONLY)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            problem = "is no longer there" if gone else f"can no longer be read ({error.strerror})"
            raise ZatlasError(f"{file.path} {problem}: put it back and go on with the run (--resume).") from None
        if state_of(os.fstat(handle)) != file.state:
            os.close(handle)
            raise self._changed(file)
        return handle

    def _fill(self, file: Stored, handle: int, view: memoryview, place: int) -> None:
        try:
            filled = read_at(handle, view, place)
        except OSError as error:
            raise ZatlasError(f"{file.path} can no longer be read ({error.strerror}): see to its disk.") from None
        if filled < len(view):
            raise self._changed(file)

    def _changed(self, file: Stored) -> ZatlasError:
        return ZatlasError(
            f"{file.path} has changed since it was opened, and examples of before and after must not be mixed: put "
            "the old file back and go on with the run (--resume), or begin anew."
        )


def recalled(x: npt.NDArray[Any] | StoredRows, what: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found in a pass over all rows of large files: as kept in the user's cache under their stamp, or found
    now and kept. Of 12 GB a pass takes ten seconds and more, and every command would make two."""
    if not isinstance(x, StoredRows) or x.nbytes < KEPT_BYTES:
        return find()
    kept, began = Kept(), time.time_ns()
    key = hashlib.sha256(f"1 {x.stamp} {what}".encode()).hexdigest()
    found = kept.seen(key)
    if found is None:
        found = find()
        kept.keep_seen(key, x.newest_ns, began, found)
    return found
