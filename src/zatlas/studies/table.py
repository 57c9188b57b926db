"""The table of a study: a row for each member, means over seeds, and the best."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.files import replacing, write_bytes
from zatlas.studies.members import Member
from zatlas.studies.plan import Goal, Plan

Row = dict[str, Any]
DEFAULTS = ("elbo", "reconstruction.psnr", "loss")  # the first of these that was measured ranks the members
FIRST = ("elbo", "loss", "distortion", "rate", "active_units", "reconstruction.psnr")


def rows_of(
    members: Sequence[Member],
    finished: Mapping[str, Mapping[str, Any]],
    failed: Mapping[str, Mapping[str, Any]],
    folder_of: Callable[[Member], str],
) -> list[Row]:
    """A row for each member, in the plan's order.

    Columns: ``member`` (its key), what varies, ``status`` (finished, stopped early, failed, waiting), ``reason``,
    ``run``, times and sizes, then every figure, each with ``figure_error``, its standard error.
    """
    words = list(dict.fromkeys(word for member in members for word in member.words))
    records = [finished.get(member.key, {}) for member in members]
    names = dict.fromkeys(name for record in records for name in record.get("figures", {}))
    figures = [*(name for name in FIRST if name in names), *(name for name in names if name not in FIRST)]
    rows = []
    for member, record in zip(members, records, strict=True):
        row: Row = {"member": member.key, **{word: member.words.get(word) for word in words}}
        status = "finished" if record else "failed" if member.key in failed else "waiting"
        row["status"] = "stopped early" if record.get("stopped") == "halted" else status
        row["reason"] = failed[member.key]["reason"] if status == "failed" else None
        row["run"] = folder_of(member) if record else None
        row |= {key: record.get(key) for key in ("train_seconds", "work_seconds", "steps", "parameters")}
        for name in figures:
            value, error = record.get("figures", {}).get(name, (None, None))
            row[name], row[f"{name}_error"] = value, error
        rows.append(row)
    return rows


def figures_of(rows: Sequence[Row]) -> list[str]:
    """The names of the figures of a table."""
    return [key.removesuffix("_error") for key in (rows[0] if rows else {}) if key.endswith("_error")]


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over seeds and its standard error; None of one seed.

    >>> spread([1.0, 3.0]), spread([2.0])
    ((2.0, 1.0), (2.0, None))
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def over_seeds(rows: Sequence[Row], members: Sequence[Member]) -> list[Row]:
    """A row for each combination: means over its finished seeds, errors over seeds, ``seeds`` counting them.

    Where there is one seed, the error is that of the figure itself.
    """
    groups: dict[str, list[Row]] = {}
    for row, member in zip(rows, members, strict=True):
        if row["status"] == "finished":
            groups.setdefault(member.group, []).append(row)
    found = []
    for group in groups.values():
        first = group[0]
        combined: Row = {key: value for key, value in first.items() if key not in ("seed", "member", "reason")}
        combined["seeds"], combined["runs"] = len(group), [row["run"] for row in group]
        for name in figures_of(group):
            values = [row[name] for row in group if row[name] is not None]
            if values:
                mean, error = spread(values)
                combined[name] = mean
                combined[f"{name}_error"] = first[f"{name}_error"] if error is None else error
        found.append(combined)
    return found


def ranking(plan: Plan, rows: Sequence[Row]) -> Goal | None:
    """By what the members are ranked; None where nothing was measured.

    Raises:
        UsageError: the plan names a figure that no member has.
    """
    names = figures_of(rows)
    wanted = plan.best or (plan.goals[0] if plan.goals else None)
    if wanted is None:
        name = next((name for name in DEFAULTS if any(row.get(name) is not None for row in rows)), None)
        return None if name is None else Goal.read(name)
    if names and wanted.figure not in names:
        raise UsageError(f"no member has the figure {wanted.figure}; {nearest(wanted.figure, names)}")
    return wanted


def ranked(rows: Sequence[Row], goal: Goal) -> list[Row]:
    """The rows that have the figure, best first."""
    able = [row for row in rows if isinstance(row.get(goal.figure), int | float) and math.isfinite(row[goal.figure])]
    return sorted(able, key=lambda row: row[goal.figure] if goal.less else -row[goal.figure])


def write_table(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes table.csv and table.json, and table.parquet where pyarrow is there; returns their paths.

    Raises:
        ZatlasError: the disk refuses.
    """
    columns = list(rows[0]) if rows else []
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else _cell(value) for key, value in row.items()} for row in rows)
    write_bytes(folder / "table.csv", text.getvalue().encode(errors="backslashreplace"))
    plain = [{key: _finite(value) for key, value in row.items()} for row in rows]
    write_bytes(folder / "table.json", (json.dumps(plain, indent=1) + "\n").encode())
    paths = [folder / "table.csv", folder / "table.json"]
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return paths
    arrays = {column: _arrow([row[column] for row in rows]) for column in columns}
    with replacing(folder / "table.parquet") as beside:
        try:
            pq.write_table(pa.table(arrays), beside)
        except pa.ArrowException as error:
            raise ZatlasError(f"{folder / 'table.parquet'} could not be written: {error}.") from error
    return [*paths, folder / "table.parquet"]


def _arrow(values: list[Any]) -> list[Any]:
    """A column of one type: numbers where all are, else text."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present):
        return values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        whole = all(isinstance(value, int) for value in present)
        return [None if value is None else value if whole else float(value) for value in values]
    return [None if value is None else _cell(value) for value in values]


def _cell(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)


def _finite(value: Any) -> Any:
    """JSON knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
