"""The amortisation gap: what the ELBO would gain from a posterior fitted to each example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.distributions import Distribution

from zatlas.distributions import DiagonalGaussian
from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.likelihood.shared import Progress, chunks, diagonal, only_level, split
from zatlas.objectives.bounds import negative_elbo
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Batch, Inference, Infers, Level


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
    model: Infers,
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
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: images decoded at once, which bounds the memory.
        progress: is told how many examples were added.

    Raises:
        UsageError: several layers, or another posterior.
    """
    model.eval()
    found = []
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            for part in split(batch, max(1, rows_at_once // samples)):
                with torch.no_grad(), autocast(device, precision):
                    level = only_level(model, part)
                bound = partial(_negative_elbo, model, part, level.p, device, precision)
                found.append(
                    _before_and_after(
                        bound, diagonal(level), steps, samples, final_samples, learning_rate, rows_at_once
                    )
                )
                if progress:
                    progress(len(part.x))
    amortised, optimised = torch.cat(found, 1)
    return AmortisationGap(amortised, optimised)


Bound = Callable[[DiagonalGaussian, Tensor], Tensor]


def _negative_elbo(
    model: Infers,
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
