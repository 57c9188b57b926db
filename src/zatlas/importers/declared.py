"""Any state_dict, by a small mapping in TOML that says which of its tensors is which of ours.

::

    interleaved = ["encoder.net.out.*"]        # our tensors whose rows are mean, log-variance, mean, … in the file
    swapped = []                               # ours whose rows are all log-variances, then all means
    ignore = ["*.num_batches_tracked"]         # theirs that are not wanted
    state = "model_states.net"                 # where the file keeps them; needed where it holds several state_dicts

    [model]                                    # as in a config.toml
    network = "burgess"                        # or mlp, conv, resnet, konny-h, course-mlp, …
    latent_dim = 10

    [data]
    shape = [1, 32, 32]                        # (C, H, W), or [features]
    values = "unit"                            # in [0, 1], or "real"

    [tensors]                                  # ours = theirs; one * on either side stands for the same words
    "encoder.net.convolutions.*" = "enc.conv.*"
    "encoder.net.hidden.*" = "enc.fc.*"
    "encoder.net.out.*" = ["to_mean.*", "to_logvar.*"]   # several: their rows one after the other
    "decoder.net.*" = "dec.*"

What zatlas does before and after its networks (``encoder.standardise.*``, ``decoder.offset``) does nothing where it is
not named. The networks that fit are those of zatlas: other modules come in by :func:`zatlas.importers.from_modules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zatlas.config.schema import load_toml
from zatlas.errors import UsageError, ZatlasError, nearest, shown
from zatlas.importers.foreign import Foreign, data_shape, deinterleaved, neutral_game
from zatlas.importers.reading import Tensors
from zatlas.importers.writing import configured
from zatlas.types import DataSpec

KEYS = ("state", "interleaved", "swapped", "ignore", "model", "data", "tensors")
VALUES = ("unit", "real")


def read_mapping(path: Path) -> dict[str, Any]:
    """A mapping whose words are known and of the right form.

    Raises:
        UsageError: it cannot be read, or a word of it is wrong.
    """
    mapping = load_toml(path)
    for key in mapping:
        if key not in KEYS:
            raise UsageError(f"{path}: there is no {key[:80]} in a mapping; {nearest(key, KEYS)}")
    for key in ("model", "data", "tensors"):
        if not isinstance(mapping.get(key), dict) or not mapping[key]:
            raise UsageError(f"{path}: a mapping wants a section [{key}].")
    for key in ("interleaved", "swapped", "ignore"):
        if not _words(mapping.setdefault(key, [])):
            raise UsageError(f"{path}: {key} wants a list of names.")
    if not isinstance(mapping.setdefault("state", None), str | None):
        raise UsageError(f"{path}: state wants a name such as model_states.net.")
    for ours, theirs in mapping["tensors"].items():
        mapping["tensors"][ours] = [theirs] if isinstance(theirs, str) else theirs
        if not _words(mapping["tensors"][ours]) or not theirs:
            raise UsageError(f"{path}: {ours} wants the name of a tensor, or a list of such names.")
        if any(name.count("*") > 1 for name in (ours, *mapping["tensors"][ours])):
            raise UsageError(f"{path}: {ours} has more than one * on one side.")
    shape = data_shape(mapping["data"].get("shape"), f"{path}: data.shape")
    values = mapping["data"].get("values", "unit")
    if values not in VALUES:
        raise UsageError(f"{path}: data.values cannot be {shown(values)}; {nearest(str(values), VALUES)}")
    if left := set(mapping["data"]) - {"shape", "values"}:
        raise UsageError(f"{path}: there is no data.{min(left)[:80]} in a mapping; known are shape, values.")
    mapping["data"] = DataSpec(shape, values)
    return mapping


def _words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def read(tensors: Tensors, mapping: Mapping[str, Any]) -> Foreign:
    """The model in a state_dict, by a mapping of :func:`read_mapping`.

    Raises:
        UsageError: a name that nothing has; the nearest is named.
        ZatlasError: a tensor that is wanted twice, is left over, or cannot stand where it is to.
    """
    found = Foreign(mapping["model"], mapping["data"], {}, {})
    own = neutral_game(configured(found), found.spec).get_submodule("model").state_dict()
    used: set[str] = set()
    for ours, theirs in mapping["tensors"].items():
        for name, star in _matching(ours, own):
            if name in found.tensors:
                raise ZatlasError(f"the mapping gives {name} twice.")
            called = [pattern.replace("*", star) for pattern in theirs]
            used.update(called)
            found.tensors[name] = _stacked([_named(tensors, one, name) for one in called], called)
            found.theirs[name] = " + ".join(called)
    for key, change in (("interleaved", deinterleaved), ("swapped", _swapped)):
        for pattern in mapping[key]:
            for name, _ in _matching(pattern, found.tensors):
                found.tensors[name] = change(found.tensors[name])
    ignored = {name for pattern in mapping["ignore"] for name, _ in _matching(pattern, tensors)}
    if left := sorted(set(tensors) - used - ignored):
        raise ZatlasError(f"the weights do not fit: {left[0]} is left over; map it, or add it to ignore.")
    return found


def _matching(pattern: str, names: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The names that a pattern means, with what its * stands for.

    Raises:
        UsageError: there is none.
    """
    head, star, tail = pattern.partition("*")
    if not star:
        hits = [(pattern, "")] if pattern in names else []
    else:
        long = [n for n in names if len(n) > len(head + tail) and n.startswith(head) and n.endswith(tail)]
        hits = [(name, name[len(head) : len(name) - len(tail)]) for name in long]
    if not hits:
        raise UsageError(f"the mapping names {pattern}, and there is no such tensor; {nearest(pattern, names)}")
    yield from hits


def _named(tensors: Tensors, name: str, ours: str) -> Tensor:
    if name not in tensors:
        raise UsageError(f"the mapping wants {name} for {ours}, and the file has none; {nearest(name, tensors)}")
    return tensors[name]


def _stacked(parts: list[Tensor], names: list[str]) -> Tensor:
    if len({part.shape[1:] for part in parts}) > 1 or not all(part.dim() for part in parts[1:]):
        shapes = " and ".join(f"{name} {list(part.shape)}" for name, part in zip(names, parts, strict=True))
        raise ZatlasError(f"the weights do not fit: {shapes} cannot stand one after the other.")
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _swapped(rows: Tensor) -> Tensor:
    return torch.cat(list(reversed(rows.chunk(2))))
