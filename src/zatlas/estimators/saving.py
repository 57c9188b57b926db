"""Estimators to run folders, and any run to an estimator."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zatlas.errors import UsageError
from zatlas.estimators.base import GenerativeEstimator
from zatlas.estimators.fitting import Fitted, Stand
from zatlas.estimators.kinds import KINDS
from zatlas.estimators.labelling import Labelling
from zatlas.estimators.layout import Layout
from zatlas.estimators.settings import parameters
from zatlas.files import write_bytes, writing
from zatlas.runs.folder import RunFolder, now, provenance
from zatlas.runs.opened import Run
from zatlas.training import checkpoint, choose_device, forked_rng


def _plain(value: Any) -> Any:
    """What JSON can hold of a parameter."""
    if isinstance(value, np.generic):
        return value.item()
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def save(estimator: GenerativeEstimator, folder: Path) -> Path:
    """See :meth:`GenerativeEstimator.save`."""
    with writing(folder):
        if folder.is_dir() and (held := sorted(entry.name for entry in folder.iterdir())):
            raise UsageError(f"{folder} is not empty (it holds {held[0]}): save to another folder.")
    trained, record = estimator._trained, estimator._record
    params = {name: _plain(value) for name, value in estimator.get_params(deep=False).items()}
    if not isinstance(params["random_state"], int):
        params["random_state"] = trained.seed
    facts = {
        "class": type(estimator).__name__,
        "params": params,
        "input_shape": list(trained.layout.input_shape),
        "scale": trained.layout.scale,
        "labels": trained.labelling.to_json() if trained.labelling else None,
        "prior_labels": trained.prior_labelling.to_json() if trained.prior_labelling else None,
        "feature_names": [str(name) for name in getattr(estimator, "feature_names_in_", [])],
    }
    written = {**provenance(), "command": f"{' '.join(repr(estimator).split())}.fit(X)"}
    run = RunFolder.create(folder, estimator.config_, {**written, **record, "status": "running", "estimator": facts})
    lines = [(line["step"], (json.dumps(line) + "\n").encode()) for line in estimator.history_]
    write_bytes(run.metrics_path, b"".join(text for _, text in lines))
    names = {}
    for which, stand in (("last", estimator._last), ("best", estimator._best)):
        if stand is not None:
            step = stand.state["step"]
            before = b"".join(text for at, text in lines if at <= step)
            names[which] = checkpoint.name_of(step)
            where = {"metrics_bytes": len(before), "metrics_sha256": hashlib.sha256(before).hexdigest()}
            checkpoint.save(run.checkpoints_path / names[which], stand.tensors, {"trainer": stand.state, **where})
    if prior := estimator._trained.prior:
        prior.save(run.path / "priors" / f"{prior.kind}-{names.get('best', names['last'])}.safetensors")
    run.update(checkpoints=names, status=record["status"], finished=now())
    return folder


def load(path: str | Path, *, device: str = "auto") -> GenerativeEstimator:
    """The estimator of a run, saved by one or made by ``zatlas train``, ready to transform, sample and score.

    A run of ``zatlas train`` takes X as zatlas read it: images ``[N, H, W]`` or ``[N, 3, H, W]``, whole numbers 0..255
    where they were such. Its classes are words, or whole numbers where all their names are, of equal prior frequency.

    Args:
        path: the run folder.
        device: where the model goes; ``"auto"`` chooses.

    Raises:
        UsageError: there is no run.
        ZatlasError: it is damaged.
    """
    with forked_rng(choose_device(device)):
        opened = Run(path, device=device)
    run, config, spec = opened.folder, opened.config, opened.spec
    facts = run.record.get("estimator")
    kind = KINDS[config.model.kind]
    labels = None
    if facts is None:
        estimator = kind(**parameters(config, set(kind().get_params())))
        layout = Layout.of_run(run.record["data"])
        if config.kind.conditional:
            labels = Labelling.of_names("real" if spec.label_kind == "real" else "class", spec.labels)
    else:
        estimator = kind(**facts["params"])
        layout = Layout(spec, tuple(facts["input_shape"]), facts["scale"])
        labels = Labelling.from_json(facts["labels"]) if facts["labels"] else None
    tensors, record, _ = run.load_checkpoint("last")
    best = None
    if "best" in run.record.get("checkpoints", {}) and run.opens(config) == "best":
        best_tensors, best_record, _ = run.load_checkpoint("best")
        best = Stand(best_tensors, best_record["trainer"])
    last = Stand(tensors, record["trainer"])
    estimator._adopt(Fitted(opened.model, config, last, best, run.metrics(), _facts(run.record)), layout, labels)
    if fitted := next(iter(opened.priors), None):
        kept = facts.get("prior_labels") if facts else None
        known = Labelling.from_json(kept) if kept else None
        if known is None and opened.spec.label_kind != "none" and not config.kind.conditional:
            known = Labelling.of_names(opened.spec.label_kind, opened.spec.labels)
        prior = opened.ex_post_prior(fitted)
        estimator._trained = replace(
            estimator._trained, prior=prior, prior_labelling=known if prior.label_dim else None
        )
    if facts and facts["feature_names"]:
        estimator.feature_names_in_ = np.array(facts["feature_names"], dtype=object)
    return estimator


def _facts(record: dict[str, Any]) -> dict[str, Any]:
    """What a fit would have left in memory."""
    kept = (
        *(
            "status",
            "stopped",
            "device",
            "precision",
            "threads",
            "arithmetic",
            "seed",
            "data",
            "data_kind",
            "parameters",
        ),
        *("steps_per_epoch", "opens", "steps", "train_seconds", "examples", "unit_rates"),
    )
    result = record.get("result", {"split": "train", "loss": float("nan")})
    return {name: record[name] for name in kept if name in record} | {"result": result}
