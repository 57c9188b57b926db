"""What all sources need of their content: walking through it in pieces, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from zatlas.data.prefetch import free_bytes
from zatlas.data.source import Rows, Source
from zatlas.errors import ZatlasError
from zatlas.files import in_bytes

if TYPE_CHECKING:
    from zatlas.data.stored import StoredRows

PIECE_BYTES = 4 << 20


def pieces(n: int, row_bytes: int) -> Iterator[slice]:
    """Row ranges of about four megabytes that together are 0..n."""
    step = max(1, PIECE_BYTES // max(row_bytes, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def take(x: npt.NDArray[Any] | StoredRows, rows: Rows) -> npt.NDArray[Any]:
    """``x[rows]``, as a view where the rows are a run without gaps."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and rows[0] >= 0 and bool((np.diff(rows) == 1).all()):
        return x[rows[0] : rows[-1] + 1]
    return x[rows]


def check_room(nbytes: int, what: str, mend: str) -> None:
    """Refuses to take more memory than is free.

    Raises:
        ZatlasError: how much ``what`` takes, how much is free, and the mend.
    """
    free = free_bytes(torch.device("cpu"))
    if nbytes > free:
        raise ZatlasError(f"{what} takes {in_bytes(nbytes)} of memory, and {in_bytes(free)} are free: {mend}.")


def release(x: npt.NDArray[Any] | StoredRows) -> None:
    """Give back the pages of a mapped file that have been read; the system keeps them cached while it has room.

    Without this, a pass over a file larger than memory counts as use of all that memory.
    """
    if not isinstance(x, np.memmap) or x.mode == "c":  # a private copy would lose what was written to it
        return
    mapping: object = x.base
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def row_bytes(source: Source) -> int:
    """Memory of one example as the source reads it, in bytes."""
    return prod(source.spec.shape) * (1 if source.spec.values == "uint8" else 4)


def fingerprint(source: Source) -> str:
    """SHA-256 (hex) of the specification, the examples and the labels, read a piece at a time."""
    digest = hashlib.sha256(json.dumps([len(source), source.spec.to_json()], sort_keys=True).encode())
    for piece in pieces(len(source), row_bytes(source)):
        rows = np.arange(piece.start, piece.stop)
        labels = source.read_labels(rows)
        for values in (source.read(rows), *(() if labels is None else (labels,))):
            little = values.astype(values.dtype.newbyteorder("<"), copy=False)
            digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()
