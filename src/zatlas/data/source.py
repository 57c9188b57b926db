"""What data is to zatlas: a numbered row of examples that can be read in any order, and its fixed division in three."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from zatlas.types import DataSpec

Rows = npt.NDArray[np.int64]


class Source(Protocol):
    """N examples, each with a fixed row number.

    Attributes:
        name: what people call it (``"mnist"``, or the path given).
        spec: shape, values and labels.
        factors: known generating factors ``[N, F]``, int64 or (where one is real) float64, or None.
        factor_names: names of the F factors.
        test_rows: rows that the data's authors set aside for testing, or None where nobody has.
        validation_rows: rows that they set aside for validation, or None.
        names: of the files that the examples came from, or None where they came from no files of their own.
        about: plain facts to show a person: source, licence, decisions taken (resize, crop, channels); ``"factor"``
            where the values given were multiplied by one to be shown.

    A source of your own may leave out what stands in :data:`OPTIONAL`, and ``read_labels`` where it has none
    (:func:`completed`).
    """

    name: str
    spec: DataSpec
    factors: npt.NDArray[Any] | None
    factor_names: tuple[str, ...]
    test_rows: Rows | None
    about: dict[str, Any]

    @property
    def validation_rows(self) -> Rows | None: ...

    @property
    def names(self) -> Sequence[str] | None: ...

    def __len__(self) -> int: ...

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        """Examples ``[len(rows), *shape]``, uint8 (values "uint8") or float32 (values "unit", "real")."""
        ...

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        """Class numbers int64 ``[len(rows)]`` or real labels float32 ``[len(rows), Y]``; None without labels."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the examples and labels as they are read; the same content gives the same one anywhere."""
        ...


OPTIONAL: Mapping[str, Any] = {
    "factors": None,
    "factor_names": (),
    "test_rows": None,
    "validation_rows": None,
    "names": None,
    "about": {},
}
NEEDED = ("name", "spec", "__len__", "read", "fingerprint")


def completed(source: Any) -> Source:
    """A source of a person's own, with the values that mean "there is none" for what it leaves out.

    >>> class Ones:
    ...     name, spec = "ones", None
    >>> completed(Ones()).test_rows is None
    True
    """
    for word, value in OPTIONAL.items():
        if not hasattr(source, word):
            setattr(source, word, copy.copy(value))
    if not hasattr(source, "read_labels"):
        source.read_labels = lambda rows: None
    return source


class Splits(NamedTuple):
    """Sorted, disjoint row numbers."""

    train: Rows
    validation: Rows
    test: Rows


def evenly_spaced(rows: Rows, n: int | None, *, repeat: bool = False) -> Rows:
    """n of the rows, evenly spaced from the first to the last; all where there are no more, or n is None.

    Args:
        rows: ``[N]``, in any order, which is kept.
        n: how many.
        repeat: where there are fewer than n, some are taken more than once, so that there are n.

    >>> evenly_spaced(np.arange(10), 4), evenly_spaced(np.arange(2), 4), evenly_spaced(np.arange(2), 4, repeat=True)
    (array([0, 3, 6, 9]), array([0, 1]), array([0, 0, 0, 1]))
    """
    if n is None:
        return rows
    places = np.linspace(0, len(rows) - 1, n if repeat else min(n, len(rows)))
    return rows[places.astype(np.int64)]
