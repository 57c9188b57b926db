"""What an importer finds in a file: a configuration, and tensors under the names that zatlas gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zatlas import recipes
from zatlas.config import Config
from zatlas.errors import UsageError, ZatlasError, shown
from zatlas.importers.reading import Tensors
from zatlas.training import Game, forked_rng
from zatlas.types import DataSpec

# What zatlas learns of its training data before it begins, and other programs leave to the network: identities here.
NEUTRAL = ("encoder.standardise.", "decoder.likelihood.", "decoder.offset")


@dataclass(frozen=True)
class Foreign:
    """A model as it was found.

    Attributes:
        model: the section ``[model]`` of the configuration.
        spec: of the data that the model was trained on, as far as the weights tell.
        tensors: by our names, ``encoder.net.out.weight`` and so on.
        theirs: what each of those is called in the file, for messages.
        network: the section ``[network]``, where ``model`` does not name it.
        remarks: sentences for people.
        origin: what run.json keeps of where it came from, beside file and checksum.
        unsaid: what names of tensors begin with that the file does not have, and that stay as they start.
    """

    model: Mapping[str, Any]
    spec: DataSpec
    tensors: Tensors
    theirs: dict[str, str]
    network: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()


def neutral_game(config: Config, spec: DataSpec) -> Game:
    """The game of a configuration in which nothing comes before or after the networks: x is shown as it is, and the
    decoder's output has no offset. Its weights are drawn without touching torch's global random state."""
    unknown = recipes.Statistics(torch.zeros(spec.shape), torch.ones(spec.shape), torch.zeros(0))
    with forked_rng():
        game = recipes.build_game(config, spec, 0, unknown)
    for name, parameter in game.get_submodule("model").named_parameters():
        if name == "decoder.offset":
            torch.nn.init.zeros_(parameter)
    return game


def fill(game: Game, found: Foreign) -> None:
    """Puts the tensors into a neutral game.

    Raises:
        ZatlasError: one is missing, of another shape or left over; it is named as the file names it.
    """
    model = game.get_submodule("model")
    own: Tensors = model.state_dict()
    for name, tensor in found.tensors.items():
        called = found.theirs.get(name, name)
        if name not in own:
            raise ZatlasError(f"the weights do not fit: the model has no place for {called}.")
        if tensor.shape != own[name].shape:
            shapes = f"{list(tensor.shape)} where {_what(found)} has {list(own[name].shape)}"
            raise ZatlasError(f"the weights do not fit: {called} is {shapes}.")
    for name in own:
        if name not in found.tensors and not name.startswith((*NEUTRAL, *found.unsaid)):
            raise ZatlasError(f"the weights do not fit: nothing is given for {name}, which {_what(found)} has.")
    model.load_state_dict(own | found.tensors)


def _what(found: Foreign) -> str:
    shape = "x".join(map(str, found.spec.shape))
    if found.network:
        return f"the {found.network['kind']} network for {shape}"
    return f"the {found.model['network']} network for {shape} with {found.model['latent_dim']} latent units"


def size_along(tensors: Tensors, name: str, dim: int, dims: int) -> int:
    """How long a tensor is along one dimension: where channels and latent units are read from.

    Raises:
        ZatlasError: it is missing, or has another number of dimensions.
    """
    if name not in tensors:
        raise ZatlasError(f"the weights do not fit: {name} is missing.")
    shape = list(tensors[name].shape)
    if len(shape) != dims or not shape[dim]:
        raise ZatlasError(f"the weights do not fit: {name} is {shape} where {dims} dimensions are wanted.")
    return shape[dim]


def layers(ours: str, names: Sequence[str], at: Sequence[int]) -> dict[str, str]:
    """Our name to theirs, of weights and biases: layer ``at[i]`` of our sequence is their layer ``names[i]``."""
    pairs = zip(at, names, strict=True)
    return {f"{ours}.{i}.{part}": f"{name}.{part}" for i, name in pairs for part in ("weight", "bias")}


def renamed(tensors: Tensors, theirs: Mapping[str, str]) -> Tensors:
    """Our name to tensor, all of them.

    Raises:
        ZatlasError: one is missing or left over.
    """
    for name in theirs.values():
        if name not in tensors:
            raise ZatlasError(f"the weights do not fit: {name} is missing.")
    if left := sorted(set(tensors) - set(theirs.values())):
        raise ZatlasError(f"the weights do not fit: {left[0]} has no place in this architecture.")
    return {ours: tensors[name] for ours, name in theirs.items()}


def data_shape(shape: Any, what: str) -> tuple[int, ...]:
    """The shape of one example.

    Raises:
        UsageError: ``what`` is no such shape.
    """
    sound = isinstance(shape, list | tuple) and all(type(n) is int and n > 0 for n in shape)
    if not sound or len(shape) not in (1, 3):
        raise UsageError(f"{what} wants [C, H, W] or [features], not {shown(shape)}.")
    return tuple(shape)


def deinterleaved(rows: Tensor) -> Tensor:
    """Rows mean, log-variance, mean, log-variance, … as all means, then all log-variances.

    >>> deinterleaved(torch.tensor([1, -1, 2, -2]))
    tensor([ 1,  2, -1, -2])
    """
    if len(rows) % 2:
        raise UsageError(f"{len(rows)} rows are no pairs of mean and log-variance.")
    return torch.cat([rows[0::2], rows[1::2]])
