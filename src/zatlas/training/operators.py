"""Seeing every operator of torch that a piece of code calls."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class Operators(TorchDispatchMode):
    """What ``__torch_dispatch__`` of a subclass sees in a ``with`` block, without waiting for the compiler.

    Torch wraps every mode to keep torch.compile out of it, and so imports torch._dynamo, 1 to 2 s, at the first
    operator, unless the mode says that it need not.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
