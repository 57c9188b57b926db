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

    Args:
        experiment: an opened run.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``; None: the test rows, or what there is of them.
        progress: is told how many examples were added.
    """
    start = time.perf_counter()
    split = split or experiment.held_out()
    elbo = experiment.elbo(experiment.rows(split), progress)
    objective = experiment.config.objective
    beta = objective.beta if objective.is_weighted_elbo else 1.0
    record = {
        "run": str(experiment.run.folder),
        "step": experiment.step,
        "data": experiment.source.name,
        "data_sha256": experiment.source.fingerprint(),
        "data_kind": experiment.run.record["data_kind"],
        "split": split,
        "unit": "nats per example",
        "figures": {name: f.to_json() for name, f in elbo.figures(beta).items()},
        "unit_rates": [round(float(value), 6) for value in elbo.unit_rates],
        "seconds": round(time.perf_counter() - start, 3),
        "when": now(),
    }
    write_json(experiment.run.folder / "evaluation.json", record)
    return record
