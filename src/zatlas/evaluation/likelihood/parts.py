"""Where the ELBO goes: the rate in three parts over the data set, and what the encoder's haste costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from zatlas.distributions import DiagonalGaussian
from zatlas.errors import UsageError
from zatlas.evaluation.elbo import ACTIVE_VARIANCE, Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.likelihood.shared import Progress, chunks, only_level, seeded, split
from zatlas.objectives.bounds import negative_elbo
from zatlas.training import Precision, autocast
from zatlas.types import Batch, Inference, Level


@dataclass(frozen=True)
class RateParts:
    """rate = mutual information + total correlation + dimension-wise KL, at one z for each of M examples.

    Attributes:
        mutual_information: log q(z|x) - log q(z), ``[M]``, in nats; its mean is at most log N.
        total_correlation: log q(z) - sum_d log q(z_d), ``[M]``.
        dimension_wise_kl: sum_d log q(z_d) - log p(z), ``[M]``.
        mean_variance: variance over the data of each unit's posterior mean, ``[D]``.
        examples: N, over which q(z) is the average.
    """

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor
    mean_variance: Tensor
    examples: int

    def figures(self) -> dict[str, Figure]:
        """The three parts, and ``active_units`` (Burda et al. 2016, section 3.3)."""
        estimator = f"one posterior sample per example, against the aggregate of {self.examples}"
        names = ("mutual_information", "total_correlation", "dimension_wise_kl")
        units = int((self.mean_variance > ACTIVE_VARIANCE).sum())
        return {
            **{name: mean_figure(getattr(self, name), estimator) for name in names},
            "active_units": Figure(units, math.nan, self.examples, f"Var(E[z|x]) > {ACTIVE_VARIANCE}"),
        }


def _gaussian(level: Level) -> DiagonalGaussian:
    if not isinstance(level.q, DiagonalGaussian):
        raise UsageError(f"this wants a diagonal Gaussian posterior, and {type(level.q).__name__} is none.")
    return level.q


@torch.no_grad()
def rate_parts(
    model: Any,
    batches: Batches,
    *,
    examples: int | None = 1000,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    pairs_at_once: int = 100_000,
    progress: Progress | None = None,
) -> RateParts:
    r"""The rate's parts under the aggregate posterior q(z) = 1/N sum_n q(z|x_n) of all the data.

    .. math:: E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || \prod_d q(z_d)) + \sum_d KL(q(z_d) || p(z_d))

    (Hoffman & Johnson 2016; Chen et al. 2018, equation 2.) Exact but for the draws of z. For p(z|y) the last part is
    against each example's own prior.

    Args:
        model: infers; one layer, a diagonal Gaussian posterior, a prior that factorises over units.
        batches: N examples, in any order.
        examples: M, at how many of them z is drawn, spread evenly; None: all. The cost is M N D.
        device: where the model lives.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        pairs_at_once: pairs of z and posterior compared at once, which bounds the memory.
        progress: is told how many examples were encoded.

    Raises:
        UsageError: several layers, or another posterior.
    """
    model.eval()
    means, log_variances, draws, given_x, priors = [], [], [], [], []
    with seeded(device, seed):
        for batch in batches.epoch(0):
            with autocast(device, precision):
                level = only_level(model, batch)
            q, z = _gaussian(level), level.z[0]
            means.append(q.mean)
            log_variances.append(q.log_variance)
            draws.append(z)
            given_x.append(q.log_prob(z))
            priors.append(level.p.log_prob(z))
            if progress:
                progress(len(batch.x))
    aggregate = DiagonalGaussian(torch.cat(means), torch.cat(log_variances))
    count = len(aggregate.mean)
    chosen = torch.linspace(0, count - 1, min(count, examples or count), device=device).long()
    z, log_q_given_x, log_p = (torch.cat(values)[chosen] for values in (draws, given_x, priors))
    log_q, log_q_product = _under_aggregate(aggregate, z, pairs_at_once)
    information, correlation, units = log_q_given_x - log_q, log_q - log_q_product, log_q_product - log_p
    variance = aggregate.mean.double().var(0) if count > 1 else torch.zeros_like(aggregate.mean[0])
    return RateParts(information.cpu(), correlation.cpu(), units.cpu(), variance.cpu(), count)


def _under_aggregate(aggregate: DiagonalGaussian, z: Tensor, pairs_at_once: int) -> tuple[Tensor, Tensor]:
    """log q(z) and sum_d log q(z_d) of z ``[M, D]``, ``[M]`` each, q the even mixture of ``aggregate`` ``[N]``."""
    count, units = aggregate.mean.shape
    together, apart = [], []
    for piece in z.split(max(1, pairs_at_once // (count * units))):
        log_q = aggregate.log_prob_per_unit(piece[:, None])  # [m, N, D]
        together.append(log_q.sum(-1).logsumexp(1) - math.log(count))
        apart.append((log_q.logsumexp(1) - math.log(count)).sum(-1))
    return torch.cat(together), torch.cat(apart)


@dataclass(frozen=True)
class AmortisationGap:
    """The bound with the encoder's posterior, and with the best diagonal Gaussian for each example.

    Attributes:
        amortised: ELBO ``[N]``, in nats.
        optimised: ELBO ``[N]``, in nats.
    """

    amortised: Tensor
    optimised: Tensor

    def figures(self) -> dict[str, Figure]:
        """``elbo_amortised``, ``elbo_optimised`` and ``amortisation_gap``."""
        values = {
            "elbo_amortised": self.amortised,
            "elbo_optimised": self.optimised,
            "amortisation_gap": self.optimised - self.amortised,
        }
        return {name: mean_figure(value, "posteriors optimised one by one") for name, value in values.items()}


def amortisation_gap(
    model: Any,
    batches: Batches,
    *,
    steps: int = 300,
    samples: int = 8,
    final_samples: int = 200,
    learning_rate: float = 0.05,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    rows_at_once: int = 2000,
    progress: Progress | None = None,
) -> AmortisationGap:
    """What the ELBO would gain from a diagonal Gaussian fitted to each example, from the encoder's start.

    Cremer et al. 2018, section 3: amortisation gap = ELBO(q*) - ELBO(q). Both bounds are estimated with the same noise,
    fresh since the fit, so that their difference has little of it.

    Args:
        model: infers and generates; one layer, a diagonal Gaussian posterior.
        batches: N examples, in any order; some hundred tell the mean.
        steps: of Adam, whose rate falls linearly to zero.
        samples: draws for a step's gradient.
        final_samples: draws for the two bounds.
        learning_rate: of Adam, for a mean counted in the encoder's standard deviations and for a log-variance.
        device: where the model lives.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: images decoded at once, which bounds the memory.
        progress: is told how many examples were added.

    Raises:
        UsageError: several layers, or another posterior.
    """
    model.eval()
    found = []
    with seeded(device, seed):
        for batch in batches.epoch(0):
            for part in split(batch, max(1, rows_at_once // samples)):
                with torch.no_grad(), autocast(device, precision):
                    level = only_level(model, part)
                bound = partial(_negative_elbo, model, part, level.p, device, precision)
                found.append(
                    _before_and_after(
                        bound, _gaussian(level), steps, samples, final_samples, learning_rate, rows_at_once
                    )
                )
                if progress:
                    progress(len(part.x))
    amortised, optimised = torch.cat(found, 1)
    return AmortisationGap(amortised, optimised)


Bound = Callable[[DiagonalGaussian, Tensor], Tensor]


def _negative_elbo(
    model: Any,
    batch: Batch,
    p: Distribution,
    device: torch.device,
    precision: Precision,
    q: DiagonalGaussian,
    noise: Tensor,
) -> Tensor:
    """``[B]``, with the draws of q that noise ``[K, B, D]`` makes."""
    z = q.from_noise(noise)
    with autocast(device, precision):
        px = model.generate(y=batch.y, z=(z,)).px
    return negative_elbo(Inference((Level(q, p, z),), px), batch.x)


def _before_and_after(
    bound: Bound, q: DiagonalGaussian, steps: int, samples: int, final_samples: int, rate: float, rows_at_once: int
) -> Tensor:
    """The ELBO with the encoder's q and with the fitted one, ``[2, B]``, over the same noise."""
    fitted = _fit(bound, q, steps, samples, rate)
    totals = torch.zeros(2, len(q.mean))
    with torch.no_grad():
        for count in chunks(final_samples, max(1, rows_at_once // len(q.mean))):
            noise = torch.randn(count, *q.mean.shape, device=q.mean.device)
            totals -= count * torch.stack([bound(q, noise), bound(fitted, noise)]).cpu()
    return totals / final_samples


def _fit(bound: Bound, start: DiagonalGaussian, steps: int, samples: int, rate: float) -> DiagonalGaussian:
    """The best posterior of each example, started at the encoder's."""
    shift = torch.zeros_like(start.mean, requires_grad=True)
    growth = torch.zeros_like(start.mean, requires_grad=True)
    posterior = lambda: DiagonalGaussian(start.mean + start.stddev * shift, start.log_variance + growth)
    adam = torch.optim.Adam([shift, growth], lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, steps)
    for _ in range(steps):
        loss = bound(posterior(), torch.randn(samples, *shift.shape, device=shift.device)).sum()
        shift.grad, growth.grad = torch.autograd.grad(loss, [shift, growth])
        adam.step()
        schedule.step()
    with torch.no_grad():
        return posterior()
