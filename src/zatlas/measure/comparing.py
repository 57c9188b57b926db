"""Several runs beside one another, in figures that may be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from zatlas.errors import UsageError
from zatlas.measure.running import evaluate_run, tell_if_not_kept
from zatlas.opened import Experiment

SHOWN = ("elbo", "distortion", "rate", "active_units")


def compare_runs(experiments: Sequence[Experiment], split: str | None = None) -> list[dict[str, Any]]:
    """A row for each run: what it is, and its figures over the same split; measured now where they are not there yet.

    Args:
        experiments: opened runs.
        split: as for :func:`evaluate_run`.

    Raises:
        UsageError: the runs are about data of different kinds or content, so that their figures mean different things.
    """
    rows = []
    for experiment in experiments:
        record = _known(experiment, split) or evaluate_run(experiment, split, metrics=("bound", "game"))
        tell_if_not_kept(experiment, record)
        rows.append(
            {
                "run": str(experiment.run.folder),
                "model": experiment.config.model.kind,
                "objective": experiment.config.objective.kind,
                "latent_dim": experiment.latent_dim,
                "beta": experiment.config.objective.beta,
                **{key: record[key] for key in ("data", "data_sha256", "data_kind", "split")},
                "train_seconds": experiment.run.record["train_seconds"],
                "figures": record["figures"],
            }
        )
    for key, what in (("data_sha256", "other data"), ("data_kind", "data of another kind"), ("split", "other rows")):
        values = [row[key] for row in rows]
        if len({value for row, value in zip(rows, values, strict=True) if row["data_kind"] != "game"}) > 1:
            one = next(row for row in rows if row[key] != values[0])
            raise UsageError(
                f"the figures of {one['run']} are about {what} than those of {rows[0]['run']} ({one[key]} and "
                f"{values[0]}): compare runs on the same data, binarised alike."
            )
    return rows


def _known(experiment: Experiment, split: str | None) -> dict[str, Any] | None:
    """What was measured of these weights before."""
    record: Any = None
    with suppress(OSError, ValueError, RecursionError):
        record = json.loads((experiment.run.folder / "evaluation.json").read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("step") != experiment.step:
        return None
    fresh = record.get("split") == split if split else True
    sound = isinstance(record.get("figures"), dict) and {"elbo", "loss"} & set(record["figures"])
    return record if fresh and sound else None
