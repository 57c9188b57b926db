"""Tables of examples: which row, which file, which class, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.data import Rows
from zatlas.errors import printable
from zatlas.runs.opened import Run


def names_of(run: Run, rows: Rows) -> list[str] | None:
    """The files that the rows came from; None where they came from no files of their own."""
    names = run.source.names
    return None if names is None else [names[row] for row in rows.tolist()]


def classes_of(run: Run, rows: Rows) -> list[str] | None:
    """The class of each row by name; None without classes."""
    labels = run.source.read_labels(rows)
    spec = run.source.spec
    if labels is None or spec.label_kind != "class":
        return None
    return [spec.labels[int(label)] for label in labels]


def table(run: Run, rows: Rows, **columns: Array) -> list[dict[str, Any]]:
    """One record a row: row, name and class where there are such, then the columns."""
    known: dict[str, Any] = {"row": rows.tolist(), "name": names_of(run, rows), "class": classes_of(run, rows)}
    known |= {name: np.asarray(values).tolist() for name, values in columns.items()}
    given = {name: values for name, values in known.items() if values is not None}
    return [dict(zip(given, line, strict=True)) for line in zip(*given.values(), strict=True)]


def called(record: Mapping[str, Any]) -> str:
    """A row for people: its file, else its number."""
    return printable(str(record["name"]).rpartition("/")[2]) if "name" in record else f"row {record['row']}"
