"""The evidence lower bound and its parts over a data set, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from zatlas.distributions import closed_kl, rate_per_unit
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.objectives import distortion, rate
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Batch, Infers, Level

ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, section 3.3


class Batches(Protocol):
    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Elbo:
    """Per-example parts of the bound, and what each latent unit carries.

    Attributes:
        distortion: -log p(x|z) at one draw of z per example, ``[N]``, in nats.
        rate: KL(q(z|x) || p(z)), ``[N]``, in nats.
        unit_rates: the mean rate of each unit, ``[D]``, in nats.
        mean_variance: variance over the data of each unit's posterior mean, ``[D]``.
        closed: whether the rate is in closed form; else it is log q(z|x) - log p(z) at the draw.
        by_unit: whether posterior and prior factorise over units; where they do not, a unit's rate is what a Gaussian
            channel of its signal and noise would carry, log(1 + Var(E[z|x]) / E[Var(z|x)]) / 2.
    """

    distortion: Tensor
    rate: Tensor
    unit_rates: Tensor
    mean_variance: Tensor
    closed: bool = True
    by_unit: bool = True

    def active_units(self) -> int:
        """Units whose posterior mean varies over the data by more than 0.01 (Burda et al. 2016)."""
        return int((self.mean_variance > ACTIVE_VARIANCE).sum())

    def figures(self, beta: float = 1.0) -> dict[str, Figure]:
        """The named figures: elbo, distortion, rate, active units, and the loss where beta is not 1."""
        loss = self.distortion + self.rate
        one_draw = "one posterior sample per example"
        figures = {
            "elbo": mean_figure(-loss, f"{one_draw}, {'closed-form' if self.closed else 'sampled'} rate"),
            "distortion": mean_figure(self.distortion, one_draw),
            "rate": mean_figure(self.rate, "closed-form KL to the prior" if self.closed else "log q - log p, sampled"),
        }
        if beta != 1:
            weighted = self.distortion + beta * self.rate
            figures["loss"] = mean_figure(weighted, f"distortion + {beta:g} rate, {one_draw}")
        units = self.active_units()
        estimator = f"units with Var(E[z|x]) > {ACTIVE_VARIANCE} over the examples"
        figures["active_units"] = Figure(units, math.nan, len(loss), estimator)
        return figures


@torch.no_grad()
def estimate_elbo(
    model: Infers,
    batches: Batches,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Elbo:
    """Passes once over ``batches`` with one draw of z per example.

    Args:
        model: infers.
        batches: the examples, in any order.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        progress: is told how many examples were added.

    Returns:
        Parts for N examples, on the CPU.
    """
    model.eval()
    distortions, rates, means, variances, units = [], [], [], [], []
    closed = by_unit = True
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            with autocast(device, precision):
                inference = model.infer(batch.x, batch.y)
            distortions.append(distortion(inference, batch.x).mean(0).cpu())
            rates.append(rate(inference).cpu())
            means.append(_side_by_side([level.q.mean for level in inference.levels]))
            variances.append(_side_by_side([level.q.variance for level in inference.levels]))
            per_unit = [_rate_by_unit(level) for level in inference.levels]
            closed &= all(closed_kl(level.q, level.p) is not None for level in inference.levels)
            known = [values for values in per_unit if values is not None]
            if by_unit := len(known) == len(per_unit):
                units.append(_side_by_side(known).double().sum(0))
            if progress:
                progress(len(batch.x))
    codes = torch.cat(means).double()
    signal = codes.var(0) if len(codes) > 1 else torch.zeros(codes.shape[1], dtype=torch.float64)
    noise = torch.cat(variances).double().mean(0).clamp_min(1e-12)
    unit_rates = torch.stack(units).sum(0) / len(codes) if by_unit else 0.5 * torch.log1p(signal / noise)
    return Elbo(torch.cat(distortions), torch.cat(rates), unit_rates, signal, closed, by_unit)


def _rate_by_unit(level: Level) -> Tensor | None:
    """The rate of each unit, or None where q and p do not factorise over them."""
    try:
        return rate_per_unit(level.q, level.p)
    except NotImplementedError:
        return None


def _side_by_side(levels: Sequence[Tensor]) -> Tensor:
    """``[B, sum D]`` of each level's ``[B, D]`` or, below the first, ``[1, B, D]``."""
    return torch.cat([level[0] if level.dim() == 3 else level for level in levels], -1).cpu()
