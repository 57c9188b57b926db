"""The evidence lower bound with a weight, and the capacity objective."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor

from zatlas.distributions import rate_per_unit
from zatlas.errors import UsageError
from zatlas.objectives.bounds import distortion, path_rate, rate
from zatlas.objectives.needs import RATE, Rate, needs_closed_rate, needs_fixed_posterior, needs_units
from zatlas.objectives.objective import Objective
from zatlas.objectives.schedules import ramp
from zatlas.parts import SORTS, Context, Settings, objective
from zatlas.types import Batch, Inference, Infers, Terms

# With a posterior that starts narrow it keeps the decoder from learning to ignore z while that is noise: the course's
# network ended between 149.9 and 157.1 nats on MNIST for four seeds with both, and at 206 for one of them without.
WARMUP_STEPS = 300  # of beta; also worth 2 nats at 2500 steps and 5 at 600 (mlp, MNIST, z = 16)


class ElboSettings(Settings):
    """Those of the weighted bound, and of its capacity form."""

    beta: float = Field(1.0, gt=0, description="weight of the rate")
    beta_warmup_steps: int | None = Field(
        None,
        ge=0,
        le=10**15,
        description="beta rises linearly from 0 over so many steps; None: 300, or 0 for an mlp of one or two units",
    )
    capacity_nats: float | None = Field(
        None, ge=0, description="final rate C of the capacity schedule; None: no capacity"
    )
    capacity_steps: int = Field(10_000, ge=1, le=10**15, description="steps over which C rises from 0")
    gamma: float = Field(30.0, gt=0, description="weight of |rate - C|")
    free_bits_nats: float = Field(0.0, ge=0, description="nats of each unit that are not charged")
    sticking_the_landing: bool = Field(False, description="gradient of the rate through z alone")
    rate: Rate = RATE

    @model_validator(mode="after")
    def _together(self) -> ElboSettings:
        for key in ("capacity_steps", "gamma"):
            if self.capacity_nats is None and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"objective.{key} belongs to objective.capacity_nats: give that too, or leave it out")
        if self.free_bits_nats and self.sticking_the_landing:
            raise ValueError("objective.free_bits_nats and objective.sticking_the_landing exclude each other")
        if self.capacity_nats is not None and (self.free_bits_nats or self.sticking_the_landing or self.beta != 1):
            raise ValueError(
                "objective.capacity_nats replaces beta, free bits and sticking the landing: leave them out"
            )
        return self

    @property
    def is_weighted_elbo(self) -> bool:
        """Whether the loss is distortion + beta rate and nothing else."""
        return self.capacity_nats is None

    def resolve(self, context: Context) -> None:
        if self.is_weighted_elbo and not context.model.point:
            self.beta_warmup_steps = warmup_steps(self, context)


def warmup_steps(settings: ElboSettings, context: Context) -> int:
    """The steps asked for; else none for a network that does not collapse at so few units and would lose over a nat."""
    if settings.beta_warmup_steps is not None:
        return settings.beta_warmup_steps
    safe = context.latent_dim <= context.network.facts.get("safe_units", 0)
    return 0 if safe or context.model.point else WARMUP_STEPS


def check_elbo(config: Any) -> None:
    """What the bound asks of the other parts."""
    o, model = config.objective, SORTS["model"].get(config.model.kind)
    others = " or ".join(kind.name for kind in SORTS["model"].parts() if kind.has("one_level", "rate"))
    if model.point:
        if o.capacity_nats is not None:
            raise ValueError(f"objective.capacity_nats needs a rate, and an {model.name} has none: choose {others}")
        if o.beta != 1 or o.beta_warmup_steps:
            raise ValueError(
                f"objective.beta weighs the rate, and an {model.name} has none: leave it out, or choose {others}"
            )
        if o.free_bits_nats or o.sticking_the_landing:
            raise ValueError(
                "objective.free_bits_nats and objective.sticking_the_landing are about the rate, and an "
                f"{model.name} has none: leave them out, or choose {others}"
            )
    needs_closed_rate(config, "elbo")
    if o.free_bits_nats:
        needs_units(config, "free bits count")
    if o.sticking_the_landing:
        needs_fixed_posterior(config)


@objective(
    "elbo",
    when="distortion + beta rate: VAE at beta 1, beta-VAE elsewhere; with free bits or a capacity if wanted",
    source="Kingma & Welling 2014; Higgins et al. 2017, equation 4",
    needs="infers continuous",
    order=1,
    settings=ElboSettings,
    closed_rate=True,
    check=check_elbo,
    remedy="lower beta, lengthen beta_warmup_steps, or leave free_bits_nats of each unit uncharged",
)
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
        self.couples = self.free  # what is free is so in the batch's mean
        self.sticking_the_landing = sticking_the_landing

    @classmethod
    def of(cls, settings: ElboSettings, context: Context) -> Objective:
        """The weighted bound, or the capacity objective where a capacity is asked for."""
        if settings.capacity_nats is not None:
            return Capacity(settings.capacity_nats, steps=settings.capacity_steps, gamma=settings.gamma)
        return cls(
            settings.beta,
            warmup_steps=warmup_steps(settings, context),
            free_bits_nats=settings.free_bits_nats,
            sticking_the_landing=settings.sticking_the_landing,
        )

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
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

    couples = True  # the deviation is that of the batch's mean rate
    capacity_nats: Tensor
    steps: Tensor
    gamma: Tensor

    def __init__(self, capacity_nats: float, *, steps: int, gamma: float = 30.0) -> None:
        super().__init__()
        self.register_buffer("capacity_nats", torch.tensor(float(capacity_nats)))
        self.register_buffer("steps", torch.tensor(steps))
        self.register_buffer("gamma", torch.tensor(float(gamma)))

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        # the deviation of the batch's mean rate: single images may cost more or less than C
        deviation = (r.mean() - self.capacity_nats * ramp(step, self.steps)).abs()
        return Terms(d + self.gamma * deviation, {"distortion": d, "rate": r})
