"""The evidence lower bound with a weight, and the capacity objective."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zatlas.objectives.bounds import distortion, rate
from zatlas.objectives.objective import Objective
from zatlas.objectives.schedules import ramp
from zatlas.types import Batch, Terms


class Variational(Objective):
    r"""distortion + beta * rate: the VAE at beta = 1, the beta-VAE elsewhere (Higgins et al. 2017, equation 4).

    With a point posterior the rate is zero and this is the autoencoder's reconstruction loss.

    Args:
        beta: weight of the rate.
        warmup_steps: steps over which the weight rises linearly from 0 to beta.
    """

    beta: Tensor
    warmup_steps: Tensor

    def __init__(self, beta: float = 1.0, *, warmup_steps: int = 0) -> None:
        super().__init__()
        self.register_buffer("beta", torch.tensor(float(beta)))
        self.register_buffer("warmup_steps", torch.tensor(warmup_steps))

    def forward(self, player: str, model: Any, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        return Terms(d + self.beta * ramp(step, self.warmup_steps) * r, {"distortion": d, "rate": r})


class Capacity(Objective):
    r"""distortion + gamma * |rate - C(step)|, C rising linearly (Burgess et al. 2018, equation 8).

    Args:
        capacity_nats: C at the end.
        steps: steps over which C rises from 0.
        gamma: weight of the deviation.
    """

    capacity_nats: Tensor
    steps: Tensor
    gamma: Tensor

    def __init__(self, capacity_nats: float, *, steps: int, gamma: float = 30.0) -> None:
        super().__init__()
        self.register_buffer("capacity_nats", torch.tensor(float(capacity_nats)))
        self.register_buffer("steps", torch.tensor(steps))
        self.register_buffer("gamma", torch.tensor(float(gamma)))

    def forward(self, player: str, model: Any, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        # the deviation of the batch's mean rate: single images may cost more or less than C
        deviation = (r.mean() - self.capacity_nats * ramp(step, self.steps)).abs()
        return Terms(d + self.gamma * deviation, {"distortion": d, "rate": r})
