"""A hub folder as a run: :mod:`zatlas.runs.hub` says what is in one."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from zatlas.data import located
from zatlas.errors import UsageError
from zatlas.files import sha256, writing
from zatlas.importers.writing import CPU, checked
from zatlas.runs.data import open_data
from zatlas.runs.folder import RunFolder, check_free, new_folder, now, provenance
from zatlas.runs.hub import CARRIED, EVALUATION, WEIGHTS, HubFolder
from zatlas.runs.opened import Run
from zatlas.training import checkpoint
from zatlas.training.checkpoint import rng_state
from zatlas.types import DataSpec

OWN = ("schema", "status", "created", "config_sha256", "checkpoints", "zatlas", "torch", "python", "system", "cores")


def from_hub(folder: Path, *, out: Path | None = None, data: str | None = None) -> Run:
    """A run with the weights, the configuration, the figures, the priors and the directions of a hub folder.

    Args:
        folder: as `zatlas export RUN --hub` writes it.
        out: the run folder; None: a free name under ``runs/``.
        data: the user's own data in place of those it was trained on.

    Raises:
        UsageError, ZatlasError: no hub folder, a damaged one, data that do not fit, a folder in use.
    """
    hub = HubFolder(folder)
    opened = Run(hub, device=CPU)  # all of it is known to be sound before anything is written
    config, record = opened.config.model_copy(deep=True), {k: v for k, v in hub.record.items() if k not in OWN}
    if data:
        config.data.source = located(data)
        source, splits = open_data(config)
        spec = DataSpec.from_json(record["data"]["spec"])
        record["data"] = {**checked(source, splits, spec), "spec": spec.to_json()}
    if out is None:
        out = new_folder(Path("runs"), folder.resolve().name)
    else:
        check_free(out, config.to_toml().encode())
    tensors, loaded, _ = hub.load_checkpoint()
    name = checkpoint.name_of(loaded["trainer"]["step"])
    tensors |= rng_state(CPU)
    origin: dict[str, Any] = {"format": "hub", "file": folder.name, "sha256": sha256(folder / WEIGHTS)}
    made = RunFolder.create(out, config, {**record, **provenance(), "imported": origin})
    none_yet = {"metrics_bytes": 0, "metrics_sha256": hashlib.sha256(b"").hexdigest()}
    trainer = {**loaded["trainer"], "sums": {}, "counts": {}}
    checkpoint.save(made.checkpoints_path / name, tensors, {"trainer": trainer, **none_yet})
    with writing(made.path):
        for carried in CARRIED:
            if (folder / carried).is_dir():
                shutil.copytree(folder / carried, made.path / carried)
        if (folder / EVALUATION).is_file() and not data:
            shutil.copyfile(folder / EVALUATION, made.path / EVALUATION)
    made.update(checkpoints={"last": name}, status="imported", finished=now())
    return Run(made, device=CPU)


def need_folder(path: Path) -> Path:
    """The hub folder that a person named.

    Raises:
        UsageError: a file, or nothing.
    """
    if not path.is_dir():
        raise UsageError(f"--from hub reads a folder, and {path} is none.")
    return path
