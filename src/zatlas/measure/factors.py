"""Disentanglement, where the factors behind the data are known."""

from __future__ import annotations

import numpy as np

from zatlas.data import Rows
from zatlas.evaluation.disentanglement import score_all
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress
from zatlas.opened import Experiment


def lacks_factors(experiment: Experiment) -> str | None:
    reason = lacks_inference(experiment)
    if reason is None and experiment.source.factors is None:
        return f"the factors behind {experiment.source.name} are not known; sprites, dSprites and the like have them"
    return reason


def disentanglement(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    """Every score of codes against factors: two thirds of the rows to fit, one third to test."""
    assert experiment.source.factors is not None
    order = np.random.default_rng(options.seed).permutation(rows)
    cut = 2 * len(order) // 3
    codes, table = experiment.encode(order), experiment.source.factors[order]
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
    return Found(figures, {"scores": more, "factors": list(experiment.source.factor_names)})
