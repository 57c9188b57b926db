"""How a person's y and the label columns of a conditional model correspond."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError, nearest
from zatlas.types import DataSpec

PLAIN = (str, int, bool)


def _unique(values: Array) -> Array:
    """The different values, sorted; those that cannot be compared by their type and text."""
    try:
        return np.unique(values)
    except TypeError:
        kinds = sorted(set(values.tolist()), key=lambda value: (type(value).__name__, str(value)))
        return np.fromiter(kinds, dtype=object, count=len(kinds))


def _given(y: Any) -> Array:
    values = np.asarray(y)
    if values.ndim not in (1, 2):
        raise UsageError(f"y of shape {list(values.shape)} cannot be used: give one label, or Y numbers, for each row.")
    if values.ndim == 2 and values.shape[1] == 1 and values.dtype.kind != "f":
        values = values[:, 0]
    return values


@dataclass(frozen=True)
class Labelling:
    """Classes or real columns.

    Args:
        kind: ``"class"`` or ``"real"``.
        names: names of the Y columns.
        classes: the classes as people write them ``[Y]``; None for real columns.
        prior: p(y) of the classes, their frequencies in the training data ``[Y]``; None for real columns.
    """

    kind: Literal["class", "real"]
    names: tuple[str, ...]
    classes: Array | None = None
    prior: Array | None = None

    @classmethod
    def learn(cls, y: Any, classes: Any = None) -> Self:
        """From the labels of the training data: floats and two-dimensional y are real, all else are classes.

        Args:
            y: labels ``[N]`` or ``[N, Y]``.
            classes: all classes that there will be, of equal prior then; None: those in y, by their frequencies.

        Raises:
            UsageError: a single class, a missing label, or labels that are written alike.
        """
        values = _given(y)
        if values.dtype.kind == "f" or values.ndim == 2:
            width = 1 if values.ndim == 1 else values.shape[1]
            made = cls("real", tuple(f"y{i}" for i in range(width)))
            made.values(values)
            return made
        if values.dtype.kind == "O" and any(value is None or value != value for value in values.tolist()):  # noqa: PLR0124
            raise UsageError("y has missing labels: remove their rows.")
        kinds = _unique(values if classes is None else np.asarray(classes))
        names = tuple(str(kind) for kind in kinds.tolist())
        if len(kinds) < 2:
            raise UsageError(f"y has only one class ({names[0]}), and a conditional model wants two: use a VAE.")
        if len(set(names)) < len(names):
            raise UsageError("y has different classes that are written alike, as 1 and '1': rename them.")
        numbers = cls("class", names, kinds).values(values)
        counts = np.bincount(numbers, minlength=len(kinds)) if classes is None else np.ones(len(kinds))
        return cls("class", names, kinds, counts / counts.sum())

    @classmethod
    def of_names(cls, kind: Literal["class", "real"], names: tuple[str, ...]) -> Self:
        """For a run that no estimator made: classes of equal frequency, whole numbers where all names are."""
        if kind == "real":
            return cls(kind, names)
        numbers = all(name.removeprefix("-").isdecimal() for name in names)
        classes = np.array([int(name) for name in names] if numbers else list(names))
        return cls(kind, names, classes, np.full(len(names), 1 / len(names)))

    def values(self, y: Any) -> Array:
        """Class numbers int64 ``[N]``, or real labels float32 ``[N, Y]``.

        Raises:
            UsageError: an unknown class, another number of columns, NaN or infinity.
        """
        given = _given(y)
        if self.kind == "class":
            assert self.classes is not None
            if given.ndim != 1:
                raise UsageError(f"y of shape {list(given.shape)} cannot be used: give one class for each row.")
            codes = {kind: code for code, kind in enumerate(self.classes.tolist())}
            named = {name: code for code, name in enumerate(self.names)}
            found = [codes.get(value, named.get(str(value), -1)) for value in given.tolist()]
            if -1 in found:
                raise UsageError(
                    f"there is no class {given.tolist()[found.index(-1)]!r}; "
                    f"{nearest(str(given[found.index(-1)]), self.names)}"
                )
            return np.array(found, dtype=np.int64)
        try:
            real = given.reshape(len(given), -1).astype(np.float32)
        except (TypeError, ValueError):
            raise UsageError("y holds words, and this estimator was fitted on real labels: give numbers.") from None
        if real.shape[1] != len(self.names):
            raise UsageError(f"y has {real.shape[1]} columns, and this estimator wants {len(self.names)}.")
        if not np.isfinite(real).all():
            raise UsageError("Input y contains NaN or infinity: remove those rows or mend their labels.")
        return real

    def describe(self, spec: DataSpec) -> DataSpec:
        """The same data with these labels."""
        return replace(spec, label_kind=self.kind, labels=self.names)

    def columns(self, y: Any) -> Array:
        """y as the model sees it, float32 ``[N, Y]``: one-hot for classes."""
        values = self.values(y)
        return np.eye(len(self.names), dtype=np.float32)[values] if self.kind == "class" else values

    def to_json(self) -> dict[str, Any]:
        """Plain values.

        Raises:
            UsageError: classes that JSON cannot hold.
        """
        record: dict[str, Any] = {"kind": self.kind, "names": list(self.names)}
        if self.classes is not None and self.prior is not None:
            values = self.classes.tolist()
            if not all(isinstance(value, PLAIN) for value in values):
                raise UsageError("only classes that are words or whole numbers can be saved: rename the others.")
            record |= {"classes": values, "dtype": self.classes.dtype.str, "prior": self.prior.tolist()}
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        if record["kind"] == "real":
            return cls("real", tuple(record["names"]))
        classes = np.array(record["classes"], dtype=np.dtype(record["dtype"]))
        return cls("class", tuple(record["names"]), classes, np.array(record["prior"]))
