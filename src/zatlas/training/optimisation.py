"""Optimisers by name, fused where torch can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer


@dataclass(frozen=True)
class Optimisation:
    """An optimiser and its numbers; the learning rate is the highest that the schedule reaches."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def __call__(self, parameters: list[nn.Parameter]) -> Optimizer:
        decay = self.weight_decay
        if self.optimizer == "sgd":
            return SGD(parameters, lr=self.learning_rate, momentum=self.betas[0], weight_decay=decay, foreach=True)
        kind = AdamW if self.optimizer == "adamw" else Adam
        fused = all(p.device.type in ("cpu", "cuda", "mps") and torch.is_floating_point(p) for p in parameters)
        return kind(parameters, lr=self.learning_rate, betas=self.betas, weight_decay=decay, fused=fused)
