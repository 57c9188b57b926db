"""What a run is, the codes of its map, and how far its training has come."""

from __future__ import annotations

from typing import Any

import numpy as np

from zatlas.errors import printable
from zatlas.explorer import forms
from zatlas.explorer.explored import Explored
from zatlas.explorer.questions import Answer, question
from zatlas.runs.folder import RunFolder


@question(forms.Nothing)
def about(explored: Explored, _: Any = None) -> Answer:
    """What the page has to know before anything is drawn."""
    run, record = explored.run, explored.run.folder.record
    spec, result = run.spec, record.get("result", {})
    low, high = explored.range
    facts = {
        "name": printable(run.folder.name),
        "path": printable(str(run.folder.path)),
        "kind": run.config.model.kind,
        "title": run.kind.title,
        "data": printable(str(record["data"].get("name", ""))),
        "latent_dim": run.latent_dim,
        "units": run.unit_names,
        "shape": list(spec.shape),
        "image": spec.is_image,
        "range": [low, high],
        "dark": explored.dark,
        "labels": {"kind": spec.label_kind, "names": [printable(name)[:200] for name in spec.labels]},
        "conditional": run.kind.conditional,
        "standard_prior": explored.standard_prior,
        "step": run.step,
        "status": record.get("status"),
        "loss": result.get("loss") if run.kind.infers else None,
        "beta": getattr(run.config.objective, "beta", None),
        "can": explored.abilities,
    }
    return facts, {}


@question(forms.Some, slow=True)
def codes(explored: Explored, asked: forms.Some) -> Answer:
    """Codes of training examples (draws from the prior where there are none), labels and factors."""
    if asked.n not in explored.kept:
        explored.kept[asked.n] = explored.codes(asked.n)
    return explored.kept[asked.n]


@question(forms.Rows)
def examples(explored: Explored, asked: forms.Rows) -> Answer:
    """Examples of the data as the model sees them, and their posteriors."""
    rows = explored.run.numbered(asked.rows)
    found = explored.run.encode(rows)
    return {}, {
        "x": explored.run.examples(rows),
        "mean": found.mean,
        "std": found.std,
        "labels": explored.numbers(found.y),
    }


@question(forms.Since, slow=True)
def snapshots(explored: Explored, asked: forms.Since) -> Answer:
    """Images of the same codes at steps of the training after ``since``, and the curve of the loss."""
    folder = RunFolder(explored.run.folder.path)
    found = [(step, images) for step, images in folder.snapshots() if step > asked.since]
    lines = [line for line in folder.metrics() if isinstance(line.get("loss"), int | float)]
    keep = [line for line in lines if line.get("split") in (None, "train", "validation")]
    curve = [[line["step"], line["loss"], line.get("split")] for line in keep]
    thin = max(1, len(curve) // 400)
    images = np.stack([shown for _, shown in found]) if found else None
    if images is not None and images.dtype != np.uint8:
        low, high = float(images.min()), float(images.max())
        images = ((images - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    facts = {"steps": [step for step, _ in found], "curve": curve[::thin]}
    return facts, {"images": images}


@question(forms.Nothing)
def status(explored: Explored, _: forms.Nothing) -> Answer:
    """How far the run is, and how far the weights are that answer."""
    record = RunFolder(explored.run.folder.path).record
    last = str(record.get("checkpoints", {}).get("last", ""))
    newest = int(last.removeprefix("step-")) if last.removeprefix("step-").isdigit() else explored.run.step
    return {"status": record.get("status"), "step": explored.run.step, "newest": newest}, {}


@question(forms.Nothing, slow=True)
def refresh(explored: Explored, _: forms.Nothing) -> Answer:
    """Opens the newest weights of a run that is still being trained."""
    explored.renew()
    return about(explored)
