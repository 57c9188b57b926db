"""An exponential moving average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """theta_avg <- decay * theta_avg + (1 - decay) * theta after every step (Polyak & Juditsky 1992).

    The decay warms up as (1 + t) / (10 + t), so that the average of a short training is not its random start.

    Args:
        module: what is averaged; buffers are copied, not averaged.
        decay: between 0 and 1.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).requires_grad_(False)
        self._live = [p.detach() for p in module.parameters()]
        self._mean = [p.detach() for p in self.module.parameters()]
        self._live_buffers = list(module.buffers())
        self._mean_buffers = list(self.module.buffers())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after step number ``step`` (the first is 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)
        for mean, live in zip(self._mean_buffers, self._live_buffers, strict=True):
            mean.copy_(live)
