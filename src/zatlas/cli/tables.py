"""Tables written to files: .csv, or .parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zatlas.errors import UsageError
from zatlas.files import replacing, write_bytes

SUFFIXES = (".csv", ".parquet")


def check_table(path: Path) -> None:
    """Refuses before anything is computed what could not be written.

    Raises:
        UsageError: pyarrow is missing.
    """
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UsageError(f"{path} needs pyarrow: pip install 'zatlas[parquet]', or give a name in .csv.") from None


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """Columns of one length, by name.

    Raises:
        ZatlasError: the file cannot be written.
    """
    import numpy as np

    values = {name: np.asarray(column) for name, column in columns.items()}
    if path.suffix.lower() == ".parquet":
        import pyarrow
        import pyarrow.parquet

        texts = {name: list(map(_text, v)) if v.dtype.kind == "U" else v for name, v in values.items()}
        with replacing(path) as part:
            pyarrow.parquet.write_table(pyarrow.table(texts), part)
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(values)
    # a float32 is written in as many digits as tell it from its neighbours, not in those of the float64 it becomes
    cells = [[_text(str(value)) for value in column] for column in values.values()]
    writer.writerows(zip(*cells, strict=True))
    write_bytes(path, buffer.getvalue().encode())


def _text(value: str) -> str:
    """A file name that is no UTF-8 has escapes in the place of its bytes."""
    return value.encode("utf-8", "backslashreplace").decode()
