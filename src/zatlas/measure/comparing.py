"""Several runs beside one another, those apart whose figures mean different things."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from zatlas import recipes
from zatlas.errors import ZatlasError
from zatlas.measure.catalog import METRICS
from zatlas.measure.metric import Options
from zatlas.measure.running import evaluate_run, tell_if_not_kept
from zatlas.measure.words import DATA_KINDS, Record
from zatlas.runs.opened import Run

QUANTITY = {"probability": "a probability", "density": "a density", "loss": "the grey loss", "none": "no likelihood"}
# What has to be the same for the figures of two runs to be compared, and how the second differs where it is not.
ALIKE: dict[str, Callable[[Any, Any], str]] = {
    "data_sha256": lambda here, first: "other data",
    "data_kind": lambda here, first: f"{DATA_KINDS[here]}, not {DATA_KINDS[first]}",
    "quantity": lambda here, first: f"{QUANTITY[here]}, not {QUANTITY[first]}",
    "conditional": lambda here, first: "p(x|y), not p(x)" if here else "p(x), not p(x|y)",
    "point": lambda here, first: f"{_bound(here)}, not {_bound(first)}",
    "split": lambda here, first: f"{here} rows, not {first} rows",
    "rows_sha256": lambda here, first: "other rows, as the data were divided otherwise",
    "n": lambda here, first: f"{here:,} examples, not {first:,} (zatlas evaluate measures all)",
}


@dataclass(frozen=True)
class Group:
    """Runs whose figures may be compared, and why they stand apart from the first group; empty for that one."""

    rows: list[Record]
    why: str = ""


def compare_runs(runs: Sequence[Run], split: str | None = None) -> list[Record]:
    """A row for each run: what it is, and its figures over the same split; measured now where they are not there yet.

    Args:
        runs: opened runs.
        split: as for :func:`evaluate_run`.
    """
    rows = []
    for run in runs:
        record = _measured(run, split)
        tell_if_not_kept(run, record)
        bound = record["figures"].get("elbo")
        rows.append(
            {
                "run": str(run.folder.path),
                "model": run.config.model.kind,
                "objective": run.config.objective.kind,
                "latent_dim": run.latent_dim,
                "beta": run.config.beta,
                **{key: record[key] for key in ("data", "data_sha256", "data_kind", "split")},
                "rows_sha256": record.get("rows_sha256"),
                "quantity": run.quantity,
                "conditional": run.kind.conditional,
                "point": run.kind.point,
                "n": bound and bound["count"],
                "train_seconds": run.folder.record["train_seconds"],
                "figures": record["figures"],
            }
        )
    return rows


def groups(rows: Sequence[Record]) -> list[Group]:
    """The rows in groups of figures that may be compared, in order; what a row does not say is like all others."""
    found: list[Group] = []
    for row in rows:
        for group in found:
            if all(not differs(row, other) for other in group.rows):
                group.rows.append(row)
                break
        else:
            first = found[0].rows[0] if found else row
            told = [ALIKE[key](row[key], first[key]) for key in differs(row, first)]
            why = f"Not comparable with the first table: {'; '.join(told)}." if found else ""
            found.append(Group([row], why))
    return found


def differs(row: Record, other: Record) -> list[str]:
    """In what two runs differ of all that makes their figures comparable."""
    if "none" in (row["quantity"], other["quantity"]):
        return ["quantity"] if row["quantity"] != other["quantity"] else []
    unlike = [key for key in ALIKE if None not in (row[key], other[key]) and row[key] != other[key]]
    return [key for key in unlike if key not in ("rows_sha256", "n")] if "data_sha256" in unlike else unlike


def _bound(point: bool) -> str:
    return "an autoencoder's distortion, which bounds nothing" if point else "a bound"


def _measured(run: Run, split: str | None) -> Record:
    """What is known of these weights, and what it lacks of what is shown, measured over as many rows."""
    record = _known(run, split)
    if record is None:
        return evaluate_run(run, split, metrics=("bound", "game", "reconstruction"))
    figures = record["figures"]
    wanted = {"reconstruction": "reconstruction.psnr"}
    if recipes.bits_over(run.config, run.spec):
        wanted["bound"] = "bits_per_dimension"
    lacking = [name for name, key in wanted.items() if key not in figures and METRICS[name].lacks(run) is None]
    if lacking:
        rows = next(figures[name]["count"] for name in ("elbo", "loss") if name in figures)
        with suppress(ZatlasError):  # where the data are gone, what is known stands
            return evaluate_run(run, record["split"], metrics=lacking, options=Options(rows=rows))
    return record


def _known(run: Run, split: str | None) -> Record | None:
    """What was measured of these weights before."""
    record: Any = None
    with suppress(OSError, ValueError, RecursionError):
        record = json.loads((run.folder.path / "evaluation.json").read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("step") != run.step:
        return None
    fresh = record.get("split") == split if split else True
    sound = isinstance(record.get("figures"), dict) and {"elbo", "loss"} & set(record["figures"])
    return record if fresh and sound else None
