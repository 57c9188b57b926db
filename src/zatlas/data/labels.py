"""Labels as people have them, turned into class numbers or real columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.errors import UsageError, ZatlasError
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
    values = np.asarray(given)
    if values.ndim not in (1, 2) or len(values) != n:
        raise ZatlasError(
            f"{where}: labels of shape {list(values.shape)} do not go with {n} examples: give one label each."
        )
    if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind in "iubUS":
        values = values[:, 0]
    if values.dtype.kind in "iubUS" and values.ndim == 1:
        kinds, codes = np.unique(values, return_inverse=True)
        words = [k.decode("utf-8", "replace") if isinstance(k, bytes) else str(k) for k in kinds.tolist()]
        if names is not None and values.dtype.kind in "iu" and kinds[0] >= 0 and kinds[-1] < len(names):
            words = [names[int(k)] for k in kinds]
        return Labels("class", tuple(words), codes.astype(np.int64))
    if values.dtype.kind not in "fiub":
        raise ZatlasError(
            f"{where}: labels of type {values.dtype} cannot be used: give whole numbers, words or floats."
        )
    real = values.astype(np.float32).reshape(n, -1)
    if not np.isfinite(real).all():
        row = int(np.flatnonzero(~np.isfinite(real).all(axis=1))[0])
        raise ZatlasError(f"{where}: the label of row {row} is not a finite number: remove the row or mend its label.")
    columns = tuple(names or (f"y{i}" for i in range(real.shape[1])))
    return Labels("real", columns, real)


def read_label_file(path: Path) -> npt.NDArray[Any]:
    """The labels in an .npy, or in a text file with one label a line (whole numbers where all of them are).

    Raises:
        UsageError: the file is not there or cannot be read.
    """
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, EOFError):
        raise UsageError(
            f"the labels {path} cannot be read: give an .npy or a text file with one label a line."
        ) from None
    try:
        return np.array([int(line) for line in lines], dtype=np.int64)
    except ValueError:
        return np.array([line.strip() for line in lines])
