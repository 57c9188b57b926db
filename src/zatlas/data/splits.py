"""The fixed division of a source in three."""

from __future__ import annotations

import numpy as np

from zatlas.data import counter_rng
from zatlas.data.source import Source, Splits
from zatlas.errors import UsageError, ZatlasError

# What folders and arrays of each split are called.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def _count(value: float, n: int, what: str) -> int:
    if value >= 1 and value % 1 != 0:  # of infinity that is NaN
        raise UsageError(f"{what} {value} is neither a fraction below 1 nor a whole number of rows.")
    if not value >= 0:
        raise UsageError(f"{what} {value} must be a fraction below 1 or a whole number of rows.")
    return int(value) if value >= 1 or value == 0 else max(1, round(value * n))


def split(source: Source, *, validation: float, test: float, seed: int) -> Splits:
    """Train, validation and test rows: sorted, disjoint, the same for the same content and seed anywhere.

    Args:
        source: the data. Rows that its authors set aside for testing or validation are that, whatever ``test`` and
            ``validation`` say.
        validation: below 1 a fraction of the rows that are not test rows, from 1 on a count; 0 leaves it empty.
        test: below 1 a fraction of all rows, from 1 on a count.
        seed: of the draw.

    Raises:
        UsageError: a negative or broken count.
        ZatlasError: no row would be left to train on.
    """
    n = len(source)
    key = counter_rng.key(seed, int(source.fingerprint()[:16], 16))
    if source.test_rows is None:
        free = np.arange(n) if source.validation_rows is None else np.setdiff1d(np.arange(n), source.validation_rows)
        order = free[counter_rng.permutation(key, len(free))]
        cut = _count(test, n, "test")
        testing, rest = order[:cut], order[cut:]
    else:
        testing = source.test_rows
        rest = np.setdiff1d(np.arange(n), testing)
        rest = rest[counter_rng.permutation(key, len(rest))]
    if source.validation_rows is not None:
        validating, rest = source.validation_rows, np.setdiff1d(rest, source.validation_rows)
    else:
        cut = _count(validation, len(rest), "validation")
        validating, rest = rest[:cut], rest[cut:]
    if not len(rest):
        raise ZatlasError(
            f"{source.name}: of {n} rows {len(testing)} are for testing and {len(validating)} for validation, which "
            "leaves none to train on: ask for fewer."
        )
    return Splits(np.sort(rest), np.sort(validating), np.sort(testing))
