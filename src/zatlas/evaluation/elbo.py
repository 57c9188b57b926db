"""The evidence lower bound and its parts over a data set, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from zatlas.distributions import rate_per_unit
from zatlas.objectives import distortion, rate
from zatlas.training import Game, Precision, autocast
from zatlas.types import Batch

LAST_STEP = 2**31 - 1  # schedules of the objective are over
ACTIVE_VARIANCE = 0.01  # Burda et al. 2016, section 3.3


class Batches(Protocol):
    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class Figure:
    """A number one can trust: its standard error, how many examples it is a mean of, and how it was estimated."""

    value: float
    standard_error: float
    count: int
    estimator: str

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "standard_error": None if math.isnan(self.standard_error) else self.standard_error,
            "count": self.count,
            "estimator": self.estimator,
        }


def mean_figure(values: Tensor, estimator: str) -> Figure:
    """Mean and standard error of independent values ``[N]``."""
    values = values.double()
    count = len(values)
    error = values.std().item() / math.sqrt(count) if count > 1 else math.nan
    return Figure(values.mean().item(), error, count, estimator)


@dataclass(frozen=True)
class Elbo:
    """Per-example parts of the bound, and what each latent unit carries.

    Attributes:
        distortion: -log p(x|z) at one draw of z per example, ``[N]``, in nats.
        rate: KL(q(z|x) || p(z)), ``[N]``, in nats.
        unit_rates: the mean rate of each unit, ``[D]``, in nats.
        mean_variance: variance over the data of each unit's posterior mean, ``[D]``.
    """

    distortion: Tensor
    rate: Tensor
    unit_rates: Tensor
    mean_variance: Tensor

    def active_units(self) -> int:
        """Units whose posterior mean varies over the data by more than 0.01 (Burda et al. 2016)."""
        return int((self.mean_variance > ACTIVE_VARIANCE).sum())

    def figures(self, beta: float = 1.0) -> dict[str, Figure]:
        """The named figures: elbo, distortion, rate, active units, and the loss where beta is not 1."""
        loss = self.distortion + self.rate
        one_draw = "one posterior sample per example"
        figures = {
            "elbo": mean_figure(-loss, f"{one_draw}, closed-form rate"),
            "distortion": mean_figure(self.distortion, one_draw),
            "rate": mean_figure(self.rate, "closed-form KL to the prior"),
        }
        if beta != 1:
            weighted = self.distortion + beta * self.rate
            figures["loss"] = mean_figure(weighted, f"distortion + {beta:g} rate, {one_draw}")
        units = self.active_units()
        figures["active_units"] = Figure(units, math.nan, len(loss), f"Var(E[z|x]) > {ACTIVE_VARIANCE}")
        return figures


@torch.no_grad()
def estimate_elbo(
    model: Any,
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
        device: where the model lives.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        progress: is told how many examples were added.

    Returns:
        Parts for N examples, on the CPU.
    """
    model.eval()
    distortions, rates, means = [], [], []
    unit_rates: Tensor | None = None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for batch in batches.epoch(0):
            with autocast(device, precision):
                inference = model.infer(batch.x, batch.y)
            level = inference.levels[-1]
            distortions.append(distortion(inference, batch.x).mean(0).cpu())
            rates.append(rate(inference).cpu())
            means.append(level.q.mean.cpu())
            total = rate_per_unit(level.q, level.p).double().sum(0).cpu()
            unit_rates = total if unit_rates is None else unit_rates + total
            if progress:
                progress(len(batch.x))
    assert unit_rates is not None
    codes = torch.cat(means).double()
    variance = codes.var(0) if len(codes) > 1 else torch.zeros(codes.shape[1])
    return Elbo(torch.cat(distortions), torch.cat(rates), unit_rates / len(codes), variance)


@torch.no_grad()
def mean_terms(
    game: Game, batches: Batches, *, device: torch.device, precision: Precision = "fp32", seed: int = 0
) -> dict[str, float]:
    """The objective's own terms averaged over ``batches``, its schedules at their end: what validation watches."""
    game.eval()
    totals: dict[str, Tensor] = {}
    count = 0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for batch in batches.epoch(0):
            with autocast(device, precision):
                terms = game(game.players[0], batch, LAST_STEP)
            for name, value in {"loss": terms.loss, **terms.parts}.items():
                totals[name] = totals.get(name, 0.0) + value.float().mean() * len(batch.x)
            count += len(batch.x)
    return {name: float(total) / count for name, total in totals.items()}
