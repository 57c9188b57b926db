"""Examples that a person has in Python: arrays, a torch Dataset or DataLoader, a ``datasets.Dataset``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from zatlas.arrays import Array
from zatlas.data.array import ArraySource
from zatlas.data.source import Source, completed
from zatlas.decoding.geometry import Geometry
from zatlas.errors import UsageError, ZatlasError

IMAGES = ("image", "img", "x", "pixel_values", "data", "input")
LABELS = ("label", "labels", "y", "target", "fine_label")


def own_source(data: Any, *, labels: str | None = None, name: str = "data") -> Source:
    """The examples of a Python object as a source.

    Args:
        data: an array or tensor ``[N, ...]``; a pair of one with labels; a Source; a torch Dataset or the Dataset of a
            DataLoader, whose items are x, (x, y) or a mapping; a ``datasets.Dataset``.
        labels: of a mapping or a ``datasets.Dataset``, the key of the labels.
        name: what people call it.

    A Dataset is read through once, in its order, into memory: transforms that draw at random are drawn once.

    Raises:
        UsageError: it is none of these.
        ZatlasError: items that are no numbers, or of several shapes; memory.
    """
    if isinstance(data, DataLoader):
        data = data.dataset
    if all(hasattr(data, word) for word in ("read", "spec", "fingerprint")):
        return completed(data)
    if hasattr(data, "features") and hasattr(data, "select_columns"):
        return _of_hub(data, labels, name)
    if isinstance(data, tuple | list) and len(data) == 2 and not np.isscalar(data[0]) and hasattr(data[0], "__len__"):
        return ArraySource(name, _numbers(data[0], name), None if data[1] is None else _plain(data[1]))
    if isinstance(data, Dataset | IterableDataset) or (hasattr(data, "__getitem__") and hasattr(data, "transform")):
        return _read_through(data, labels, type(data).__name__)
    if isinstance(data, torch.Tensor | np.ndarray) or hasattr(data, "__array__"):
        return ArraySource(name, _numbers(data, name))
    raise UsageError(
        f"data cannot be {type(data).__name__}: give a name or a path, an array or a pair (X, y), a torch Dataset or "
        "DataLoader, or a datasets.Dataset."
    )


def _plain(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _numbers(values: Any, name: str) -> Array:
    found = _plain(values)
    if not isinstance(found, np.ndarray) or found.dtype == object:
        raise UsageError(f"{name}: its examples are not of one shape, or are no numbers.")
    return found


def _of_hub(data: Any, labels: str | None, name: str) -> Source:
    """A ``datasets.Dataset``: its column of images, else every column of numbers as features."""
    from zatlas.data.hub import opened

    kinds = {column: type(feature).__name__ for column, feature in data.features.items()}
    if "Image" in kinds.values():
        return opened(data, name, labels, Geometry(None, None, None))
    column = labels or next((c for c, kind in kinds.items() if kind == "ClassLabel" or c in LABELS), None)
    features = [c for c in kinds if c != column]
    rows = data.with_format("numpy")[:]
    x = [np.asarray(rows[c]) for c in features]
    if len(x) == 1 and x[0].ndim > 1:
        return ArraySource(name, x[0], None if column is None else np.asarray(rows[column]))
    if any(values.dtype.kind not in "buif" or values.ndim != 1 for values in x):
        raise UsageError(f"{name} has neither a column of images nor columns of numbers alone: choose columns first.")
    return ArraySource(name, np.stack(x, 1).astype(np.float32), None if column is None else np.asarray(rows[column]))


def _read_through(data: Any, labels: str | None, name: str) -> ArraySource:
    """All items of a Dataset, in memory."""
    items: Iterable[Any] = data if isinstance(data, IterableDataset) else (data[i] for i in range(len(data)))
    xs: list[Array] = []
    ys: list[Any] = []
    for number, item in enumerate(items):
        x, y = _parted(item, labels)
        array = np.asarray(_plain(x))
        if array.dtype == object or (xs and array.shape != xs[0].shape):
            raise ZatlasError(
                f"{name}: item {number} is {_words(array)} and item 0 {_words(xs[0]) if xs else 'no numbers'}: give "
                "items of one shape."
            )
        xs.append(array)
        ys.append(y)
    if not xs:
        raise ZatlasError(f"{name} holds no items.")
    known = [y is not None for y in ys]
    if any(known) and not all(known):
        raise ZatlasError(f"{name}: item {known.index(False)} has no label and others have one.")
    try:
        x = np.stack(xs)
    except MemoryError:
        raise ZatlasError(
            f"{name}: {len(xs)} items of {_words(xs[0])} do not fit in memory: write them to an .npy file and train on "
            "that, which is read as it is needed."
        ) from None
    values = None if not all(known) else np.asarray([_plain(y) for y in ys])
    return ArraySource(name, x, values, label_names=getattr(data, "classes", None) if values is not None else None)


def _parted(item: Any, labels: str | None) -> tuple[Any, Any]:
    """x and y of one item."""
    if isinstance(item, Mapping):
        key = next((key for key in IMAGES if key in item), None)
        if key is None:
            raise UsageError(f"an item of the data has the keys {list(item)}, and none of {', '.join(IMAGES)}.")
        named = labels or next((key for key in LABELS if key in item), None)
        return item[key], None if named is None else item[named]
    if isinstance(item, tuple | list):
        return (item[0], item[1] if len(item) > 1 else None) if item else (np.empty(0), None)
    return item, None


def _words(array: Array) -> str:
    return f"of shape {list(array.shape)}" if array.dtype != object else "no array of numbers"
