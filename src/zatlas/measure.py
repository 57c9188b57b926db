"""The figures of a run, computed and kept in evaluation.json."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from zatlas.files import write_json
from zatlas.opened import Experiment
from zatlas.runs import now


def evaluate_run(
    experiment: Experiment, split: str | None = None, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """ELBO, distortion, rate and active units of some rows; written to evaluation.json.

    A model that only generates has no bound: its objective's own terms stand in their place.

    Args:
        experiment: an opened run.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``; None: the test rows, or what there is of them.
        progress: is told how many examples were added.
    """
    start = time.perf_counter()
    split = split or experiment.held_out()
    rows = experiment.rows(split)
    found: dict[str, Any] = {}
    if experiment.kind.infers:
        elbo = experiment.elbo(rows, progress)
        objective = experiment.config.objective
        figures = elbo.figures(objective.beta if objective.is_weighted_elbo else 1.0)
        if experiment.kind.axes:
            found["unit_rates"] = [round(float(value), 6) for value in elbo.unit_rates]
        else:
            del figures["active_units"]
    else:
        figures = experiment.terms(rows)
    record = {
        "run": str(experiment.run.folder),
        "step": experiment.step,
        "data": experiment.source.name,
        "data_sha256": experiment.source.fingerprint(),
        "data_kind": experiment.run.record["data_kind"],
        "split": split,
        "unit": "nats per example",
        "figures": {name: figure.to_json() for name, figure in figures.items()},
        **found,
        "seconds": round(time.perf_counter() - start, 3),
        "when": now(),
    }
    write_json(experiment.run.folder / "evaluation.json", record)
    return record
