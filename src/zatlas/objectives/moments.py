"""Objectives that ask something of the aggregate posterior's moments or shape: DIP-VAE and MMD."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from zatlas.objectives.bounds import distortion, rate
from zatlas.objectives.needs import RATE, Rate, needs_closed_rate, needs_fixed_prior
from zatlas.objectives.objective import Objective
from zatlas.parts import SORTS, Context, Settings, objective
from zatlas.types import Batch, Infers, Terms


def covariance(values: Tensor) -> Tensor:
    """The covariance ``[D, D]`` of rows ``[B, D]``, divided by B - 1."""
    centred = values - values.mean(0)
    return centred.T @ centred / max(1, len(values) - 1)


class DisentangledSettings(Settings):
    """Those of DIP-VAE."""

    variant: Literal["i", "ii"] = Field("ii", description="covariance of the means (i) or of z (ii)")
    off: float = Field(10.0, ge=0, description="weight of the covariances")
    on: float = Field(10.0, ge=0, description="weight of the variances' distance from 1")
    beta: float = Field(1.0, gt=0, description="weight of the rate")
    rate: Rate = RATE


def check_disentangled(config: Any) -> None:
    """What DIP-VAE asks of the posterior."""
    needs_closed_rate(config, "dip")
    posterior = config.posterior and SORTS["posterior"].get(config.posterior.kind)
    if config.objective.variant == "ii" and posterior and not posterior.has("by_unit"):
        raise ValueError(
            "objective.variant = 'ii' adds the posteriors' variances unit by unit and wants posterior.kind = "
            f"'diagonal', not '{posterior.name}': choose that, or objective.variant = 'i'"
        )


@objective(
    "dip",
    when="asks the codes for a covariance of identity: disentangled units without a critic",
    source="Kumar et al. 2018, equations 6 and 7",
    needs="infers rate one_level",
    order=5,
    settings=DisentangledSettings,
    closed_rate=True,
    check=check_disentangled,
    remedy="lower beta or objective.on",
)
class Disentangled(Objective):
    r"""ELBO + off sum_{i!=j} C_ij^2 + on sum_i (C_ii - 1)^2 (Kumar et al. 2018, equations 6 and 7).

    Args:
        kind: C is the covariance of the posterior means (``"i"``), or of z itself (``"ii"``): the mean variance of the
            posteriors more.
        off: weight of the covariances.
        on: weight of the variances' distance from 1.
        beta: weight of the rate.
    """

    couples = True  # the covariance is that of the batch
    off: Tensor
    on: Tensor
    beta: Tensor

    def __init__(
        self, kind: Literal["i", "ii"] = "ii", *, off: float = 10.0, on: float = 10.0, beta: float = 1.0
    ) -> None:
        super().__init__()
        self.kind = kind
        for name, value in (("off", off), ("on", on), ("beta", beta)):
            self.register_buffer(name, torch.tensor(float(value)))

    @classmethod
    def of(cls, settings: DisentangledSettings, context: Context) -> Disentangled:
        """As the settings have it."""
        return cls(settings.variant, off=settings.off, on=settings.on, beta=settings.beta)

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        q = inference.levels[-1].q
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        c = covariance(q.mean)
        if self.kind == "ii":
            c = c + torch.diag(q.variance.mean(0))
        on = torch.diagonal(c)
        off = c - torch.diag(on)
        penalty = self.off * off.square().sum() + self.on * (on - 1).square().sum()
        return Terms(d + self.beta * r + penalty, {"distortion": d, "rate": r, "penalty": penalty.expand_as(d)})


def mmd(a: Tensor, b: Tensor) -> Tensor:
    r"""Squared maximum mean discrepancy of rows ``[N, D]`` and ``[M, D]``, unbiased (Gretton et al. 2012, equation 3).

    Of fewer than two rows there is no unbiased estimate, and it is 0.

    Inverse multiquadratic kernels C/(C + |a - b|^2) of several widths C around 2 D, the mean squared distance of two
    draws from N(0, I): their tails have a gradient for an outlying code, where a Gaussian kernel's vanishes (Tolstikhin
    et al. 2018).
    """
    d = a.shape[-1]
    if min(len(a), len(b)) < 2:
        return torch.zeros((), device=a.device)
    aa, bb, ab = (torch.cdist(x, y).square() for x, y in ((a, a), (b, b), (a, b)))
    total = torch.zeros((), device=a.device)
    n, m = len(a), len(b)
    for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        c = 2.0 * d * scale
        within = [(c / (c + s)).sum() - len(s) for s in (aa, bb)]  # without the diagonal, which is one
        total = total + within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * (c / (c + ab)).mean()
    return total


class DiscrepancySettings(Settings):
    """Those of InfoVAE."""

    alpha: float = Field(0.0, ge=0, le=1, description="share of the rate that is not charged")
    weight: float = Field(100.0, gt=0, description="weight of the discrepancy")
    rate: Rate = RATE

    @model_validator(mode="after")
    def _together(self) -> DiscrepancySettings:
        if self.alpha + self.weight < 1:
            raise ValueError(
                "objective.alpha + objective.weight - 1 weighs the discrepancy, and below zero it would be sought: "
                "give objective.weight of 1 or more"
            )
        return self


def check_discrepancy(config: Any) -> None:
    """What InfoVAE asks of the prior."""
    needs_closed_rate(config, "infovae")
    needs_fixed_prior(config, "infovae")


@objective(
    "infovae",
    when="MMD between codes and prior instead of (some of) the rate: codes that keep more of x",
    source="Zhao et al. 2019, equation 6",
    needs="infers rate one_level",
    order=6,
    settings=DiscrepancySettings,
    closed_rate=True,
    check=check_discrepancy,
    remedy="raise alpha, so that less of the rate is charged",
    watch=("mmd",),
)
class Discrepancy(Objective):
    r"""InfoVAE: distortion + (1 - alpha) rate + (alpha + lambda - 1) MMD(q(z), p(z)) (Zhao et al. 2019, equation 6).

    Args:
        alpha: at 1 the rate is not charged at all (MMD-VAE).
        weight: lambda, the weight of the discrepancy in nats.
    """

    couples = True  # the discrepancy is that of the batch
    alpha: Tensor
    weight: Tensor

    def __init__(self, *, alpha: float = 0.0, weight: float = 100.0) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.register_buffer("weight", torch.tensor(float(weight)))

    @classmethod
    def of(cls, settings: DiscrepancySettings, context: Context) -> Discrepancy:
        """As the settings have it."""
        return cls(alpha=settings.alpha, weight=settings.weight)

    def forward(self, player: str, model: Infers, batch: Batch, step: Tensor | int) -> Terms:
        inference = model.infer(batch.x, batch.y)
        level = inference.levels[-1]
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        z = level.z[0]
        draws = level.p.expand((len(z),)).sample()
        discrepancy = mmd(z, draws)
        loss = d + (1 - self.alpha) * r + (self.alpha + self.weight - 1) * discrepancy
        return Terms(loss, {"distortion": d, "rate": r, "mmd": discrepancy.expand_as(d)})
