"""log p(x) by summing over grids of z: exact, for one or two latent units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from zatlas.errors import UsageError
from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.likelihood.shared import Progress, alike, only_level
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Batch, Infers

MOST_UNITS = 2
NEAR_INTERVALS, FAR_INTERVALS = 16, 128  # along each unit, in the first grids
NEAR_WIDTHS, FAR_WIDTHS = 8.0, 6.5  # half the grids' sizes, in standard deviations of posterior and prior
SETTLED_NATS = 0.1  # the error of an example beyond which the mean needs a caution
PRIOR_DRAWS = 4096  # from which the prior's standard deviation is taken


@dataclass(frozen=True)
class Quadrature:
    """log p(x) on a grid, and how far it may be off.

    Attributes:
        log_likelihood: ``[N]``, in nats.
        error: ``[N]``, in nats: the last change on halving the spacing. The sum over a smooth density converges faster
            than any power of the spacing, so this is generous.
    """

    log_likelihood: Tensor
    error: Tensor

    def figures(self) -> dict[str, Figure]:
        """``log_likelihood``, and ``quadrature_error``: the largest of any example."""
        largest = Figure(
            self.error.max().item(), math.nan, len(self.error), "largest change on halving the grid", "nats"
        )
        open_ones = int((self.error > SETTLED_NATS).sum())
        caution = ""
        if open_ones:
            caution = (
                f"the grid did not settle for {open_ones:,} of {len(self.error):,} examples, which are off by up to "
                f"{largest.value:.2g} nats."
            )
        value = mean_figure(self.log_likelihood, "quadrature", caution=caution)
        return {"log_likelihood": value, "quadrature_error": largest}


@torch.no_grad()
def integrated(
    model: Infers,
    batches: Batches,
    *,
    conditional: bool = True,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    tolerance_nats: float = 1e-3,
    most_points: int = 300_000,
    rows_at_once: int = 20_000,
    progress: Progress | None = None,
) -> Quadrature:
    r"""log sum_g h^D p(x|z_g) p(z_g) over grids of spacing h, for every example.

    .. math:: p(x) = \int w(z)\, p(x|z)\, p(z)\, dz + \int (1 - w(z))\, p(x|z)\, p(z)\, dz,
              \quad w(z) = \prod_d \exp\left(-\left(\frac{z_d - \mu_d}{6 \sigma_d}\right)^{16}\right)

    The first integral is over a fine grid around each example's posterior q = N(mu, sigma^2), as the encoder has it.
    The second finds what the encoder missed: over one grid that covers the prior, decoded once for all examples of a
    batch that have the same y. The smooth w leaves no edge between the two. Each spacing is halved until the sum stays
    where it is. (One grid for all was tried: posteriors of MNIST are as narrow as 0.01, so it took a million points.)

    Args:
        model: infers and generates; one layer of one or two units. Any prior with a density, any likelihood.
        batches: N examples, in any order.
        conditional: whether the model looks at y. False, and examples share the work whatever their labels.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws that find the prior's width; the global random state is left as it was.
        tolerance_nats: an example is done when its error is below.
        most_points: of either grid, after the first two; what is not done by then says so by its error.
        rows_at_once: images decoded, and pairs of image and point compared, at once, which bounds the memory.
        progress: is told how many examples were added.

    Raises:
        UsageError: more than two latent units, or more than one layer.
    """
    model.eval()
    found = []
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            result = torch.empty(2, len(batch.x), dtype=torch.float64)
            for positions, group in alike(batch, conditional):
                integrals = _integrals(model, group, device, precision, rows_at_once)
                result[:, positions.cpu()] = integrals.solve(tolerance_nats, most_points)
            found.append(result)
            if progress:
                progress(len(batch.x))
    log_likelihood, error = torch.cat(found, 1).float()
    return Quadrature(log_likelihood, error)


@dataclass(frozen=True)
class _Integrals:
    """The two integrals for examples that share y ``[1, Y]``.

    Attributes:
        model: generates.
        p: the prior p(z|y), once.
        batch: the examples.
        mean: of their posteriors, ``[B, D]``.
        stddev: of their posteriors, ``[B, D]``.
        low: corner ``[D]`` of a box that holds the prior's bulk.
        high: the opposite corner.
        device: that the model is on.
        precision: of the networks.
        rows_at_once: decoded or compared.
    """

    model: Infers
    p: Distribution
    batch: Batch
    mean: Tensor
    stddev: Tensor
    low: Tensor
    high: Tensor
    device: torch.device
    precision: Precision
    rows_at_once: int

    def solve(self, tolerance: float, most_points: int) -> Tensor:
        """log p(x) and its error, ``[2, B]``; each integral is refined for as long as its own share changes."""
        integrals, first = (self.near, self.far), torch.tensor([[NEAR_INTERVALS], [FAR_INTERVALS]])
        values = torch.full((2, len(self.batch.x)), -math.inf, dtype=torch.float64)
        errors = torch.full_like(values, math.inf)
        for halving in itertools.count():
            intervals = first << halving
            affordable = (intervals + 1) ** self.mean.shape[-1] <= most_points
            refined = (errors >= tolerance / 2) & (affordable if halving > 1 else torch.ones_like(affordable))
            if not refined.any():
                break
            old = values.clone()
            for part, integral in enumerate(integrals):
                rows = refined[part].nonzero()[:, 0]
                if len(rows):
                    values[part, rows] = integral(rows.to(self.device), int(intervals[part])).cpu()
            if halving:
                total = values.logsumexp(0)
                change = ((values - total).exp() - (old - total).exp()).abs()
                errors = torch.where(refined, change, errors)
        return torch.stack([values.logsumexp(0), errors.sum(0)])

    def near(self, rows: Tensor, intervals: int) -> Tensor:
        """The first integral's log ``[b]``: every example has a grid of its own."""
        units = self.mean.shape[-1]
        grid = _grid([-NEAR_WIDTHS] * units, [NEAR_WIDTHS] * units, intervals).to(self.mean)
        inside = _log_inside(grid)
        sums = []
        for some in rows.split(max(1, self.rows_at_once // len(grid))):
            total = torch.full((len(some),), -math.inf, dtype=torch.float64, device=self.device)
            size = max(1, self.rows_at_once // len(some))
            for u, log_w in zip(grid.split(size), inside.split(size), strict=True):
                z = self.mean[some] + self.stddev[some] * u[:, None]  # [G, b, D]
                log_joint = self._px(z).log_prob(self.batch.x[some]) + self.p.log_prob(z)
                total = torch.logaddexp(total, (log_joint + log_w[:, None]).double().logsumexp(0))
            sums.append(total)
        cell = self.stddev[rows].double().log().sum(-1) + units * math.log(2 * NEAR_WIDTHS / intervals)
        return torch.cat(sums) + cell

    def far(self, rows: Tensor, intervals: int) -> Tensor:
        """The second integral's log ``[b]``: one grid for all."""
        x, mean, stddev = self.batch.x[rows][:, None], self.mean[rows][:, None], self.stddev[rows][:, None]
        grid = _grid(self.low.tolist(), self.high.tolist(), intervals).to(self.mean)
        total = torch.full((len(rows),), -math.inf, dtype=torch.float64, device=self.device)
        for z in grid.split(max(1, self.rows_at_once // len(rows))):
            log_joint = self._px(z).log_prob(x) + self.p.log_prob(z)  # [b, G]
            log_outside = (-_log_inside((z - mean) / stddev).expm1()).log()
            total = torch.logaddexp(total, (log_joint + log_outside).double().logsumexp(-1))
        return total + ((self.high - self.low).double() / intervals).log().sum()

    def _px(self, z: Tensor) -> Distribution:
        with autocast(self.device, self.precision):
            return self.model.generate(y=self.batch.y, z=(z,)).px


def _integrals(
    model: Infers, group: Batch, device: torch.device, precision: Precision, rows_at_once: int
) -> _Integrals:
    """Raises UsageError where the model has more than two units."""
    y = None if group.y is None else group.y.expand(len(group.x), -1)
    with autocast(device, precision):
        q = only_level(model, Batch(group.x, y)).q
        p = only_level(model, Batch(group.x[:1], group.y)).p
    mean = q.mean
    units = mean.shape[-1]
    if units > MOST_UNITS:
        raise UsageError(f"a grid over {units} latent units has too many points: use importance weights or annealing.")
    draws = p.sample((PRIOR_DRAWS,)).reshape(-1, units)
    middle, width = draws.mean(0), FAR_WIDTHS * draws.std(0)
    return _Integrals(
        model, p, group, mean, q.variance.sqrt(), middle - width, middle + width, device, precision, rows_at_once
    )


def _grid(low: Sequence[float], high: Sequence[float], intervals: int) -> Tensor:
    """The points ``[G, D]`` of a grid over a box, in double precision."""
    lines = [torch.linspace(a, b, intervals + 1, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    return torch.cartesian_prod(*lines).reshape(-1, len(lines))


def _log_inside(u: Tensor) -> Tensor:
    """log w ``[...]`` at ``[..., D]`` standard deviations from the posterior's mean."""
    return -(u / 6).pow(16).sum(-1)
