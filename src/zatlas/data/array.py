"""Examples in an array, in memory or in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zatlas.data.content import fingerprint, pieces, release, take
from zatlas.data.labels import make_factors, make_labels
from zatlas.data.source import Rows
from zatlas.data.stored import StoredRows, recalled
from zatlas.errors import ZatlasError
from zatlas.types import DataSpec, Values


class ArraySource:
    """N examples in one array, read row by row: one in files is never loaded whole.

    Args:
        name: what people call it.
        x: ``[N, H, W]``, ``[N, H, W, 1|3]``, ``[N, 1|3, H, W]`` or vectors ``[N, features]``. uint8 gives values
            "uint8", image-shaped floats within [0, 1] "unit", all else "real". Booleans, and bytes or images of whole
            numbers that are only 0 and 1, are shown as 0 and 255, other images of whole numbers within 0..255 as uint8.
        labels: ``[N]`` whole numbers or words (classes), ``[N]`` or ``[N, Y]`` floats, or None.
        label_names: names of the classes 0, 1, ... or of the real columns.
        factors: known generating factors ``[N, F]``, or one ``[N]``: whole numbers or real ones.
        factor_names: their names.
        test_rows: rows set aside for testing by the data's authors.
        validation_rows: rows set aside for validation by them.
        about: plain facts to show.

    Raises:
        ZatlasError: no rows, an unknown shape or type, a NaN or an infinity, all examples the same, labels or factors
            that do not fit.

    >>> ArraySource("noise", np.random.default_rng(0).random((10, 8, 6))).spec.shape
    (1, 8, 6)
    """

    def __init__(
        self,
        name: str,
        x: npt.NDArray[Any] | StoredRows,
        labels: Any = None,
        *,
        label_names: Sequence[str] | None = None,
        factors: npt.NDArray[Any] | None = None,
        factor_names: Any = (),
        test_rows: Rows | None = None,
        validation_rows: Rows | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        shape, self._channels_last = check_layout(name, x.dtype, x.shape)
        seen = _Seen(**recalled(x, "values", lambda: _look_through(name, x)._asdict()))
        values, self._factor = _values(x, seen, is_image=len(shape) == 3)
        self._x = x
        self._labels = make_labels(labels, len(x), name, label_names)
        self.name = name
        self.spec = DataSpec(shape, values, self._labels.kind, self._labels.names)
        self.factors, self.factor_names = make_factors(factors, len(x), name, factor_names)
        self.test_rows, self.validation_rows, self.names = test_rows, validation_rows, None
        self.about = dict(about or {})
        if self._factor == 255:
            self.about |= {"values": "0 and 1, shown as 0 and 255", "factor": self._factor}
        self._fingerprint = ""

    def __len__(self) -> int:
        return len(self._x)

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        """Examples ``[len(rows), *shape]``; a view of the array itself where that is possible."""
        x = take(self._x, rows)
        if isinstance(self._x, np.memmap) and not np.may_share_memory(x, self._x):  # copied out of it, not a view
            release(self._x)
        if x.ndim == 3 or (x.ndim == 4 and self._channels_last and x.shape[3] == 1):
            x = x.reshape(len(x), *self.spec.shape)
        elif x.ndim == 4 and self._channels_last:
            x = x.transpose(0, 3, 1, 2)
        x = np.asarray(x, dtype=np.uint8 if self.spec.values == "uint8" else np.float32)
        return x if self._factor == 1 else x * np.uint8(self._factor)

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        return None if self._labels.values is None else self._labels.values[rows]

    def fingerprint(self) -> str:
        if not self._fingerprint:
            labels = b"" if self._labels.values is None else self._labels.values.tobytes()
            what = f"{json.dumps(self.spec.to_json(), sort_keys=True)} {hashlib.sha256(labels).hexdigest()}"
            found = recalled(self._x, f"fingerprint {what}", lambda: {"sha256": fingerprint(self)})
            self._fingerprint = str(found["sha256"])
        return self._fingerprint


def check_layout(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """The shape of one example in an array of that type and shape, and whether its channels come last.

    Raises:
        ZatlasError: such an array cannot be used as examples.
    """
    given = f"an array of shape {list(shape)}"
    if dtype.kind not in "buif":
        raise ZatlasError(f"{name}: an array of type {dtype} cannot be used: give uint8, whole numbers or floats.")
    if shape[:1] == (0,):
        raise ZatlasError(f"{name}: there are no rows in {given}.")
    if 0 in shape:
        raise ZatlasError(f"{name}: the examples of {given} are empty.")
    if len(shape) == 2:
        return (shape[1],), False
    if len(shape) == 3:
        return (1, shape[1], shape[2]), True
    if len(shape) == 4 and shape[1] in (1, 3):  # zatlas's own layout wins where both could be meant
        return tuple(shape[1:]), False
    if len(shape) == 4 and shape[3] in (1, 3):
        return (shape[3], shape[1], shape[2]), True
    raise ZatlasError(
        f"{name}: {given} holds neither images ([N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W]) nor vectors "
        "([N, features])."
    )


class _Seen(NamedTuple):
    low: float
    high: float


def _look_through(name: str, x: npt.NDArray[Any] | StoredRows) -> _Seen:
    """Smallest and largest value; whole-number data is read only until it has shown what it is."""
    low, high, varied, exact = np.inf, -np.inf, len(x) == 1, x.dtype.kind == "f"
    limit = float(np.finfo(np.float32).max)
    for piece in pieces(len(x), x[:1].nbytes):
        part = x[piece]
        # Python floats, as numpy compares float16 with float16(limit), which is infinite; min and max keep a NaN
        low, high = float(np.minimum(low, part.min())), float(np.maximum(high, part.max()))
        if exact and not (low >= -limit and high <= limit):
            with np.errstate(all="ignore"):
                bad = ~(np.abs(part.astype(np.float64)) <= limit)
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ZatlasError(
                f"{name}: row {piece.start + place[0]} holds {part[place]} at {list(place[1:])}: "
                "remove or fill in what is not a finite 32-bit number."
            )
        varied = varied or bool((part != x[0]).any())
        release(x)
        if varied and x.dtype in (np.uint8, np.bool_) and (high > 1 or x.dtype == np.bool_):
            break
    if not varied:
        raise ZatlasError(f"{name}: all {len(x)} examples are the same, so there is nothing to learn.")
    return _Seen(low, high)


def _values(x: npt.NDArray[Any] | StoredRows, seen: _Seen, *, is_image: bool) -> tuple[Values, int]:
    """How the values are shown, and the factor on whole numbers that are only 0 and 1."""
    whole = x.dtype.kind in "bui"
    if whole and (is_image or x.dtype in (np.uint8, np.bool_)) and seen.low >= 0 and seen.high <= 1:
        return "uint8", 255
    if x.dtype == np.uint8 or (is_image and whole and seen.low >= 0 and seen.high <= 255):
        return "uint8", 1
    return ("unit" if is_image and seen.low >= 0 and seen.high <= 1 else "real"), 1
