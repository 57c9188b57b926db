"""A module of Python as the graph of its operations."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zatlas.errors import UsageError, ZatlasError
from zatlas.networks.exported import ARITHMETIC, ExportedNetwork, operation

# Of the forms that tensors have, only type and place matter to what a network says.
Tensors = dict[str, Tensor]
LEFT_OUT = ("memory_format", "layout", "pin_memory", "non_blocking")


def trace(module: nn.Module, shape: Sequence[int], what: str) -> tuple[list[str], Tensors]:
    """The graph of a module that takes ``[B, *shape]``, for any B, and its tensors by name.

    Traced as it evaluates (:meth:`torch.nn.Module.eval`) and decomposed into core ATen operators, see
    :mod:`zatlas.networks.exported`. The module itself is left as it is.

    Args:
        module: takes one tensor and gives one.
        shape: of one example.
        what: its name for messages.

    Raises:
        UsageError: it fails on such examples, cannot be traced, or does what no graph can hold.
        ZatlasError: the graph does not give what the module gives.
    """
    module = copy.deepcopy(module).cpu().float().eval()
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch", min=1, max=2**20)
    with torch.no_grad(), quiet():
        try:
            expected = module(x)
        except Exception as error:
            raise UsageError(f"the {what} fails on {list(x.shape)}: {_first_line(error)}.") from None
        try:
            program: Any = torch.export.export(module, (x,), dynamic_shapes=({0: batch},), strict=False)
            program = program.run_decompositions()
        except Exception as error:
            why = _first_line(error)
            if "Constraints violated" in why:
                why = "it is written for one length of the batch (len(x) fixes it, x.shape[0] does not)"
            raise UsageError(f"the {what} cannot be traced for any number of examples: {why}.") from None
        lines, tensors = _lines(program, what)
        network = ExportedNetwork(lines, len(shape)).eval()
        network.load_state_dict(tensors)
        for n in (3, 1):
            wanted = expected if n == 3 else module(x[:1])
            if not torch.allclose(network(x[:n], None), wanted, rtol=1e-5, atol=1e-5):
                raise ZatlasError(f"the graph of the {what} does not give what the module gives for {n} examples.")
    return lines, tensors


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and the log of the tracer, which are about its own inside."""
    log = logging.getLogger("torch")
    before = log.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            log.setLevel(logging.CRITICAL)
            yield
    finally:
        log.setLevel(before)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _lines(program: Any, what: str) -> tuple[list[str], Tensors]:
    signature = program.graph_signature
    kinds = {spec.arg.name: (spec.kind.name, spec.target) for spec in signature.input_specs}
    if any(spec.kind.name != "USER_OUTPUT" for spec in signature.output_specs) or len(signature.output_specs) != 1:
        raise UsageError(f"the {what} changes tensors of its own while it runs: a network must leave them alone.")
    nodes = list(program.graph.nodes)
    (output,) = nodes[-1].args[0]
    needed, names = _needed(output), {}
    lines: list[list[Any]] = []
    tensors: Tensors = {}
    for node in (node for node in nodes if node in needed):
        if node.op != "placeholder":
            names[node] = node.name
            lines.append([node.name, *_call(node, names, what)])
            continue
        kind, target = kinds[node.name]
        if kind == "USER_INPUT":
            names[node] = "input"
            lines.append(["input", "input"])
            continue
        name = names[node] = str(target).replace(".", "/")
        tensor: Tensor = program.state_dict[target] if target in program.state_dict else program.constants[target]
        tensors[name] = tensor.detach().clone()
        held = ["parameter", list(tensor.shape)]
        if kind != "PARAMETER":
            held = ["buffer", list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
        lines.append([name, *held])
    return [json.dumps(line) for line in [*lines, [names[output], "output"]]], tensors


def _needed(output: Any) -> set[Any]:
    """The nodes that the output depends on: checks that the tracer has put in are not among them."""
    needed, rest = set(), [output]
    while rest:
        node = rest.pop()
        if node not in needed:
            needed.add(node)
            rest.extend(node.all_input_nodes)
    return needed


def _call(node: Any, names: dict[Any, str], what: str) -> tuple[str, Any, Any]:
    called = str(node.target)
    if node.target in ARITHMETIC.values():
        called = next(name for name, function in ARITHMETIC.items() if function is node.target)
    try:
        operation(called)
    except UsageError as error:
        raise UsageError(f"the {what} cannot be written down: {error}") from None
    named = {key: value for key, value in node.kwargs.items() if key not in LEFT_OUT}
    return called, _written(list(node.args), names), _written(named, names)


def _written(value: Any, names: dict[Any, str]) -> Any:
    """Arguments as JSON."""
    match value:
        case torch.fx.Node():
            return f"${names[value]}"
        case torch.dtype():
            return {"dtype": str(value).removeprefix("torch.")}
        case torch.device():
            return {"device": None}
        case list() | tuple():
            return [_written(one, names) for one in value]
        case dict():
            return {key: _written(one, names) for key, one in value.items()}
        case _:
            return value
