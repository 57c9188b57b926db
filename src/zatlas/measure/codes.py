"""What the codes are good for: probes, and classification by a conditional model."""

from __future__ import annotations

import numpy as np
import torch

from zatlas.arrays import Array
from zatlas.data import Rows
from zatlas.evaluation.codes import baselines, bayes_rule, probe_table
from zatlas.measure.likelihood import lacks_inference
from zatlas.measure.metric import Found, Options, Progress
from zatlas.objectives import importance_bound
from zatlas.parts import metric
from zatlas.runs.opened import Run
from zatlas.training import forked_rng

LEARNING_ROWS = 5000
BAYES_SAMPLES = 20


def lacks_labels(run: Run) -> str | None:
    reason = lacks_inference(run)
    if reason is None and run.spec.label_kind == "none":
        return f"{run.source.name} has no labels to find in the codes"
    return reason


def lacks_classes(run: Run) -> str | None:
    if not run.kind.conditional:
        return "Bayes' rule wants p(x|y) of every class, so a conditional model such as cvae"
    if run.spec.label_kind != "class":
        return "the labels are real, and there are no classes to choose from"
    return lacks_inference(run)


@metric(
    "probes",
    when="what the codes say of the labels, beside PCA, PPCA, factor analysis and raw values",
    order=13,
    lacks=lacks_labels,
    rows=2000,
)
def probes(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """Labels told from the codes, from linear codes of the same size, and from raw values."""
    learning = run.spread("train", LEARNING_ROWS)
    codes, codes_test = run.encode(learning), run.encode(rows)
    assert codes.y is not None
    assert codes_test.y is not None
    labels, labels_test = (_labels(run, y) for y in (codes.y, codes_test.y))
    x, x_test = (_values(run, some) for some in (learning, rows))
    units = min(run.latent_dim, x[0].size - 1)
    table = {"codes": (codes.mean, codes_test.mean), **baselines(x, x_test, units)}
    found = probe_table(table, labels, labels_test)
    progress(len(rows))
    figures = {
        f"{name.replace(' ', '_')}_{probe}": score.figure
        for name, tried in found.items()
        for probe, score in tried.items()
    }
    return Found(figures)


@metric(
    "bayes",
    when="classification by Bayes' rule with a conditional model, and its calibration",
    order=14,
    lacks=lacks_classes,
    rows=1000,
)
@torch.no_grad()
def bayes(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """p(y|x) from a bound on log p(x|y) for every class, all classes being equally frequent, against the true class."""
    classes = run.spec.label_dim
    model, log_joint, truth = run.need_inference("likelihood of each class"), [], []
    with forked_rng(run.device, seed=options.seed):
        for batch in run.batches(rows).epoch(0):
            assert batch.y is not None
            columns = []
            for one in torch.eye(classes, device=run.device):
                y = one.expand(len(batch.x), -1)
                inference = model.infer(batch.x, y, samples=options.samples or BAYES_SAMPLES)
                columns.append(importance_bound(inference, batch.x).cpu())
            log_joint.append(torch.stack(columns, 1).double().numpy())
            truth.append(batch.y.cpu().numpy().argmax(1))
            progress(len(batch.x))
    scores = bayes_rule(np.concatenate(log_joint), np.concatenate(truth), seed=options.seed)
    calibration = scores["calibration_error"]
    table = {name: np.asarray(values).tolist() for name, values in calibration.matrices.items()}
    return Found({name: score.figure for name, score in scores.items()}, {"reliability": table})


def _labels(run: Run, y: Array) -> Array:
    return y.argmax(1) if run.spec.label_kind == "class" else y.astype(np.float64)


def _values(run: Run, rows: Rows) -> Array:
    return run.examples(rows)
