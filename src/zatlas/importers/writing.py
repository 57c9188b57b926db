"""A foreign model as a run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from zatlas import recipes
from zatlas.config import Config, make_config
from zatlas.data import Source, Splits, located
from zatlas.errors import UsageError
from zatlas.importers.foreign import Foreign, fill, neutral_game
from zatlas.parts import SORTS
from zatlas.runs.data import open_data
from zatlas.runs.folder import RunFolder, check_free, new_folder, now, provenance
from zatlas.runs.opened import Run
from zatlas.runs.setup import data_record
from zatlas.training import State, checkpoint
from zatlas.training.batching import MOST
from zatlas.training.checkpoint import rng_state
from zatlas.types import DataSpec

CPU = torch.device("cpu")


def configured(found: Foreign, data: str | None = None) -> Config:
    """The configuration of an imported model; images of any data that it is given are resized to its own."""
    section: dict[str, Any] = {"source": located(data) if data else ""}
    if found.spec.is_image:
        channels, height, width = found.spec.shape
        section |= {"resize": [height, width]} | ({"channels": channels} if channels in (1, 3) else {})
    kind = SORTS["model"].get(found.model.get("kind", "vae"))
    flat = {"start_log_variance": 0.0} if "posterior" in kind.sections else {}
    likelihood = "gaussian" if found.spec.values == "real" else "bernoulli"
    model = {"kind": "vae", "likelihood": likelihood, **flat, **found.model}
    aim = {"objective": {"kind": "elbo", "beta_warmup_steps": 0}} if flat else {}
    network = {"network": dict(found.network)} if found.network else {}
    return make_config(("the imported model", {"data": section, "model": model, **network, **aim}))


def write_run(found: Foreign, *, origin: Mapping[str, Any], name: str, out: Path | None, data: str | None) -> Run:
    """Makes the run folder; nothing is written before all is known to fit.

    Args:
        found: the model.
        origin: where it came from, for run.json.
        name: the run's, where ``out`` does not say.
        out: the run folder; None: a free name under ``runs/``.
        data: the user's own data, by name or path; None: none, and what wants some says so.

    Raises:
        UsageError, ZatlasError: weights or data that do not fit, a folder in use, a disk that refuses.
    """
    config = configured(found, data)
    batch = config.training.batch_size = config.training.batch_size or MOST
    game = neutral_game(config, found.spec)
    fill(game, found)
    spec, steps_per_epoch = found.spec, 1
    known: dict[str, Any] = {
        "name": f"data unknown ({origin['format']})",
        "count": 0,
        "splits": dict.fromkeys(Splits._fields, 0),
        "spec": spec.to_json(),
    }
    if data:
        source, splits = open_data(config)
        known, steps_per_epoch = (
            checked(source, splits, found.spec),
            -(-len(splits.train) // batch),
        )
    if out is None:
        out = new_folder(Path("runs"), name)
    else:
        check_free(out, config.to_toml().encode())
    record = {
        **provenance(),
        "device": "cpu",
        "precision": "fp32",
        "seed": config.training.seed,
        "data": known,
        "data_kind": recipes.data_kind(config, spec),
        "parameters": sum(
            p.numel() for name, p in game.get_submodule("model").named_parameters() if name in found.tensors
        ),
        "steps_per_epoch": steps_per_epoch,
        "imported": {**origin, **found.origin},
    }
    folder = RunFolder.create(out, config, record)
    # as a training stands before its first step, so that it can be gone on with
    step = checkpoint.name_of(0)
    state = {**asdict(State()), "sums": {}, "counts": {}}
    tensors = {f"game.{name}": tensor for name, tensor in game.state_dict().items()} | rng_state(CPU)
    lines = {"metrics_bytes": 0, "metrics_sha256": hashlib.sha256(b"").hexdigest()}
    checkpoint.save(folder.checkpoints_path / step, tensors, {"trainer": state, **lines})
    folder.update(checkpoints={"last": step}, status="imported", finished=now())
    return Run(folder, device=CPU)


def checked(source: Source, splits: Splits, wanted_spec: DataSpec) -> dict[str, Any]:
    """What run.json says of a user's own data, which must be of the kind that the model takes.

    Raises:
        UsageError: examples of another shape, or values that the model was not made for.
    """
    if source.spec.shape != wanted_spec.shape:
        held, wanted = ("x".join(map(str, spec.shape)) for spec in (source.spec, wanted_spec))
        raise UsageError(f"{source.name} holds {held} and the model wants {wanted}: give data of that size.")
    if source.spec.values == "real" and wanted_spec.values != "real":
        raise UsageError(f"{source.name} holds values outside [0, 1], which the model was not made for: scale them.")
    return data_record(source, splits)
