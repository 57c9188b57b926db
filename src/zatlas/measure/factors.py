"""Disentanglement, where the factors behind the data are known, or labels stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data import Rows
from zatlas.evaluation.disentanglement import score_all
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress
from zatlas.opened import Experiment

BINS = 10  # that a real label is cut into, of as many examples each


def lacks_factors(experiment: Experiment) -> str | None:
    reason = lacks_inference(experiment)
    if reason is None and experiment.source.factors is None and experiment.source.spec.label_kind == "none":
        name = experiment.source.name
        return f"neither factors nor labels of {name} are known; sprites, dSprites and the like have factors"
    return reason


def known_factors(experiment: Experiment, rows: Rows) -> tuple[npt.NDArray[Any], list[str]]:
    """Integers ``[N, F]`` and their names: the factors behind some rows; or else their class, or their real labels,
    each in bins of as many examples."""
    source = experiment.source
    if source.factors is not None:
        return source.factors[rows], list(source.factor_names)
    labels = source.read_labels(rows)
    assert labels is not None
    if source.spec.label_kind == "class":
        return labels[:, None], ["class"]
    edges = np.quantile(labels, np.arange(1, BINS) / BINS, axis=0)
    binned = [np.searchsorted(edges[:, i], column, side="right") for i, column in enumerate(labels.T)]
    return np.stack(binned, 1), list(source.spec.labels)


def disentanglement(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    """Every score of codes against factors: two thirds of the rows to fit, one third to test."""
    order = np.random.default_rng(options.seed).permutation(rows)
    cut = 2 * len(order) // 3
    codes, (table, names) = experiment.encode(order), known_factors(experiment, order)
    progress(len(rows))
    log_variances = None if experiment.kind.point else 2 * np.log(np.maximum(codes.std[:cut], 1e-12))
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
