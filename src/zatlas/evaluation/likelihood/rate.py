"""The rate in three parts over the data: mutual information, total correlation, dimension-wise KL; each with bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from zatlas.distributions import DiagonalGaussian
from zatlas.errors import UsageError
from zatlas.evaluation.elbo import ACTIVE_VARIANCE, Batches
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.likelihood.shared import Progress, diagonal, only_level
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Infers

FEWEST = 4  # examples: each half has a covariance
MIXING_STEPS = 50  # of EM for two or three weights
MOST_BIAS = 0.75  # half the bounds' distance in errors of the draws; beyond, an error of both holds 80 of 100 estimates


@dataclass(frozen=True)
class RateParts:
    """rate = mutual information + total correlation + dimension-wise KL, at one z for each of M examples.

    Attributes:
        rate: log q(z|x) - log p(z), ``[M]``, in nats.
        information: bounds on I(x; z) from below, whose mean is at most log N, and from above, ``[2, M]``.
        of_units: such bounds on the sum over units of I(x; z_d), ``[2, M]``.
        mean_variance: variance over the data of each unit's posterior mean, ``[D]``.
        examples: N, from which both bounds are.
    """

    rate: Tensor
    information: Tensor
    of_units: Tensor
    mean_variance: Tensor
    examples: int

    @property
    def mutual_information(self) -> Tensor:
        """I(x; z), halfway between its bounds, ``[M]``."""
        return self.information.mean(0)

    @property
    def total_correlation(self) -> Tensor:
        """KL(q(z) || prod_d q(z_d)) = sum_d I(x; z_d) - I(x; z), ``[M]``; q(z|x) factorises."""
        return self.of_units.mean(0) - self.mutual_information

    @property
    def dimension_wise_kl(self) -> Tensor:
        """sum_d KL(q(z_d) || p(z_d)) = rate - sum_d I(x; z_d), ``[M]``."""
        return self.rate - self.of_units.mean(0)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Between which values each part lies, but for the error of the draws; none is below 0."""
        (low, high), (low_units, high_units) = (
            pair.double().mean(1).tolist() for pair in (self.information, self.of_units)
        )
        rate = self.rate.double().mean().item()
        found = {
            "mutual_information": (low, high),
            "total_correlation": (low_units - high, high_units - low),
            "dimension_wise_kl": (rate - high_units, rate - low_units),
        }
        return {name: (max(0.0, a), max(0.0, b)) for name, (a, b) in found.items()}

    def figures(self) -> dict[str, Figure]:
        """The three parts, and ``active_units`` (Burda et al. 2016, section 3.3).

        The standard errors hold half the distance between the bounds, in squares. Where it is most of them, or where
        the part may be 0, the caution names the bounds, each moved outwards by the error of the draws.
        """
        n = self.examples
        how = f"halfway between bounds from {n:,} examples, of which the lower is at most log N = {math.log(n):.2f}"
        units = int((self.mean_variance > ACTIVE_VARIANCE).sum())
        parts = {name: _between(getattr(self, name), *bounds, how, n) for name, bounds in self.bounds().items()}
        return {**parts, "active_units": Figure(units, math.nan, n, f"Var(E[z|x]) > {ACTIVE_VARIANCE}")}


def _between(values: Tensor, low: float, high: float, how: str, examples: int) -> Figure:
    """The mean, inside its bounds, with the error of both."""
    drawn = mean_figure(values, how)
    half, error = (high - low) / 2, drawn.standard_error
    caution = ""
    if half > MOST_BIAS * error or low <= error:
        low_edge, high_edge = max(0.0, low - error), high + error
        caution = (
            f"from {examples:,} examples it lies anywhere between {low_edge:.2f} and {high_edge:.2f}: more narrow it."
        )
    value = min(max(drawn.value, low), high)
    return Figure(value, math.hypot(error, half), drawn.count, how, "nats", caution=caution)


@torch.no_grad()
def rate_parts(
    model: Infers,
    batches: Batches,
    *,
    examples: int | None = 1000,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    pairs_at_once: int = 100_000,
    progress: Progress | None = None,
) -> RateParts:
    r"""The rate's parts under q(z) = E q(z|x) over all x that the data are draws of, each between two bounds.

    .. math:: E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || \prod_d q(z_d)) + \sum_d KL(q(z_d) || p(z_d))

    (Hoffman & Johnson 2016; Chen et al. 2018, equation 2.) For p(z|y) the last part is against each example's own
    prior.

    The mean of N posteriors in place of q(z) makes the parts depend on N: where posteriors do not overlap the
    information was log N whatever the encoder, and the total correlation the remainder. So I(x; z) is bounded from
    below by E log q(z|x) / mean_n q(z|x_n) with x among the x_n, which is at most log N, and from above with x left out
    of them (Poole et al. 2019, section 2; with a known q(z|x) both hold for any N). The biases of the two are opposite
    to first order in 1/N, so that halfway between them is the estimate. From above any density that did not see x
    serves: the mean of the posteriors is mixed with Gaussians fitted to the half of the data that x is not in, by the
    weights that give the lowest bound, for the mean alone has no density where posteriors are narrow. The same bounds
    unit by unit give the other two parts, since q(z|x) factorises.

    Args:
        model: infers; one layer, a diagonal Gaussian posterior, a prior that factorises over units.
        batches: N examples, at least 4, in any order.
        examples: M, at how many of them z is drawn, spread evenly; None: all. The cost is M N D.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        pairs_at_once: pairs of z and posterior compared at once, which bounds the memory.
        progress: is told how many examples were encoded.

    Raises:
        UsageError: several layers, another posterior, or too few examples.
    """
    model.eval()
    means, log_variances, draws, priors = [], [], [], []
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            with autocast(device, precision):
                level = only_level(model, batch)
            q, z = diagonal(level), level.z[0]
            means.append(q.mean)
            log_variances.append(q.log_variance)
            draws.append(z)
            priors.append(level.p.log_prob(z))
            if progress:
                progress(len(batch.x))
    posteriors = DiagonalGaussian(torch.cat(means), torch.cat(log_variances))
    count = len(posteriors.mean)
    if count < FEWEST:
        raise UsageError(f"the parts of the rate want at least {FEWEST} examples, not {count}.")
    chosen = torch.linspace(0, count - 1, min(count, examples or count), device=device).long()
    z, log_p = (torch.cat(values)[chosen] for values in (draws, priors))
    own = DiagonalGaussian(posteriors.mean[chosen], posteriors.log_variance[chosen]).log_prob_per_unit(z)
    others, others_by_unit = _under_others(posteriors, chosen, z, pairs_at_once)
    gaussians = _under_gaussians(posteriors, chosen, z)
    whole, product = gaussians.log_prob(z), _marginals(gaussians).log_prob_per_unit(z)
    information = torch.stack(
        [own.sum(1) - _with_own(others, own.sum(1), count), own.sum(1) - _mixed(others, whole, product.sum(1))]
    )
    of_units = torch.stack([own - _with_own(others_by_unit, own, count), own - _mixed(others_by_unit, product)]).sum(-1)
    variance = posteriors.mean.double().var(0)
    return RateParts((own.sum(1) - log_p).cpu(), information.cpu(), of_units.cpu(), variance.cpu(), count)


def _under_others(posteriors: DiagonalGaussian, chosen: Tensor, z: Tensor, pairs_at_once: int) -> tuple[Tensor, Tensor]:
    """log of the mean of the other examples' posteriors at z ``[M, D]``: together ``[M]``, and by unit ``[M, D]``."""
    count, units = posteriors.mean.shape
    size = max(1, pairs_at_once // (count * units))
    together, by_unit = [], []
    for piece, itself in zip(z.split(size), chosen.split(size), strict=True):
        log_q = posteriors.log_prob_per_unit(piece[:, None])  # [m, N, D]
        log_q[torch.arange(len(piece)), itself] = -math.inf
        together.append(log_q.sum(-1).logsumexp(1))
        by_unit.append(log_q.logsumexp(1))
    return torch.cat(together) - math.log(count - 1), torch.cat(by_unit) - math.log(count - 1)


def _with_own(others: Tensor, own: Tensor, count: int) -> Tensor:
    """log of the mean of all N posteriors from that of the others and its own."""
    return torch.logaddexp(others + math.log(count - 1), own) - math.log(count)


def _under_gaussians(posteriors: DiagonalGaussian, chosen: Tensor, z: Tensor) -> MultivariateNormal:
    """For each of M examples the Gaussian with the moments of q(z) over the half of the data that it is not in."""
    fits = []
    for half in (1, 0):
        mean = posteriors.mean[half::2].double()
        noise = posteriors.variance[half::2].double().mean(0)
        fits.append(
            (mean.mean(0), torch.linalg.cholesky(mean.T.cov(correction=0).reshape(len(noise), -1) + noise.diag()))
        )
    middle, scale = (torch.stack(parts).to(z)[chosen % 2] for parts in zip(*fits, strict=True))
    return MultivariateNormal(middle, scale_tril=scale, validate_args=False)


def _marginals(gaussians: MultivariateNormal) -> DiagonalGaussian:
    return DiagonalGaussian(gaussians.mean, gaussians.variance.log())


def _mixed(*log_densities: Tensor) -> Tensor:
    """log of their mixture ``[M, ...]`` with the weights that make its mean over M largest, by EM."""
    stacked = torch.stack(log_densities)
    log_weights = torch.full_like(stacked[:, :1], -math.log(len(stacked)))
    for _ in range(MIXING_STEPS):
        log_weights = (stacked + log_weights).log_softmax(0).logsumexp(1, keepdim=True) - math.log(stacked.shape[1])
    return (stacked + log_weights).logsumexp(0)
