"""An order for data that are larger than memory: by blocks of neighbouring rows, shuffled within windows of many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.data import counter_rng

BLOCK_BYTES = 1 << 20  # read in one go: a disk that turns seeks in the time in which it reads one
WINDOW_BYTES = 256 << 20  # at most: 21,000 images of 64x64 in colour, of 256 places in the file, mix well enough
WINDOWS = 4  # may be in memory: the one that is shown, one that waits, one that is being read, and room to spare

Order = npt.NDArray[np.int64]


class Window(NamedTuple):
    """How many positions were shown before it, those of its own blocks, sorted, and the order in which they are shown
    (indices into them)."""

    begin: int
    positions: Order
    order: Order

    @property
    def shown(self) -> Order:
        return self.positions[self.order]


def block_rows(row_bytes: int) -> int:
    """How many rows make a block."""
    return max(1, BLOCK_BYTES // max(row_bytes, 1))


def window_rows(row_bytes: int, memory_bytes: int) -> int:
    """How many rows make a window where the data may take so much memory: whole blocks, at least one.

    >>> window_rows(1 << 10, 1 << 30), window_rows(1 << 10, 0)
    (262144, 1024)
    """
    block = block_rows(row_bytes)
    return max(1, min(WINDOW_BYTES, memory_bytes // WINDOWS) // max(row_bytes, 1) // block) * block


def windows(key: int, n: int, block: int, width: int, start: int = 0) -> Iterator[Window]:
    """The windows of one epoch of n positions, in which every position is shown once.

    The blocks come in an order drawn by the key; so many as make ``width`` rows are a window, and its rows are shuffled
    among themselves. Every window is a function of the key and its number alone, so an epoch can begin at any.

    Args:
        key: of the epoch.
        n: how many positions there are.
        block: neighbouring positions that stay in one window.
        width: positions in a window, a multiple of ``block``; the last one, and the one with the last block, may have
            fewer.
        start: windows that are over before so many positions are shown are passed over.

    >>> [window.shown.tolist() for window in windows(7, 10, 2, 4)]
    [[4, 0, 5, 1], [3, 8, 9, 2], [7, 6]]
    >>> [window.shown.tolist() for window in windows(7, 10, 2, 4, start=5)]
    [[3, 8, 9, 2], [7, 6]]
    """
    blocks = counter_rng.permutation(key, -(-n // block))
    begin = 0
    for number, first in enumerate(range(0, len(blocks), width // block)):
        some = np.sort(blocks[first : first + width // block])
        positions = (some[:, None] * block + np.arange(block)).reshape(-1)
        positions = positions[positions < n]
        if start < begin + len(positions):
            yield Window(begin, positions, counter_rng.permutation(counter_rng.key(key, number), len(positions)))
        begin += len(positions)
