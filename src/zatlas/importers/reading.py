"""Files of weights: tensors are read from them, and nothing that could run.

What can be verified differs. A file of ``torch.save`` is a zip whose members have checksums, which torch does not look
at: here an altered byte is refused. A safetensors file, one of torch before 1.6, and one saved with
``torch.serialization.set_crc32_options(False)`` hold no checksum, so that of them only the structure can be checked.
"""

from __future__ import annotations

import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from zatlas.errors import UsageError, ZatlasError, nearest

Tensors = dict[str, Tensor]

MEND = "save the model's state_dict() instead, or bring its modules with zatlas.importers.from_modules"
AS = "save the weights as float32"
FOLDER = 0x10  # among the attributes of a zip's member
DEEPEST = 32  # dictionaries in one another
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
        return load(path.read_bytes())  # load_file takes no name that is not UTF-8
    except OSError as error:
        raise ZatlasError(f"{path} cannot be read: {error.strerror or error}.") from None
    except SafetensorError as error:
        raise ZatlasError(f"{path} is damaged, or no safetensors ({str(error)[:200]}).") from None
    except KeyError as error:
        raise ZatlasError(f"{path} holds numbers of type {error.args[0]}, which torch does not have: {AS}.") from None
    except (ValueError, RuntimeError):  # torch lays the bytes out, and has types that it cannot do that with
        raise ZatlasError(f"{path} holds numbers of a type that torch cannot read here: {AS}.") from None


def _torch(path: Path) -> Any:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _verify(path, file)
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ZatlasError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ZatlasError:
        raise
    except Exception as error:  # a file that is no checkpoint fails in as many ways as there are files
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise ZatlasError(f"{path} asks for more memory than there is: it is damaged, or too large.") from None
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        wanted = named[1][:80] if named else "TorchScript" if "TorchScript" in str(error) else _called(path)
        if wanted:
            raise ZatlasError(
                f"{path} wants to run code ({wanted}) and only tensors are ever loaded, so nothing of it was: {MEND}."
            ) from None
        raise ZatlasError(f"{path} is damaged, or no file of torch.save or safetensors.") from None


def _verify(path: Path, file: BinaryIO) -> None:
    """Compares the members of a zip with their checksums; another file has none.

    Raises:
        ZatlasError: one is not what was saved.
    """
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            # an entry that says it is a folder: torch reads nothing there and gives memory as it finds it
            damaged = next((member.filename for member in members if member.external_attr & FOLDER), None)
            if any(member.CRC for member in members):  # all 0: torch was told to save none
                damaged = damaged or archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, struct.error):
        raise ZatlasError(f"{path} is damaged, or no file of torch.save: its list of members is not sound.") from None
    if damaged is not None:
        raise ZatlasError(
            f"{path} is damaged: the checksum or the entry of {damaged} is not what was saved; fetch it again."
        )


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


def _state_dicts(found: Any) -> Iterator[tuple[str, Tensors]]:
    """Every dictionary of tensors and where it lies; those of optimisers, which have param_groups, are passed over.

    None is entered twice, as one may contain itself, and none that lies deeper than anybody saves one.
    """
    entered: set[int] = set()
    waiting = [(found, "", 0)]
    while waiting:
        inner, where, depth = waiting.pop()
        if not isinstance(inner, Mapping) or "param_groups" in inner:
            continue
        if inner and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in inner.items()):
            yield where, dict(inner)
        elif id(inner) not in entered and depth < DEEPEST:
            entered.add(id(inner))
            below = [(value, f"{where}.{name}" if where else f"{name}", depth + 1) for name, value in inner.items()]
            waiting += reversed(below)


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
    """A tensor as the parameter it is to be; its size comes first, since a stride of 0 repeats a number for ever.

    Raises:
        ZatlasError: it is larger than its file, of a kind that weights are not, or not finite.
    """
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized or tensor.is_meta:
        raise ZatlasError(f"{path}: {name} is no plain tensor of numbers.")
    size = path.stat().st_size
    if tensor.nbytes > max(size, tensor.untyped_storage().nbytes()):
        raise ZatlasError(
            f"{path}: {name} claims to be {list(tensor.shape)}, {tensor.nbytes:,} bytes, and the file holds {size:,}: "
            "it is no weight that was trained."
        )
    try:
        tensor = tensor.float()
    except NotImplementedError:
        raise ZatlasError(
            f"{path}: {name} is of {tensor.dtype}, which torch does not turn into float32: {AS}."
        ) from None
    if not tensor.isfinite().all():
        raise ZatlasError(f"{path}: {name} holds NaN or infinity.")
    return tensor
