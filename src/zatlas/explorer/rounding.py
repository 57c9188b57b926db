"""Weights in few bits: a graph whose large weights are whole numbers times a step, as coarse as its outputs allow.

A layer's weights are rounded column by column, and what rounding one column changes of the layer's outputs is made
good in the columns that are yet to be rounded (Frantar et al. 2023, GPTQ), by the second moments of what the layer is
given. Rounding each number by itself was there before: at equal steps, of an eighth of the standard deviation, the last
layer of a decoder of MNIST then erred by 0.028 in place of 0.0055.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.export.onnx import onnx_function
from zatlas.export.parity import HALF_TOLERANCE, difference
from zatlas.export.ports import Part

FEWEST = 5000  # numbers of a tensor that is rounded: those of small ones matter most and take no room
FINEST, COARSEST, EIGHTHS = 10, 2, 8  # powers of two, and parts of one: steps of a weight's standard deviation
MIDDLE = 128
MARGIN = 0.9  # of the tolerance, as the browser rounds in another order
DAMPING = 0.01  # of the mean second moment, for inputs unlike those that were seen
COLUMNS = 64  # rounded before the columns after them are told
LUCKY = 8  # coarser steps that are tried, too
COMPARED = 64  # inputs more on which outputs are compared
BOUND = 32000


@dataclass(frozen=True)
class Weight:
    """A large tensor of a graph.

    Args:
        name: in the graph.
        values: as the graph has them.
        factor: ``[I, I]``, upper, the Cholesky factor of the inverse second moments of what it is multiplied with;
            None: not known, and each number is rounded by itself.
        turned: whether its rows are inputs, as of a product from the right; else its columns are.
    """

    name: str
    values: Array
    factor: Array | None = None
    turned: bool = False

    def step(self, steps: float) -> np.float32:
        """The step, so many of which are a standard deviation."""
        return np.float32(max(float(self.values.std()) / steps, float(np.abs(self.values).max()) / BOUND))

    def whole(self, step: np.float32) -> Array:
        """The whole numbers that times the step stand for the weights."""
        if self.factor is None:
            return np.round(self.values / step)
        w = np.array(self.values.T if self.turned else self.values, np.float32)  # [O, I]
        whole = np.empty_like(w)
        for start in range(0, w.shape[1], COLUMNS):
            end = min(start + COLUMNS, w.shape[1])
            errors = np.empty((len(w), end - start), np.float32)
            for i in range(start, end):
                whole[:, i] = np.round(w[:, i] / step)
                errors[:, i - start] = (w[:, i] - whole[:, i] * step) / self.factor[i, i]
                w[:, i + 1 : end] -= np.outer(errors[:, i - start], self.factor[i, i + 1 : end])
            w[:, end:] -= errors @ self.factor[start:end, end:]
        return whole.T if self.turned else whole


def coarsest(model: Any, part: Part, inputs: Sequence[Tensor] | None) -> tuple[bytes, float, float] | None:
    """A graph in the fewest bits that keep its outputs within the tolerance.

    Bits go where they help: a bit more for each number of a tensor halves the error that it makes, so that least are
    wanted in all where the squared errors of the tensors are as their numbers.

    Args:
        model: the graph, with float32 weights.
        part: what it stands for.
        inputs: of each port, ``[N, *shape]``, for the second moments and to compare outputs on; None: there are only
            the part's examples.

    Returns:
        The graph, the largest difference of its outputs, and its steps of a standard deviation, the geometric mean over
        tensors; None: nothing in it is large, or no step is fine enough.
    """
    weights = _weights(model, inputs)
    if not weights:
        return None
    if inputs is not None:
        part = replace(
            part, examples=tuple(torch.cat([a, b[:COMPARED]]) for a, b in zip(part.examples, inputs, strict=True))
        )

    def error(steps: Mapping[str, float]) -> tuple[bytes, float]:
        content = stepped(model, [weight for weight in weights if weight.name in steps], steps).SerializeToString()
        return content, difference(part, onnx_function(content, part), HALF_TOLERANCE)

    made = {w.name: max(error({w.name: MIDDLE})[1], 1e-9) / math.sqrt(w.values.size) for w in weights}
    total = sum(w.values.size for w in weights)
    mean = math.exp(sum(w.values.size * math.log(made[w.name]) for w in weights) / total)

    def at(power: int) -> tuple[bytes, float, float] | None:
        content, gap = error({name: 2 ** (power / EIGHTHS) * one / mean for name, one in made.items()})
        return (content, gap, round(2 ** (power / EIGHTHS), 1)) if gap <= MARGIN * HALF_TOLERANCE else None

    found, low, high = None, EIGHTHS * COARSEST, EIGHTHS * FINEST + 1
    while low < high:
        power = (low + high) // 2
        if (here := at(power)) is not None:
            found, high = here, power
        else:
            low = power + 1
    for power in range(low - 2, max(low - 2 - LUCKY, EIGHTHS * COARSEST - 1), -1):
        found = at(power) or found  # errors do not fall evenly
    return found


def _weights(model: Any, inputs: Sequence[Tensor] | None) -> list[Weight]:
    """The large tensors, with the second moments of what they are multiplied with."""
    from onnx import TensorProto, numpy_helper

    large = {}
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) >= FEWEST:
            values = numpy_helper.to_array(tensor)
            if values.std() > 0:
                large[tensor.name] = values
    products = {} if inputs is None else {name: _product(model, name) for name in large}
    names = {given[0] for given in products.values() if given}
    seen = _seen(model, inputs, names) if inputs is not None and names else {}
    found = []
    for name, values in large.items():
        given = products.get(name)
        found.append(Weight(name, values, _factor(seen[given[0]]), given[1]) if given else Weight(name, values))
    return found


def _product(model: Any, name: str) -> tuple[str, bool] | None:
    """What a tensor is multiplied with, and whether from the right; None where it is used in another way as well."""
    users = [node for node in model.graph.node if name in node.input]
    if len(users) != 1 or users[0].op_type not in ("Gemm", "MatMul") or users[0].input[1] != name:
        return None
    node = users[0]
    facts = {fact.name: fact.i for fact in node.attribute}
    return None if facts.get("transA") else (node.input[0], not facts.get("transB", 0))


def _seen(model: Any, inputs: Sequence[Tensor], names: set[str]) -> dict[str, Array]:
    """What stands at places of a graph, ``[N, I]`` each."""
    import onnxruntime
    from onnx import ModelProto, TensorProto, helper

    outside = [port.name for port in model.graph.input]
    feeds = {name: tensor.numpy() for name, tensor in zip(outside, inputs, strict=True)}
    looked = ModelProto()
    looked.CopyFrom(model)
    inside = sorted(names - set(outside))
    for name in inside:
        if name not in {port.name for port in looked.graph.output}:
            looked.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(looked.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = dict(zip(inside, session.run(inside, feeds), strict=True)) if inside else {}
    found |= {name: feeds[name] for name in names & set(outside)}
    return {name: values.reshape(-1, values.shape[-1]) for name, values in found.items()}


def _factor(x: Array) -> Array:
    second = x.T.astype(np.float64) @ x / len(x)
    second[np.diag_indices_from(second)] += DAMPING * max(float(np.diag(second).mean()), 1e-12)
    factor: Array = np.linalg.cholesky(np.linalg.inv(second)).T.astype(np.float32)
    return factor


def stepped(model: Any, weights: Sequence[Weight], steps: Mapping[str, float]) -> Any:
    """The graph with weights as 16-bit whole numbers times a step, so many of which are their standard deviation.

    Rounding the mantissas of 16-bit floats was tried first: at the same error of the outputs it wants 1.5 bits more of
    each weight, as it spends as many on small weights as on large ones.
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    short = ModelProto()
    short.CopyFrom(model)
    graph, nodes = short.graph, []
    chosen = {weight.name: weight for weight in weights}
    for tensor in list(graph.initializer):
        name = tensor.name
        if name not in chosen:
            continue
        step = chosen[name].step(steps[name])
        # most of them then lie from 0 to 255, so that their upper bytes are all alike and pack away
        whole = (chosen[name].whole(step) + MIDDLE).clip(-32768, 32767).astype(np.int16)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(whole), f"{name}_whole"))
        graph.initializer.append(numpy_helper.from_array(np.asarray(step), f"{name}_step"))
        nodes.append(helper.make_node("Cast", [f"{name}_whole"], [f"{name}_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Sub", [f"{name}_float", "middle_of_whole"], [f"{name}_signed"]))
        nodes.append(helper.make_node("Mul", [f"{name}_signed", f"{name}_step"], [name]))
    if nodes:
        graph.initializer.append(numpy_helper.from_array(np.asarray(MIDDLE, np.float32), "middle_of_whole"))
    kept = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(kept)
    return short
