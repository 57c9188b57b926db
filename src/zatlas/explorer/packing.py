"""Arrays and facts in one answer: what the page and the server, or the page and its own file, pass to one another.

Four bytes hold the length of the head (little-endian), the head is JSON in UTF-8 with blanks after it up to a multiple
of four, and the arrays follow one another, each at a multiple of four from the end of the head::

    {"facts": {…}, "arrays": [{"name": "mean", "dtype": "float32", "shape": [3, 1, 28, 28], "at": 0}]}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zatlas.arrays import Array

DTYPES = {"float32": "<f4", "int32": "<i4", "int16": "<i2", "uint8": "|u1"}


def pack(facts: Mapping[str, Any], arrays: Mapping[str, Array | None]) -> bytes:
    """One answer. Real arrays go as float32, whole numbers as int32, int16 and uint8 as they are; None is left out.

    >>> unpack(pack({"n": 2}, {"z": np.zeros((2, 3))}))[1]["z"].shape
    (2, 3)
    """
    entries, parts, at = [], [], 0
    for name, values in arrays.items():
        if values is None:
            continue
        kind = _dtype(values)
        data = np.ascontiguousarray(values).astype(DTYPES[kind], copy=False).tobytes()
        entries.append({"name": name, "dtype": kind, "shape": list(values.shape), "at": at})
        data += bytes(-len(data) % 4)
        parts.append(data)
        at += len(data)
    head = json.dumps({"facts": plain(facts), "arrays": entries}, ensure_ascii=True, allow_nan=False).encode()
    head += b" " * (-len(head) % 4)
    return b"".join([len(head).to_bytes(4, "little"), head, *parts])


def unpack(answer: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The facts and the arrays of an answer."""
    size = int.from_bytes(answer[:4], "little")
    head = json.loads(answer[4 : 4 + size])
    start, arrays = 4 + size, {}
    for entry in head["arrays"]:
        dtype, count = np.dtype(DTYPES[entry["dtype"]]), math.prod(entry["shape"])
        values = np.frombuffer(answer, dtype, count, start + entry["at"])
        arrays[entry["name"]] = values.reshape(entry["shape"])
    return head["facts"], arrays


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers of numpy become Python's, and what is not finite becomes null.

    >>> plain({"a": np.float32(1), "b": (float("nan"), 2)})
    {'a': 1.0, 'b': [None, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _dtype(values: Array) -> str:
    if values.dtype.kind == "f":
        return "float32"
    return values.dtype.name if values.dtype.name in DTYPES else "int32"
