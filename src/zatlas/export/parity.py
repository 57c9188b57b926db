"""Whether what leaves gives what the model gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from zatlas.errors import ZatlasError
from zatlas.export.ports import Part

TOLERANCE = 1e-4  # of an output, or of its largest value where that is above 1
HALF_TOLERANCE = 2e-3  # where weights are stored in 16 bits

Function = Callable[[Sequence[Tensor]], Sequence[Tensor]]


def difference(part: Part, run: Function, tolerance: float = TOLERANCE) -> float:
    """The largest difference between a part's outputs and the model's, for batches of 1, 2 and all examples.

    It counts in units of the output, or of its largest value where that is above 1: float32 knows an output of
    thousands no better than to some 1e-4.

    Args:
        part: what is compared.
        run: what leaves, from inputs to outputs.
        tolerance: what will be allowed; it says which codewords are too nearly as near to be told apart.

    Raises:
        ZatlasError: a shape is another one.
    """
    worst = 0.0
    count = len(part.examples[0])
    for rows in (slice(0, 1), slice(0, 2), slice(0, count)):
        inputs = tuple(tensor[rows] for tensor in part.examples)
        found, wanted = run(inputs), part.expected(inputs)
        sure = part.clear(inputs, tolerance) if part.clear else None
        worst = max(worst, *_differences(part, found, wanted, sure))
    return worst


def _differences(part: Part, found: Sequence[Tensor], wanted: Sequence[Tensor], sure: Tensor | None) -> Iterator[float]:
    for port, one, other in zip(part.outputs, found, wanted, strict=True):
        if one.shape != other.shape:
            raise ZatlasError(
                f"the exported {part.name} gives {port.name} of shape {list(one.shape)} and the model gives "
                f"{list(other.shape)}: please report it."
            )
        a, b = one.double(), other.double()
        if sure is not None:
            a, b = (t.reshape(*sure.shape, -1)[sure] for t in (a, b))
        if not a.numel():
            yield 0.0
            continue
        gap = float((a - b).abs().max()) / max(1.0, float(b.abs().max()))
        yield math.inf if math.isnan(gap) else gap


def check(part: Part, gap: float, tolerance: float, what: str, instead: str) -> None:
    """Refuses to write what does not give what the model gives.

    Args:
        part: what was compared.
        gap: as :func:`difference` gives it.
        tolerance: what is allowed.
        what: the form it has, for the message, such as ``"ONNX"``.
        instead: what mends it.

    Raises:
        ZatlasError: the gap is too large.
    """
    if not gap <= tolerance:
        raise ZatlasError(
            f"the {part.name} as {what} is off from the model's by {gap:.2g} where {tolerance:.0e} is allowed, so "
            f"nothing was written: {instead}."
        )


def torch_function(module: torch.nn.Module) -> Function:
    """A module that takes tensors one by one, as a function of all of them."""

    @torch.no_grad()
    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        found = module(*inputs)
        return found if isinstance(found, tuple | list) else (found,)

    return run
