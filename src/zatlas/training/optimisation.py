"""Optimisers by name, fused where torch can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer


@dataclass(frozen=True)
class Optimisation:
    """An optimiser and its numbers; the learning rate is the highest that the schedule reaches.

    Weight decay shrinks matrices and kernels alone: a bias, an offset or a learned sigma has no reason to be small.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __call__(self, parameters: list[nn.Parameter], decays: Callable[[nn.Parameter], bool]) -> Optimizer:
        """The optimiser of ``parameters``; ``decays`` says which of them weight decay takes."""
        groups = [
            {"params": [p for p in parameters if decays(p)], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if not decays(p)], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        if self.optimizer == "sgd":
            return SGD(groups, lr=self.learning_rate, momentum=self.betas[0], foreach=True)
        kind = AdamW if self.optimizer == "adamw" else Adam
        fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
        return kind(groups, lr=self.learning_rate, betas=self.betas, fused=fused)
