"""A folder as the Hugging Face hub wants it: weights without code, a configuration and a model card.

:mod:`zatlas.runs.hub` says what is in it. No training example is, and no path of this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

from safetensors.torch import save as serialise

from zatlas.errors import UsageError
from zatlas.export.card import card, pictures
from zatlas.export.facts import public_name
from zatlas.figures import save
from zatlas.files import read_json, replacing, write_bytes, write_json, writing
from zatlas.runs.hub import CARD, CARRIED, CONFIG, EVALUATION, FORMAT, SCHEMA, WEIGHTS
from zatlas.runs.opened import Run
from zatlas.training.checkpoint import name_of

# Of run.json, what says how the model came to be; not the command, whose words may be paths, nor the machine.
KEPT = (
    *("schema", "created", "finished", "status", "stopped", "config_sha256", "data_kind", "steps_per_epoch", "steps"),
    *("train_seconds", "examples", "parameters", "precision", "device", "seed", "threads", "limits", "result"),
    *("unit_rates", "estimator", "zatlas", "torch"),
)
OF_DATA = ("name", "sha256", "count", "splits", "spec", "factors")


def to_hub(run: Run, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Writes the folder: ``config.json``, ``model.safetensors``, ``README.md`` with its pictures, ``evaluation.json``
    where the run was evaluated, and what was fitted to its codes.

    Args:
        run: an opened run.
        folder: new, empty, or one that held such an export before.
        facts: of the run.

    Returns:
        What config.json says, and the files ``written``.

    Raises:
        UsageError: the folder holds something else.
        ZatlasError: a disk that refuses.
    """
    _check_free(folder)
    evaluation = _evaluation(run)
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in run.game.state_dict().items()}
    weights = serialise(tensors, {"format": "pt"})
    _, loaded, _ = run.folder.load_checkpoint(name_of(run.step))
    config = run.config.model_copy(deep=True)
    config.data.source, config.data.labels = _public(config.data.source), _public(config.data.labels) or None
    record = {name: run.folder.record[name] for name in KEPT if name in run.folder.record}
    data = run.folder.record["data"]
    record["data"] = {name: data[name] for name in OF_DATA if name in data}
    record["data"]["name"] = public_name(data["name"])
    if record["status"] == "imported":
        record["status"] = "finished"
    about = {
        **facts,
        "format": FORMAT,
        "schema": SCHEMA,
        "library_name": "zatlas",
        "model_type": facts["model"]["kind"],
        "config": tomllib.loads(config.to_toml()),
        "run": record,
        "trainer": loaded["trainer"],
        "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest()},
    }
    shown = pictures(run)
    written = [WEIGHTS, CONFIG, CARD]
    write_bytes(folder / WEIGHTS, weights)
    for picture in shown:
        with replacing(folder / picture.name) as part:
            save(picture.figure, part, background="white")
        written.append(picture.name)
    if evaluation:
        write_json(folder / EVALUATION, evaluation)
        written.append(EVALUATION)
    written += _carry(run.folder.path, folder)
    write_bytes(folder / CARD, card(run, facts, evaluation, shown).encode())
    write_bytes(folder / CONFIG, (json.dumps(about, indent=2) + "\n").encode())
    return {**about, "written": [str(folder / name) for name in written]}


def _public(source: str | None) -> str:
    """A name of data that anybody may know; nothing in place of a path."""
    if not source or os.path.isabs(source) or os.path.exists(source):
        return ""
    return source


def _evaluation(run: Run) -> dict[str, Any]:
    """The figures measured of these weights, without the run's own place; none where there are none."""
    path = run.folder.path / EVALUATION
    if not path.is_file():
        return {}
    record = read_json(path, "the run's figures")
    if record.get("step") != run.step or not isinstance(record.get("figures"), dict):
        return {}
    return {**record, "run": run.folder.name, "data": public_name(str(record.get("data", "")))}


def _carry(source: Path, folder: Path) -> list[str]:
    """Copies what was fitted to the codes."""
    names = []
    for name in CARRIED:
        for path in sorted((source / name).glob("[!.]*")):
            with writing(folder / name):
                (folder / name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name / path.name)
            names.append(f"{name}/{path.name}")
    return names


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give --hub a folder.")
    # a hub repository that was cloned holds .git and .gitattributes
    held = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")} if folder.is_dir() else set()
    if not held or (CONFIG in held and read_json(folder / CONFIG, "the configuration").get("format") == FORMAT):
        return
    raise UsageError(f"{folder} is not empty (it holds {min(held)}): give --hub another folder.")
