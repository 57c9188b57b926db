"""Checkpoints: a folder of tensors without code, and a record with their checksum."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as deserialise
from safetensors.torch import save as serialise
from torch import Tensor, nn

from zatlas.errors import ZatlasError
from zatlas.files import read_json, sync_folder, write_bytes, write_json, writing

TENSORS, STATE = "tensors.safetensors", "state.json"
NAME = re.compile(r"step-(\d{8,})")


def name_of(step: int) -> str:
    """``step-00012345``."""
    return f"step-{step:08d}"


def save(folder: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Writes one checkpoint; a reader sees all of it or nothing.

    Raises:
        ZatlasError: the disk is full or cannot be written; earlier checkpoints are untouched.
    """
    beside = folder.with_name(f".{folder.name}.part")
    # clones: safetensors refuses tensors that share memory, as standardisation does between encoder and decoder
    content = serialise({name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()})
    shutil.rmtree(beside, ignore_errors=True)
    record = {**record, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        write_bytes(beside / TENSORS, content)
        write_json(beside / STATE, {**record, "record_sha256": _seal(record)})
        with writing(folder):
            remove(folder)
            beside.replace(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def remove(folder: Path) -> None:
    """Removes a checkpoint: it is out of sight at once, so that a kill on the way leaves no half of one."""
    beside = folder.with_name(f".{folder.name}.old.part")
    shutil.rmtree(beside, ignore_errors=True)
    with suppress(OSError):
        folder.replace(beside)
    shutil.rmtree(beside, ignore_errors=True)


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the record of one checkpoint, its checksum verified.

    Raises:
        ZatlasError: a file is missing, cut short or altered; the file is named.
    """
    record = read_json(folder / STATE, "the checkpoint's record")
    seal = record.pop("record_sha256", None)
    if seal != _seal(record):
        raise ZatlasError(f"the checkpoint's record {folder / STATE} is damaged: its checksum is not the one recorded.")
    path = folder / TENSORS
    try:
        content = path.read_bytes()  # and not load_file, which takes no name that is not UTF-8
        if hashlib.sha256(content).hexdigest() != record.get("sha256"):
            raise ZatlasError(f"the checkpoint {path} is damaged: its checksum is not the one recorded.")
        return deserialise(content), record
    except OSError as error:
        raise ZatlasError(f"the checkpoint {path} cannot be read: {error.strerror or error}.") from None
    except SafetensorError as error:
        raise ZatlasError(f"the checkpoint {path} is damaged ({error}).") from None


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, ascending."""
    found = (NAME.fullmatch(entry.name) for entry in folder.iterdir()) if folder.is_dir() else iter(())
    return sorted(int(match[1]) for match in found if match)


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's random generators."""
    states = {"rng.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["rng.cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_rng_state(tensors: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(tensors["rng.cpu"])
    if device.type == "cuda" and "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def load_module(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """``load_state_dict`` whose refusal is one sentence.

    Raises:
        ZatlasError: a tensor is missing, left over or of another shape; the first such tensor is named.
    """
    own = module.state_dict()
    for name in [*own, *tensors]:
        if name not in tensors:
            raise ZatlasError(f"the weights do not fit: {name} is missing.")
        if name not in own:
            raise ZatlasError(f"the weights do not fit: the model has no {name}.")
        if own[name].shape != tensors[name].shape:
            shapes = f"{list(tensors[name].shape)} where the model has {list(own[name].shape)}"
            raise ZatlasError(f"the weights do not fit: {name} is {shapes}.")
    module.load_state_dict(tensors)
