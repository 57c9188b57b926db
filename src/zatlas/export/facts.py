"""What is said of a run wherever it goes: nothing of this machine, of the place of its data, or of single examples."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from zatlas.export.ports import Parts
from zatlas.runs.opened import Run


def public_name(name: str) -> str:
    """The name of data without the place where they lie.

    >>> public_name("mnist"), public_name("hf:owner/name"), public_name("/home/a/photos.npz")
    ('mnist', 'hf:owner/name', 'photos.npz')
    """
    return name if name.startswith("hf:") else re.split(r"[/\\]", name.rstrip("/\\"))[-1] or "data"


def facts_of(run: Run, parts: Parts) -> dict[str, Any]:
    """Shape, values and labels of the data, the latent space, the model and the versions it was made with."""
    spec, record = run.spec, run.folder.record
    return {
        "name": run.folder.name,
        "model": {
            "kind": run.config.model.kind,
            "title": run.kind.title,
            "network": run.config.network_kind,
            "likelihood": run.likelihood if run.kind.infers else "none",
            "data_kind": record["data_kind"],
            "conditional": run.kind.conditional,
            "parameters": sum(p.numel() for p in run.model.parameters()),
            "step": run.step,
        },
        "data": {"name": public_name(record["data"]["name"]), **spec.to_json()},
        "latent": {
            "dim": run.latent_dim,
            "shape": list(run.code_shape),
            "levels": list(run.model.latent_dims),
            "axes": run.kind.axes,
        },
        "posterior": parts.posterior or None,
        "prior": parts.prior,
        "versions": {"zatlas": version("zatlas"), "torch": version("torch")},
    }
