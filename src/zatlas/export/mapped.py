"""Parts whose codes are maps: a spatial code leaves as ``[B, C, h, w]``, and the model has rows of as many units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from torch import Tensor, nn

from zatlas.export.ports import Part, Tensors


class Mapped(nn.Module):
    """A part whose codes are maps ``[B, C, h, w]`` where the part itself has rows ``[B, D]``.

    Args:
        module: the part's.
        shape: ``(C, h, w)``.
        takes, gives: which of its inputs and outputs are codes.
    """

    def __init__(self, module: nn.Module, shape: Sequence[int], takes: Sequence[bool], gives: Sequence[bool]) -> None:
        super().__init__()
        self.module, self.shape, self.takes, self.gives = module, tuple(shape), tuple(takes), tuple(gives)

    # by name, since what is traced must have as many places as it is given tensors
    def forward(self, a: Tensor, b: Tensor | None = None, c: Tensor | None = None) -> Tensor | Tensors:
        given = [one for one in (a, b, c) if one is not None]
        rows = [one.flatten(1) if code else one for one, code in zip(given, self.takes, strict=True)]
        out = self.module(*rows)
        if not isinstance(out, tuple):
            return out.unflatten(1, self.shape) if self.gives[0] else out
        return tuple(one.unflatten(1, self.shape) if code else one for one, code in zip(out, self.gives, strict=True))


CODES = ("z", "mean", "log_variance", "noise")


def mapped(part: Part, shape: tuple[int, ...]) -> Part:
    """The part with codes of shape ``(C, h, w)`` where it has rows of as many units."""
    size = (prod(shape),)
    codes = [[port.name in CODES and port.shape == size for port in ports] for ports in (part.inputs, part.outputs)]
    inputs, outputs = (
        tuple(replace(port, shape=shape) if code else port for port, code in zip(ports, are, strict=True))
        for ports, are in zip((part.inputs, part.outputs), codes, strict=True)
    )
    examples = tuple(
        one.unflatten(1, shape) if code else one for one, code in zip(part.examples, codes[0], strict=True)
    )
    reference = part.reference
    if isinstance(reference, nn.Module):
        reference = Mapped(reference, shape, *codes)
    return replace(
        part,
        module=Mapped(part.module, shape, *codes),
        inputs=inputs,
        outputs=outputs,
        examples=examples,
        reference=reference,
    )
