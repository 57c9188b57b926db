"""Shapes of results."""

from __future__ import annotations

import numpy as np
import torch


def broadcast_shapes(*shapes: torch.Size) -> torch.Size:
    """As :func:`torch.broadcast_shapes`, which imports sympy at its first use and takes 1.9 s for it.

    Sizes that are symbols, as where a program is exported, are torch's affair all the same.

    Raises:
        RuntimeError: the shapes do not go together.

    >>> broadcast_shapes(torch.Size([3, 1]), torch.Size([4]))
    torch.Size([3, 4])
    """
    if all(type(size) is int for shape in shapes for size in shape):
        try:
            return torch.Size(np.broadcast_shapes(*shapes))
        except ValueError as error:
            raise RuntimeError(str(error)) from None
    return torch.broadcast_shapes(*shapes)
