"""Weights that change over training, as functions of the step."""

from __future__ import annotations

import torch
from torch import Tensor


def ramp(step: Tensor | int, steps: Tensor | int) -> Tensor | float:
    """0 at step 0, rising linearly to 1 at ``steps``, 1 from there on (at once, where ``steps`` is 0).

    >>> ramp(5, 10), ramp(99, 10), ramp(0, 0)
    (0.5, 1.0, 1.0)
    """
    if isinstance(step, Tensor) or isinstance(steps, Tensor):
        steps = torch.as_tensor(steps)
        return torch.where(steps > 0, step / steps.clamp_min(1), 1.0).clamp_max(1.0)
    return min(1.0, step / steps) if steps else 1.0
