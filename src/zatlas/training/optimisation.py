"""Optimisers by name, fused where torch can."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer


@cache
def eager(kind: type[Optimizer]) -> type[Any]:
    """The same optimiser without the wrappers that keep torch.compile out of it.

    They import torch._dynamo, which takes 1.2 s, at first use. What else they do is the torch.no_grad
    that is put back here.
    """
    names = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")
    plain: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(inspect.unwrap(kind.step))})


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
            return eager(SGD)(groups, lr=self.learning_rate, momentum=self.betas[0], foreach=True)
        kind = AdamW if self.optimizer == "adamw" else Adam
        fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
        return eager(kind)(groups, lr=self.learning_rate, betas=self.betas, fused=fused)
