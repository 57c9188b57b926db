"""The evidence lower bound with a weight, and the capacity objective."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zatlas.distributions import rate_per_unit
from zatlas.errors import UsageError
from zatlas.objectives.bounds import distortion, path_rate, rate
from zatlas.objectives.objective import Objective
from zatlas.objectives.schedules import ramp
from zatlas.types import Batch, Inference, Terms


class Variational(Objective):
    r"""distortion + beta * rate: the VAE at beta = 1, the beta-VAE elsewhere (Higgins et al. 2017, equation 4).

    With a point posterior the rate is zero and this is the autoencoder's reconstruction loss.

    Args:
        beta: weight of the rate.
        warmup_steps: steps over which the weight rises linearly from 0 to beta.
        free_bits_nats: a unit is not charged for its first so many nats, in the mean over the batch (Kingma et al.
            2016, equation 15).
        sticking_the_landing: the rate is estimated at the draw, log q(z|x) - log p(z), and its gradient flows through z
            alone: its variance vanishes where q is the true posterior (Roeder et al. 2017).
    """

    beta: Tensor
    warmup_steps: Tensor
    free_bits_nats: Tensor

    def __init__(
        self,
        beta: float = 1.0,
        *,
        warmup_steps: int = 0,
        free_bits_nats: float = 0.0,
        sticking_the_landing: bool = False,
    ) -> None:
        super().__init__()
        if free_bits_nats and sticking_the_landing:
            raise UsageError(
                "free bits count a closed-form rate and sticking the landing has none: choose one of them."
            )
        self.register_buffer("beta", torch.tensor(float(beta)))
        self.register_buffer("warmup_steps", torch.tensor(warmup_steps))
        self.register_buffer("free_bits_nats", torch.tensor(float(free_bits_nats)))
        self.free = free_bits_nats > 0
        self.sticking_the_landing = sticking_the_landing

    def forward(self, player: str, model: Any, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        d = distortion(inference, batch.x).mean(0)
        r = path_rate(inference) if self.sticking_the_landing else rate(inference)
        charged = self._charged(inference) if self.free else r
        return Terms(d + self.beta * ramp(step, self.warmup_steps) * charged, {"distortion": d, "rate": r})

    def _charged(self, inference: Inference) -> Tensor:
        """The rate beyond the free nats of each unit, ``[B]`` (the batch's mean, the same for every example)."""
        units = [rate_per_unit(level.q, level.p).flatten(0, -2).mean(0) for level in inference.levels]
        total = torch.stack([torch.maximum(unit, self.free_bits_nats).sum() for unit in units]).sum()
        return total.expand(inference.px.batch_shape[-1])


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
