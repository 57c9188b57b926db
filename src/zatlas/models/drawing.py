"""What every ``generate`` begins with: how many draws, and the codes that are given or drawn."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution


def how_many(n: int | None, y: Tensor | None) -> int:
    """n; without n one for each row of y; without y one."""
    return n if n is not None else 1 if y is None else len(y)


def given_or_drawn(z: tuple[Tensor, ...], prior: Callable[[], Distribution], n: int | None, y: Tensor | None) -> Tensor:
    """Codes ``[K, B, D]`` of a model of one layer: those given, ``[B, D]`` or ``[K, B, D]``, or the prior's draws."""
    if z:
        code = z[0]
    else:
        p = prior()
        code = p.sample() if p.batch_shape else p.sample((how_many(n, y),))
    return code if code.dim() == 3 else code[None]
