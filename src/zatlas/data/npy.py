"""The .npy format (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), its header first.

Memory is taken only once the header has been held against the bytes that are there and the memory that is free;
``numpy.load`` takes what the header asks for. Nothing pickled is ever read.
"""

from __future__ import annotations

import io
import os
import warnings
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.data.content import check_room
from zatlas.errors import ZatlasError, reading
from zatlas.files import fill, in_bytes, regular

_MOST_HEADER_BYTES = 10_000  # numpy's own limit; the header of an array of numbers takes 118
_DAMAGED = "it is damaged or of another kind, so save it again with numpy"


class Header(NamedTuple):
    """What an .npy says of its array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * prod(self.shape)

    def check_bytes(self, what: str, there: int) -> None:
        """Refuses an array whose values take other than the ``there`` bytes that follow the header."""
        promised = f"its header promises an array of shape {list(self.shape)}, which takes {in_bytes(self.nbytes)}"
        if self.nbytes > there:
            raise ZatlasError(f"{what} is cut short: {promised}, and {in_bytes(there)} are there; save it again.")
        if self.nbytes < there:
            raise ZatlasError(f"{what} goes on after its values: {promised}, and {in_bytes(there)} are there.")


def read_header(file: IO[bytes], what: str) -> Header:
    """The header at the start of a file, which is left at the first value.

    Raises:
        ZatlasError: ``what`` is no .npy, damaged, or holds Python objects.
    """
    with reading(what, _DAMAGED), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged header is Python with odd escapes or numpy's old names
        start = file.read(8)
        if start[:4] == b"PK\3\4":
            raise ZatlasError(f"{what} is an .npz or another zip archive under the name .npy: rename it.")
        if start[:6] != b"\x93NUMPY":
            raise ZatlasError(f"{what} cannot be read: it is no .npy file; save it with numpy.save.")
        major = start[6]
        size = file.read(2 if major == 1 else 4)
        length = int.from_bytes(size, "little")
        if length > _MOST_HEADER_BYTES:
            raise ZatlasError(f"{what} cannot be read: it is damaged, as its header would take {in_bytes(length)}.")
        parse = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        try:
            shape, fortran, dtype = parse(io.BytesIO(size + file.read(length)))
        except (MemoryError, RecursionError):  # Python's parser on brackets in brackets
            raise ValueError("its header is nested") from None
        if dtype.hasobject:
            raise ZatlasError(
                f"{what} holds Python objects, which zatlas never unpickles: save it as numbers or words."
            )
        if any(isinstance(n, bool) or n < 0 for n in shape):
            raise ValueError(f"its header gives the shape {list(shape)}")
        return Header(dtype, shape, fortran)


def read_values(file: IO[bytes], header: Header, what: str, mend: str, step: int = 1 << 20) -> npt.NDArray[Any]:
    """The array that follows a header, ``step`` bytes at a time.

    Raises:
        ZatlasError: more than fits into memory, for which there is the ``mend``, or too few bytes.
    """
    check_room(header.nbytes, what, mend)
    with reading(what, _DAMAGED):
        content = np.empty(header.nbytes, np.uint8)
        filled = fill(file, content.data, step)
        if filled < header.nbytes:
            header.check_bytes(what, filled)
        return np.ndarray(header.shape, header.dtype, content, order="F" if header.fortran else "C")


def read_npy(path: Path, what: str) -> npt.NDArray[Any]:
    """The array in an .npy, in memory.

    Raises:
        UsageError: there is no such file.
        ZatlasError: ``what`` is damaged, larger than memory, or holds Python objects.
    """
    with reading(what, _DAMAGED), regular(path).open("rb") as file:
        header = read_header(file, what)
        header.check_bytes(what, os.fstat(file.fileno()).st_size - file.tell())
        return read_values(file, header, what, "give fewer rows")


def map_npy(path: Path, header: Header, offset: int) -> npt.NDArray[Any]:
    """The array of columns (Fortran order) in an .npy, whose rows lie nowhere together, mapped."""
    with reading(str(path), _DAMAGED):
        return np.memmap(path, header.dtype, "r", offset, header.shape, "F")
