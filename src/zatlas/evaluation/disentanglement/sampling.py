"""Batches in which one factor is fixed, from a finite table of factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.points import check_factors, listed

Represent = Callable[[Array], Array]  # row numbers [n] -> codes [n, D]; for codes at hand, codes.__getitem__

_ROWS_AT_ONCE = 16_384
_FEW_ROWS = 8


class FactorTable:
    """Factors ``[N, F]`` of rows that can be drawn at will.

    Where the table is a full grid, drawing among its rows is drawing the free factors independently, as the measures
    were defined; elsewhere it is drawing from the data as they are.

    Args:
        factors: integers ``[N, F]``.

    Raises:
        UsageError: they are no table of whole numbers, or none of them varies.
    """

    def __init__(self, factors: Array) -> None:
        factors = check_factors(factors)
        spread = factors.min(axis=0) != factors.max(axis=0)
        self.count, self.width = factors.shape
        self.varied: tuple[int, ...] = tuple(np.flatnonzero(spread).tolist())
        warnings = []
        if not spread.all():
            warnings.append(f"{listed('factor', np.flatnonzero(~spread).tolist())} never change, and are left out.")
        if len(self.varied) < 2:
            warnings.append("Fewer than two factors vary, so there is nothing to tell apart.")
        self._groups: dict[int, tuple[Array, Array, Array, Array]] = {}
        scarce = []
        for f in self.varied:
            _, label, sizes = np.unique(factors[:, f], return_inverse=True, return_counts=True)
            order = np.argsort(label, kind="stable")
            self._groups[f] = (label, sizes, np.cumsum(sizes) - sizes, order)
            if sizes.min() < _FEW_ROWS:
                scarce.append(f)
        if scarce:
            warnings.append(f"{listed('factor', scarce)} have values with fewer than {_FEW_ROWS} rows to draw from.")
        self.warnings = tuple(warnings)

    def partners(self, rows: Array, factors: Array, rng: np.random.Generator) -> Array:
        """For each of ``rows`` ``[T, B]`` a row that has the same value of factor ``factors`` ``[T]``."""
        out = rows.copy()  # as they are, where the factor never changes
        for f, (label, sizes, starts, order) in self._groups.items():
            trials = factors == f
            value = label[rows[trials]]
            out[trials] = order[starts[value] + rng.integers(sizes[value])]
        return out


def represent_batches(represent: Represent, rows: Array, reduce: Callable[[Array], Array]) -> Array:
    """``reduce(codes [t, B, D])`` for trials of rows ``[T, B]``, some trials at a time.

    Raises:
        UsageError: what came back is no finite ``[n, D]``.
    """
    trials = max(1, _ROWS_AT_ONCE // rows.shape[1])
    out = []
    for start in range(0, len(rows), trials):
        part = rows[start : start + trials]
        codes = np.asarray(represent(part.ravel()))
        if codes.ndim != 2 or len(codes) != part.size:
            raise UsageError(f"represent gave {codes.shape} for {part.size} rows; it must give [{part.size}, D].")
        if not np.isfinite(codes).all():
            raise UsageError("represent gave codes that hold NaN or infinity.")
        out.append(reduce(codes.reshape(*part.shape, -1)))
    return np.concatenate(out)
