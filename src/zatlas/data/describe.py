"""Plain facts of a source, for people."""

from __future__ import annotations

from typing import Any

import numpy as np

from zatlas.data.content import pieces, row_bytes
from zatlas.data.source import Source

_MEASURED_BYTES = 512 << 20  # reading more than this for three figures would keep a person waiting


def describe(source: Source) -> dict[str, Any]:
    """Name, number of rows, shape, values, labels with counts, factors, fingerprint, and minimum, maximum and mean.

    The three figures are of all rows, or of evenly spaced ones where all would be more than 512 MB;
    ``measured_rows`` says of how many. They are in the units of the data: 0..255 for "uint8".
    """
    n = len(source)
    step = -(-n * row_bytes(source) // _MEASURED_BYTES)
    rows = np.arange(0, n, step)
    low, high, total = np.inf, -np.inf, 0.0
    for piece in pieces(len(rows), row_bytes(source)):
        x = source.read(rows[piece])
        low, high, total = min(low, float(x.min())), max(high, float(x.max())), total + float(x.sum(dtype=np.float64))
    facts: dict[str, Any] = {
        "name": source.name,
        "rows": n,
        "shape": list(source.spec.shape),
        "values": source.spec.values,
        "test_rows": None if source.test_rows is None else len(source.test_rows),
        "validation_rows": None if source.validation_rows is None else len(source.validation_rows),
        "label_kind": source.spec.label_kind,
        "labels": list(source.spec.labels),
    }
    labels = source.read_labels(np.arange(n))
    if source.spec.label_kind == "class" and labels is not None:
        counts = np.bincount(labels, minlength=source.spec.label_dim)
        facts["labels"] = dict(zip(source.spec.labels, counts.tolist(), strict=True))
    if source.factors is not None:
        sizes = [len(np.unique(column)) for column in source.factors.T]
        facts["factors"] = dict(zip(source.factor_names, sizes, strict=True))
    return facts | {
        "min": low,
        "max": high,
        "mean": total / (len(rows) * source.spec.size),
        "measured_rows": len(rows),
        "fingerprint": source.fingerprint(),
        "about": source.about,
    }


def remarks(source: Source) -> list[str]:
    """What was decided about the data, in sentences that a person should read before a long wait."""
    said = [
        f"{key}: {source.about[key]}"
        for key in ("shards", "missing", "shapes", "resize", "crop", "splits", "labels")
        if key in source.about
    ]
    if left_out := source.about.get("left_out"):
        path, reason = next(iter(left_out.items()))
        said.append(f"left out: {len(left_out):,} of {len(left_out) + len(source):,} images, as {path}: {reason}")
    return said
