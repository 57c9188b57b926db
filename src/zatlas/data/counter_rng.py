"""Randomness without state: every draw is a hash of what it is for, so order, splits and bits repeat anywhere.

The hash is splitmix64 (Steele, Lea and Flood, 2014): a bijection of 64-bit words, the same on every machine and with
every version of numpy, which the streams of ``numpy.random.Generator`` are not promised to be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def words(key: int, counters: npt.NDArray[Any]) -> Words:
    """64 random bits for each counter; different counters never collide under one key."""
    z: Words = counters.astype(np.uint64)
    z *= _GOLDEN
    z += np.uint64(key)
    for shift, factor in _STEPS:
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return z


def key(*parts: int) -> int:
    """One key out of several whole numbers; their order matters.

    >>> key(1, 2) == key(2, 1)
    False
    """
    k = 0
    for part in parts:
        k = int(words(k, np.array([part % 2**64], dtype=np.uint64))[0])
    return k


def permutation(k: int, n: int) -> npt.NDArray[np.int64]:
    """The numbers 0..n-1 in an order that depends on the key alone."""
    return np.argsort(words(k, np.arange(n)))  # no ties: the hash is a bijection


def bernoulli(k: int, rows: npt.NDArray[np.int64], intensity: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Bits ``[B, ...]`` with P(1) = intensity, each a function of the key, its row number and its place alone.

    Args:
        k: the key.
        rows: row numbers ``[B]``.
        intensity: ``[B, ...]``, uint8 0..255 or floats in [0, 1].
    """
    size = int(np.prod(intensity.shape[1:]))
    per_row = -(-size // 4)  # one word serves four places: 16 bits each, an error in P below 2^-16
    draws = (
        words(k, rows.astype(np.int64)[:, None] * per_row + np.arange(per_row)).astype("<u8", copy=False).view("<u2")
    )
    scale = np.float32(65536 / 255 if intensity.dtype == np.uint8 else 65536)
    threshold = intensity.reshape(len(rows), size).astype(np.float32) * scale
    return (draws[:, :size] < threshold).astype(np.uint8).reshape(intensity.shape)
