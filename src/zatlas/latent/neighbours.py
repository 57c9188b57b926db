"""The codes nearest to some others: exact, without an index."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array

_BLOCK = 1 << 17  # codes at a time: 16 units of them are 8 MB, which stay in a processor's cache


class Neighbours:
    """Codes among which the nearest are searched, by Euclidean distance.

    Distances are first taken in float32, |c|^2 - 2 c.q, by one matrix product a block, which reads the codes once: for
    10^6 codes of 16 units 64 MB. Those that rounding might have put behind the k-th are then measured in float64, so
    the answer is that of a search in float64. Trees were not taken: in 16 dimensions they visit most of the codes.

    Args:
        codes: ``[N, D]``, finite.

    >>> index, distance = Neighbours(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])).nearest(np.zeros((1, 2)), 2)
    >>> index.tolist(), distance.tolist()
    ([[0, 2]], [[0.0, 1.0]])
    """

    def __init__(self, codes: Array) -> None:
        codes = np.asarray(codes)
        self._codes = codes.reshape(len(codes), -1)
        self._middle = self._codes.mean(0, dtype=np.float64)  # near the origin float32 cancels least
        self._centred = np.ascontiguousarray(self._codes - self._middle, np.float32)
        self._squares = np.einsum("nd,nd->n", self._centred, self._centred)

    def nearest(self, queries: Array, k: int) -> tuple[Array, Array]:
        """The k codes nearest to each of Q queries ``[Q, D]``, nearest first, of equal ones the first.

        Returns:
            index ``[Q, k]`` (int64), distance ``[Q, k]`` (float64); k is at most N.
        """
        k = min(k, len(self._codes))
        found = [self._one(query, k) for query in np.asarray(queries).reshape(len(queries), -1)]
        return np.stack([index for index, _ in found]), np.stack([distance for _, distance in found])

    def _one(self, query: Array, k: int) -> tuple[Array, Array]:
        centred = np.asarray(query - self._middle, np.float32)
        ranks = np.empty(len(self._codes), np.float32)
        nearest = np.empty(0, np.float32)  # the k smallest so far
        for start in range(0, len(ranks), _BLOCK):
            block = slice(start, start + _BLOCK)
            ranks[block] = self._squares[block] - np.float32(2) * (self._centred[block] @ centred)
            part = ranks[block]
            if len(nearest) == k:
                part = part[part < nearest.max()]
            nearest = np.concatenate([nearest, part])
            if len(nearest) > k:
                nearest = np.partition(nearest, k - 1)[:k]
        limit = float(nearest.max())
        # a code that belongs to the k is no farther from the middle than the query and the k-th distance together, and
        # D products of such numbers are summed in float32; eight times what that can be wrong by at first order
        away = float(np.linalg.norm(centred))
        reach = away + np.sqrt(max(limit + away**2, 0.0))
        error = 8 * (len(centred) + 4) * float(np.finfo(np.float32).eps) * reach**2
        close = np.flatnonzero(ranks <= limit + error)
        gap = self._codes[close].astype(np.float64) - np.asarray(query, np.float64)
        distance = np.sqrt(np.einsum("nd,nd->n", gap, gap))
        order = np.lexsort((close, distance))[:k]
        return close[order].astype(np.int64), distance[order]
