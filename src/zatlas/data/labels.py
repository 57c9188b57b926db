"""Labels as people have them, turned into class numbers or real columns."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.data.content import check_room
from zatlas.data.npy import read_npy
from zatlas.errors import UsageError, ZatlasError, reading
from zatlas.files import regular
from zatlas.types import LabelKind


class Labels(NamedTuple):
    """Kind, names of the Y columns, and values: class numbers int64 ``[N]`` or float32 ``[N, Y]``."""

    kind: LabelKind
    names: tuple[str, ...]
    values: npt.NDArray[Any] | None


NO_LABELS = Labels("none", (), None)


def make_labels(given: Any, n: int, where: str, names: Sequence[str] | None = None) -> Labels:
    """Labels for n examples.

    Args:
        given: 1-D whole numbers, booleans or words: classes, sorted (numbers by size, words by letter).
            1-D or 2-D floats: real labels ``[N, Y]``. None: no labels.
        n: number of examples.
        where: what to call the data in an error.
        names: names to use; for classes ``names[i]`` names the number i.

    Raises:
        ZatlasError: another length, a missing or infinite value, objects, more than two dimensions.
    """
    if given is None:
        return NO_LABELS
    with reading(f"{where}: the labels", "give one label each"):  # rows of different lengths are no array
        values = np.asarray(given)
    if values.ndim not in (1, 2) or len(values) != n or 0 in values.shape:
        raise ZatlasError(
            f"{where}: labels of shape {list(values.shape)} do not go with {n} examples: give one label each."
        )
    if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind in "iubUS":
        values = values[:, 0]
    if values.dtype.kind in "iubUS" and values.ndim == 1:
        with reading(f"{where}: the labels", "save them again"):  # four bytes of a damaged word may be no character
            kinds, codes = np.unique(values, return_inverse=True)
            words = [_word(kind) for kind in kinds.tolist()]
        if names is not None and values.dtype.kind in "iu":
            words = [names[int(k)] if 0 <= k < len(names) else str(k) for k in kinds]
        return Labels("class", tuple(words), codes.astype(np.int64))
    if values.dtype.kind not in "fiub":
        raise ZatlasError(
            f"{where}: labels of type {values.dtype} cannot be used: give whole numbers, words or floats."
        )
    with np.errstate(all="ignore"):
        real = values.astype(np.float32).reshape(n, -1)
    if not np.isfinite(real).all():
        row = int(np.flatnonzero(~np.isfinite(real).all(axis=1))[0])
        raise ZatlasError(
            f"{where}: the label of row {row} is not a finite 32-bit number: remove the row or mend its label."
        )
    columns = tuple(names or (f"y{i}" for i in range(real.shape[1])))
    return Labels("real", columns, real)


def _word(value: Any) -> str:
    """A label for people; bytes that are no text become escapes, which a run's record can hold."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def make_factors(given: Any, n: int, where: str, names: Any = ()) -> tuple[npt.NDArray[Any] | None, tuple[str, ...]]:
    """Known factors of n examples and their names.

    Args:
        given: numbers ``[N, F]``, or ``[N]`` for a single factor; None: no factors.
        n: number of examples.
        where: what to call the data in an error.
        names: names to use; empty: f0, f1, ...

    Returns:
        ``[N, F]``, int64 where all are whole numbers and float64 where one of them is not; and F names.

    Raises:
        ZatlasError: another length, no numbers, one that is not finite, or other than F different names.
    """
    if given is None:
        return None, ()
    values = np.asarray(given)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != n or 0 in values.shape:
        raise ZatlasError(
            f"{where}: factors of shape {list(np.shape(given))} do not go with {n} examples: give [{n}, factors]."
        )
    if values.dtype.kind not in "biuf":
        raise ZatlasError(f"{where}: factors of type {values.dtype} cannot be used: give whole numbers or floats.")
    with np.errstate(all="ignore"):
        real = values.astype(np.float64)
    if not np.isfinite(real).all():
        row, column = np.argwhere(~np.isfinite(real))[0].tolist()
        raise ZatlasError(
            f"{where}: factor {column} of row {row} is not a finite number: remove the row or fill it in."
        )
    with reading(f"{where}: the factor names", "save them again"):
        called = tuple(_word(name) for name in np.asarray(names).reshape(-1).tolist())
    called = called or tuple(f"f{i}" for i in range(values.shape[1]))
    if len(called) != values.shape[1] or len(set(called)) < len(called):
        raise ZatlasError(f"{where}: {len(called)} names do not go with {values.shape[1]} factors: give each its own.")
    whole = bool((real == np.round(real)).all()) and float(np.abs(real).max()) < 2.0**63
    return values.astype(np.int64) if whole else real, called


_MEND = "give an .npy or a text file with one label a line"


def read_label_file(file: str | Path) -> npt.NDArray[Any]:
    """The labels in an .npy, or in a text file (.csv: with quotes) with one label a line.

    Lines that are all whole numbers (3, 3.0) are int64, all numbers float64, any others words. Empty lines at the end
    are passed over.

    Raises:
        UsageError: the file is not there, or is no text.
        ZatlasError: a line is empty, has several columns, or is a number that 64 bits cannot hold.
    """
    path = regular(file, " for the labels")
    what = f"the labels {path}"
    if path.suffix.lower() == ".npy":
        return read_npy(path, what)
    check_room(8 * path.stat().st_size, what, _MEND)
    with reading(what, _MEND):
        content = path.read_bytes()
    if content.startswith(b"PK\3\4"):
        raise UsageError(f"{what} is a zip archive or a spreadsheet: {_MEND}.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is not UTF-8 text (byte {error.start}): {_MEND}.") from None
    if "\0" in text:
        raise UsageError(f"{what} holds NUL bytes, so it is no UTF-8 text: {_MEND}.")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    if path.suffix.lower() == ".csv":
        with reading(what, "give one label a line"):
            rows = list(csv.reader(lines))
        if several := next((row for row in rows if len(row) > 1), None):
            raise ZatlasError(f"{what} has {len(several)} columns: give one with the labels alone, one a line.")
        lines = [row[0] if row else "" for row in rows]
    words = [line.strip() for line in lines]
    if "" in words:
        raise ZatlasError(f"{what}: line {words.index('') + 1} holds no label: fill it in.")
    return _numbers(words, what)


def _numbers(words: list[str], what: str) -> npt.NDArray[Any]:
    """Words as whole numbers or floats where all of them are."""
    try:
        return np.array([int(word) for word in words], dtype=np.int64)
    except OverflowError:
        line = next(i for i, word in enumerate(words, 1) if abs(int(word)) >= 2**63)
        raise ZatlasError(
            f"{what}: line {line} holds a whole number larger than 64 bits can hold: number the classes 0, 1, ..."
        ) from None
    except ValueError:
        pass
    try:
        real = np.array([float(word) for word in words])
    except ValueError:
        return np.array(words)
    classes = bool((real == np.round(real)).all()) and float(np.abs(real).max()) < 2.0**63  # as numpy.savetxt writes 3
    return real.astype(np.int64) if classes else real
