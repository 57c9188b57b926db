"""Disentanglement, where the factors behind the data are known, or labels stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data import Rows
from zatlas.evaluation.disentanglement import score_all
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress
from zatlas.parts import metric
from zatlas.runs.opened import Run

BINS = 10  # that a real label or factor is cut into, of as many examples each


def lacks_factors(run: Run) -> str | None:
    reason = lacks_inference(run)
    if reason is None and run.source.factors is None and run.source.spec.label_kind == "none":
        name = run.source.name
        return f"neither factors nor labels of {name} are known; sprites, dSprites and the like have factors"
    return reason


def known_factors(run: Run, rows: Rows) -> tuple[npt.NDArray[Any], list[str]]:
    """Integers ``[N, F]`` and their names: the factors behind some rows; or else their class, or their real labels;
    what is real is in bins."""
    source = run.source
    if source.factors is not None:
        columns = [
            column if (column == np.round(column)).all() else binned(column) for column in source.factors[rows].T
        ]
        return np.stack(columns, 1).astype(np.int64), list(source.factor_names)
    labels = source.read_labels(rows)
    assert labels is not None
    if source.spec.label_kind == "class":
        return labels[:, None], ["class"]
    return np.stack([binned(column) for column in labels.T], 1), list(source.spec.labels)


def binned(column: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The bin of each real value, of as many rows each; of no more values than bins, the number of the value."""
    values = np.unique(column)
    edges = values[1:] if len(values) <= BINS else np.quantile(column, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, column, side="right").astype(np.int64)


@metric(
    "disentanglement",
    when="MIG, SAP, DCI, FactorVAE and the other scores of codes against known factors",
    order=11,
    lacks=lacks_factors,
    rows=15_000,
)
def disentanglement(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """Every score of codes against factors: two thirds of the rows to fit, one third to test."""
    order = np.random.default_rng(options.seed).permutation(rows)
    cut = 2 * len(order) // 3
    codes, (table, names) = run.encode(order), known_factors(run, order)
    progress(len(rows))
    log_variances = None if run.kind.point else 2 * np.log(np.maximum(codes.std[:cut], 1e-12))
    scores = score_all(
        codes.mean[:cut],
        table[:cut],
        codes.mean[cut:],
        table[cut:],
        log_variances=log_variances,
        boosted=False,
        seed=options.seed,
    )
    figures = {name: score.figure for name, score in scores.items()}
    more = {name: score.to_json() for name, score in scores.items()}
    return Found(figures, {"scores": more, "factors": names})
