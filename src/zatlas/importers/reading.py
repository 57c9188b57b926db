"""Files of weights: tensors are read from them, and nothing that could run."""

from __future__ import annotations

import pickletools
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from zatlas.errors import UsageError, ZatlasError, nearest

Tensors = dict[str, Tensor]

MEND = "save the model's state_dict() instead, or bring its modules with zatlas.importers.from_modules"
WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile, before every name


def read_tensors(path: Path, state: str | None = None) -> Tensors:
    """The state_dict in a file of ``torch.save`` or safetensors, float32 on the CPU.

    Args:
        path: the file; one that ends in .safetensors is read as that.
        state: where in the file, such as ``"model_states.net"``; None: its one state_dict, wherever that is.

    Raises:
        UsageError: there is no such file, or no state_dict of that name.
        ZatlasError: it is damaged, wants to run code, or holds no state_dict; or a tensor cannot be a weight.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}.")
    found = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    tensors = _chosen(path, dict(_state_dicts(found)), state)
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return {name: _weight(path, name, tensor) for name, tensor in tensors.items()}


def _safetensors(path: Path) -> Tensors:
    try:
        return load_file(path)
    except OSError as error:
        raise ZatlasError(f"{path} cannot be read: {error.strerror or error}.") from None
    except SafetensorError as error:
        raise ZatlasError(f"{path} is damaged, or no safetensors ({error}).") from None


def _torch(path: Path) -> Any:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ZatlasError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # a file that is no checkpoint fails in as many ways as there are files
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        wanted = named[1] if named else "TorchScript" if "TorchScript" in str(error) else _called(path)
        if wanted:
            raise ZatlasError(
                f"{path} wants to run code ({wanted}) and only tensors are ever loaded, so nothing of it was: {MEND}."
            ) from None
        raise ZatlasError(f"{path} is damaged, or no file of torch.save or safetensors.") from None


def _called(path: Path) -> str | None:
    """What a plain pickle would call first, by reading its instructions without following them; None: it is none."""
    words: list[str] = []
    with path.open("rb") as file, suppress(Exception):  # bytes that are no pickle fail in many ways
        for instruction, argument, _ in pickletools.genops(file):
            if instruction.name in ("GLOBAL", "INST"):
                return str(argument).replace(" ", ".")
            if instruction.name == "STACK_GLOBAL":
                return ".".join(words[-2:])
            if isinstance(argument, str):
                words.append(argument)
    return None


def _state_dicts(found: Any, where: str = "") -> Iterator[tuple[str, Tensors]]:
    """Every dictionary of tensors and where it lies; those of optimisers, which have param_groups, are passed over."""
    if not isinstance(found, Mapping) or "param_groups" in found:
        return
    if found and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()):
        yield where, dict(found)
        return
    for name, value in found.items():
        yield from _state_dicts(value, f"{where}.{name}" if where else str(name))


def _chosen(path: Path, states: dict[str, Tensors], wanted: str | None) -> Tensors:
    if wanted is None and len(states) == 1:
        return next(iter(states.values()))
    if not states:
        raise ZatlasError(f"{path} holds no state_dict, that is, no dictionary of names and tensors: {MEND}.")
    if wanted is None:
        raise UsageError(
            f"{path} holds {len(states)} state_dicts ({', '.join(states)}): say which in a mapping, state."
        )
    if wanted not in states:
        raise UsageError(f"{path} holds no state_dict {wanted!r}; {nearest(wanted, states)}")
    return states[wanted]


def _weight(path: Path, name: str, tensor: Tensor) -> Tensor:
    """A tensor as the parameter it is to be."""
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized or tensor.is_meta:
        raise ZatlasError(f"{path}: {name} is no plain tensor of numbers.")
    tensor = tensor.float()
    if not tensor.isfinite().all():
        raise ZatlasError(f"{path}: {name} holds NaN or infinity.")
    return tensor
