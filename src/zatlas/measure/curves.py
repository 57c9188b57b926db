"""log p(x) against the number of samples: of one run by several estimators, and of several runs by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zatlas.errors import UsageError, nearest
from zatlas.figures import Estimate, View, arrays, convergence
from zatlas.measure.metric import Options
from zatlas.measure.running import evaluate_run, tell_if_not_kept
from zatlas.measure.words import evidence_of
from zatlas.runs.opened import Run

CURVES = {
    "importance": "draws of the posterior",
    "defensive": "draws of posterior and prior",
    "prior": "draws of the prior",
}


def curves(kept: dict[str, Any]) -> dict[str, list[Estimate]]:
    """log p(x) by the number of samples, for each estimator among the figures that has such a curve."""
    lines: dict[str, list[Estimate]] = {}
    for full, figure in kept.items():
        metric, _, name = full.partition(".")
        if metric in CURVES and (count := _samples(name, figure)):
            error = figure["standard_error"]
            one = Estimate(count, figure["value"], float("nan") if error is None else error)
            lines.setdefault(metric, []).append(one)
    return {metric: sorted(line) for metric, line in lines.items() if len(line) > 1}


def _samples(name: str, figure: dict[str, Any]) -> int:
    """Of how many samples a point of a curve is; 0 for other figures. Records of 0.1 say it in the estimator alone."""
    if "samples" in figure or not name.startswith("log_likelihood"):
        return int(figure.get("samples", 0))
    found = re.search(r"(\d+) samples? per example", figure["estimator"])
    return int(found[1]) if found else 0


def _of_what(run: Run) -> tuple[Any, ...]:
    """What has to be the same for two curves to be of one quantity."""
    record = run.folder.record
    return run.quantity, record["data_kind"], record["data"].get("sha256"), run.kind.conditional


def compare_curves(
    runs: Sequence[Run],
    metric: str,
    split: str | None = None,
    *,
    options: Options = Options(),  # noqa: B008 (frozen)
    counting: Callable[[str, int], Any] | None = None,
) -> View:
    """One estimator over several runs: by draws of the prior it shows how their number fails as units are added.

    Args:
        runs: opened runs on the same data.
        metric: one of :data:`CURVES`.
        split: as for :func:`zatlas.measure.evaluate_run`, which keeps the figures in the runs.
        options: how much is computed.
        counting: as for :func:`zatlas.measure.evaluate_run`.

    Returns:
        samples ``[P]``, value ``[R, P]`` and error ``[R, P]`` in nats.

    Raises:
        UsageError: another metric, a run that cannot have it, or curves of different things.
    """
    if metric not in CURVES:
        raise UsageError(f"there is no curve of {metric!r} over the number of samples; {nearest(metric, CURVES)}")
    names = [run.folder.name for run in runs]
    lines, evidence = {}, "log p(x)"
    first = runs[0]
    for other in runs[1:]:
        if _of_what(other) != _of_what(first):
            raise UsageError(
                f"{other.folder.path} and {first.folder.path} have other data, or the one a {other.quantity} and the "
                f"other a {first.quantity}: draw their curves apart."
            )
    for run, name in zip(runs, names, strict=True):
        record = evaluate_run(run, split, metrics=(metric,), options=options, counting=counting)
        tell_if_not_kept(run, record)
        evidence = evidence_of(record)
        lines[f"{name} (z = {run.latent_dim})"] = curves(record["figures"])[metric]
    points = np.array([[(p.value, p.standard_error) for p in line] for line in lines.values()])
    gained = [
        f"{name}: {line[0].value:.1f} nats at one sample, {line[-1].value:.1f} at {line[-1].samples:,}"
        for name, line in lines.items()
    ]
    return View(
        arrays(samples=[p.samples for p in next(iter(lines.values()))], value=points[..., 0], error=points[..., 1]),
        convergence(lines, title=f"{evidence} by {CURVES[metric]}", quantity=evidence),
        f"{evidence} against the number of {CURVES[metric]}, a line for each run.",
        tuple(f"{sentence}." for sentence in gained),
        {"metric": metric, "curves": {name: [p._asdict() for p in line] for name, line in lines.items()}},
    )
