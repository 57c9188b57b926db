"""What a part of a model is once it leaves it: a module that takes and gives tensors, what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Tensors = tuple[Tensor, ...]
EXAMPLES = 6  # inputs that outputs are compared on


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Args:
        name: ``"x"``, ``"z"``, ``"y"``, ``"mean"`` and so on.
        shape: of one example; a batch of any length stands before it.
        meaning: what its numbers are.
        numbers: how many whole numbers from 0 there are to choose from; 0: it is float32.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str
    numbers: int = 0

    @property
    def dtype(self) -> str:
        return "int64" if self.numbers else "float32"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "shape": ["batch", *self.shape], "dtype": self.dtype, "meaning": self.meaning}


@dataclass(frozen=True)
class Part:
    """One function of the model.

    Args:
        name: ``"encoder"``, ``"decoder"``, ``"prior"`` or ``"codebook"``.
        module: inputs to outputs, in their order.
        inputs: what it takes.
        outputs: what it gives.
        examples: inputs of each port, ``[EXAMPLES, *shape]``.
        reference: what the model itself gives for such inputs; None: what the module gives.
        clear: ``(inputs, tolerance) -> [B, P]``, False at positions of a code where two codewords are so nearly as near
            that rounding may choose the other one; None: there is no such choice.
    """

    name: str
    module: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    examples: Tensors
    reference: Callable[..., Tensors] | None = None
    clear: Callable[[Tensors, float], Tensor] | None = None

    @torch.no_grad()
    def expected(self, inputs: Sequence[Tensor]) -> Tensors:
        """What the model gives in PyTorch."""
        found = (self.reference or self.module)(*inputs)
        return found if isinstance(found, tuple) else (found,)


@dataclass(frozen=True)
class Parts:
    """All parts of a run's model.

    Attributes:
        parts: those that it has.
        posterior: the family of q(z|x), in words; empty where there is no encoder.
        prior: how codes are drawn: ``family``, ``how`` and, of a mixture, ``weights``.
    """

    parts: tuple[Part, ...]
    posterior: str
    prior: dict[str, Any] = field(default_factory=dict)
