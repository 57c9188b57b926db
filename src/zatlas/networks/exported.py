"""A network that is written down as data: the graph of its operations, line by line, with its tensors beside it.

Foreign modules come as such graphs, so that a run holds no code. A line is a JSON list: ``["x", "input"]``,
``["fc/weight", "parameter", [256, 784]]``, ``["norm/running_mean", "buffer", [32], "float32"]``,
``["addmm", "aten.addmm.default", ["$fc/bias", "$x", "$permute"], {}]`` with ``$`` before what another line names, and
at last ``["addmm", "output"]``. The operations are PyTorch's core ATen operators, a closed set of some two hundred
functions of tensors that read no file and run no code; those that draw at random, and any other, are refused.

``torch.export.save`` writes the same graph in a form of its own. It is not used because ``torch.export.load`` is not
safe on a file that somebody else made: it falls back to ``torch.load(weights_only=False)``, unpickles constants, and
evaluates strings with sympy.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from zatlas.errors import UsageError
from zatlas.networks.declaring import Pair
from zatlas.parts import SORTS, Context, Settings, network

# Of sizes: the batch is as long as it happens to be.
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "getitem": operator.getitem,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
}


def operation(name: str) -> Callable[..., Any]:
    """The core ATen operator of that name, such as ``aten.relu.default``, or the arithmetic one.

    Raises:
        UsageError: it is none, or one that draws at random.
    """
    if name in ARITHMETIC:
        return ARITHMETIC[name]
    room, _, rest = name.partition(".")
    packet, _, overload = rest.partition(".")
    known = room == "aten" and packet.isidentifier() and not packet.startswith("__")
    found = getattr(torch.ops.aten, packet, None) if known else None
    if found is None or overload not in found.overloads():
        raise UsageError(f"there is no operator {name} in this PyTorch.")
    chosen: Any = getattr(found, overload)
    if torch.Tag.core not in chosen.tags:
        raise UsageError(f"{name} is none of PyTorch's core operators, and only those are run.")
    if torch.Tag.nondeterministic_seeded in chosen.tags:
        raise UsageError(f"{name} draws at random, and a network says the same of the same input.")
    return chosen


class ExportedNetwork(nn.Module):
    """x ``[..., *event]`` to ``[..., *out]`` by a graph; y is not looked at.

    Fresh parameters are drawn as those of a linear layer; vectors start at one where they scale, and at zero elsewhere.

    Args:
        graph: its lines.
        event_dims: dimensions of one example of x.

    Raises:
        UsageError: a line that is none, or an operator that is not to be run.
    """

    def __init__(self, graph: Sequence[str], event_dims: int) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.input = self.output = ""
        self.held: list[str] = []  # parameters and buffers
        self.steps: list[tuple[str, Callable[..., Any], list[Any], dict[str, Any]]] = []
        for number, line in enumerate(graph, 1):
            try:
                self._add(json.loads(line))
            except (ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
                why = f"{error}" if isinstance(error, UsageError) else f"{line[:60]!r} is no line of a graph."
                raise UsageError(f"line {number} of the exported network: {why}") from None
        # what no later step reads is let go of: the activations of a deep network would fill the memory
        last = {name: at for at, step in enumerate(self.steps) for name in _references([step[2], step[3]])}
        self.done: list[list[str]] = [[] for _ in self.steps]
        for name, at in last.items():
            if name != self.output:
                self.done[at].append(name)

    def _add(self, line: Any) -> None:
        match line:
            case [str(name), "input"]:
                self.input = name
            case [str(name), "output"]:
                self.output = name
            case [str(name), "parameter", list(shape)]:
                self.register_parameter(name, nn.Parameter(_fresh(name, shape)))
                self.held.append(name)
            case [str(name), "buffer", list(shape), str(dtype)]:
                self.register_buffer(name, _fresh(name, shape).to(_dtype(dtype)))
                self.held.append(name)
            case [str(name), str(called), list(arguments), dict(named)]:
                self.steps.append((name, operation(called), arguments, named))
            case _:
                raise TypeError

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        lead, event = x.shape[: -self.event_dims], x.shape[-self.event_dims :]
        known: dict[str, Any] = {name: getattr(self, name) for name in self.held}
        known[self.input] = x.reshape(-1, *event)
        for (name, run, arguments, named), done in zip(self.steps, self.done, strict=True):
            known[name] = run(*_filled(arguments, known, x.device), **_filled(named, known, x.device))
            for spent in done:
                known.pop(spent, None)
        out: Tensor = known[self.output]
        return out.reshape(*lead, *out.shape[1:])


def _filled(value: Any, known: dict[str, Any], device: torch.device) -> Any:
    """Arguments with what they refer to in its place."""
    match value:
        case str() if value.startswith("$"):
            return known[value[1:]]
        case list():
            return [_filled(one, known, device) for one in value]
        case {"dtype": str(name)}:
            return _dtype(name)
        case {"device": None}:
            return device
        case dict():
            return {key: _filled(one, known, device) for key, one in value.items()}
        case _:
            return value


def _references(value: Any) -> Iterator[str]:
    match value:
        case str() if value.startswith("$"):
            yield value[1:]
        case list():
            for one in value:
                yield from _references(one)
        case dict():
            yield from _references(list(value.values()))


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):
        raise TypeError
    return found


def _fresh(name: str, shape: Sequence[int]) -> Tensor:
    if len(shape) < 2:
        return torch.ones(shape) if name.endswith(("weight", "var")) else torch.zeros(shape)
    return torch.randn(shape) * (shape[0] / max(1, torch.Size(shape).numel())) ** 0.5


class Graphs(Settings):
    """The settings of networks that are written down."""

    encoder_graph: tuple[str, ...] | None = Field(None, description="its operations, one a line")
    decoder_graph: tuple[str, ...] | None = Field(None, description="its operations, one a line")
    neutral: bool = Field(False, description="x is shown to it as it is, and nothing is added to what it says")


def check_exported(config: Any) -> None:
    """Both graphs, and a model of one layer without labels."""
    model = SORTS["model"].get(config.model.kind)
    if not model.has("one_level") or model.conditional:
        goes = [kind.name for kind in SORTS["model"].parts() if kind.has("one_level") and not kind.conditional]
        raise ValueError(
            f"network.kind = 'exported' goes with model.kind = {' or '.join(map(repr, sorted(goes)))}, not with "
            f"'{model.name}'"
        )
    if None in (config.network.encoder_graph, config.network.decoder_graph):
        raise ValueError(
            "network.kind = 'exported' is what zatlas.importers.from_modules makes of modules: import some with it, "
            "or choose another network"
        )


@network(
    "exported",
    when="any pair of modules that were brought in, with zatlas.train(encoder=, decoder=) or importers.from_modules",
    role="autoencoder",
    order=11,
    settings=Graphs,
    check=check_exported,
)
def exported(settings: Graphs, context: Context, *, outputs: int, out_shape: Sequence[int]) -> Pair:
    """The two graphs."""
    inward, outward = settings.encoder_graph or (), settings.decoder_graph or ()
    return ExportedNetwork(inward, len(context.spec.shape)), ExportedNetwork(outward, 1)
