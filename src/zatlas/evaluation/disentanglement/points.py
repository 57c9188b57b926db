"""Codes beside the factors that made them: what is refused, and what is only warned of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError

LEAST_POINTS = 20
ADVISED_POINTS = 1000


@dataclass(frozen=True, eq=False)
class Points:
    """Codes ``[N, D]`` and integer factors ``[N, F]`` that passed the checks.

    Attributes:
        codes: finite floats.
        factors: int64.
        varied: the columns of ``factors`` that take more than one value; means over factors are over these.
        warnings: what is odd about them.
    """

    codes: Array
    factors: Array
    varied: tuple[int, ...]
    warnings: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, int]:
        """D and F, the shape of a matrix over units and factors."""
        return self.codes.shape[1], self.factors.shape[1]


def listed(what: str, numbers: Array | list[int]) -> str:
    """``unit 3``, or ``units 3, 7``."""
    return f"{what}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def check_codes(codes: Array, what: str = "the codes") -> Array:
    """Codes ``[N, D]`` as finite floats.

    Raises:
        UsageError: they are not a table, not numbers or not finite, or have fewer than 20 rows.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] == 0:
        raise UsageError(f"{what} must be a table [N, D] with a column for each unit, not of shape {codes.shape}.")
    if not (np.issubdtype(codes.dtype, np.floating) or np.issubdtype(codes.dtype, np.integer)):
        raise UsageError(f"{what} must be real numbers, not {codes.dtype}.")
    if len(codes) < LEAST_POINTS:
        raise UsageError(f"{what} have {len(codes)} rows, and at least {LEAST_POINTS} are needed.")
    broken = ~np.isfinite(codes).all(axis=1)
    if broken.any():
        raise UsageError(
            f"{what} hold NaN or infinity in {broken.sum()} of {len(codes)} rows, first in {broken.argmax()}."
        )
    # float32 stays float32: bins are set in the codes' own precision, as np.histogram sets them
    return codes if np.issubdtype(codes.dtype, np.floating) else codes.astype(np.float64)


def check_factors(factors: Array, what: str = "the factors") -> Array:
    """Factors ``[N, F]`` as int64; whole floats are taken as integers.

    Raises:
        UsageError: they are no table, not whole numbers, or a factor's values hardly ever occur twice.
    """
    factors = np.asarray(factors)
    if factors.ndim != 2 or 0 in factors.shape:
        raise UsageError(f"{what} must be a table [N, F] with a column for each factor, not of shape {factors.shape}.")
    if factors.dtype.kind not in "biuf" or (factors.dtype.kind == "f" and not (factors == np.round(factors)).all()):
        raise UsageError(f"{what} must be whole numbers; give a continuous factor as the number of its bin.")
    factors = factors.astype(np.int64)
    for f, column in enumerate(factors.T):
        if (values := len(np.unique(column))) > max(2, len(factors) // 2):
            raise UsageError(
                f"factor {f} takes {values} values in {len(factors)} rows, too few rows each to learn from; bin it."
            )
    return factors


def check_points(codes: Array, factors: Array, what: str = "the codes") -> Points:
    """Codes ``[N, D]`` and factors ``[N, F]`` of the same N examples.

    Raises:
        UsageError: a shape, NaN, fractions, or too few rows.
    """
    codes, factors = check_codes(codes, what), check_factors(factors)
    if len(codes) != len(factors):
        raise UsageError(
            f"{what} have {len(codes)} rows and the factors {len(factors)}; give both for the same examples."
        )
    warnings = []
    if dead := np.flatnonzero(codes.min(axis=0) == codes.max(axis=0)).tolist():
        warnings.append(f"{listed('unit', dead)} of {what} never change: they carry nothing.")
    if codes.shape[1] == 1:
        warnings.append("A single unit has no other to be compared with.")
    spread = factors.min(axis=0) != factors.max(axis=0)
    if not spread.all():
        warnings.append(f"{listed('factor', np.flatnonzero(~spread).tolist())} never change, and are left out.")
    if spread.sum() < 2:
        warnings.append("Fewer than two factors vary, so there is nothing to tell apart.")
    if len(codes) < ADVISED_POINTS:
        warnings.append(f"{len(codes)} points are few: {ADVISED_POINTS} are advised, and 10,000 are usual.")
    return Points(codes, factors, tuple(np.flatnonzero(spread).tolist()), tuple(warnings))


def check_split(codes: Array, factors: Array, codes_test: Array, factors_test: Array) -> tuple[Points, Points]:
    """Points to learn from, and points to be tested on.

    Raises:
        UsageError: as ``check_points``, or the two differ in their units or factors.
    """
    train, test = check_points(codes, factors), check_points(codes_test, factors_test, "the test codes")
    if train.shape != test.shape:
        raise UsageError(
            f"there are {train.shape[0]} units and {train.shape[1]} factors to learn from, and {test.shape[0]} and "
            f"{test.shape[1]} to be tested on; give both the same columns."
        )
    unseen = [f for f in train.varied if not np.isin(test.factors[:, f], train.factors[:, f]).all()]
    if unseen:
        more = f"{listed('factor', unseen)} take values in the test points that training never showed."
        train = Points(train.codes, train.factors, train.varied, (*train.warnings, more))
    return train, test
