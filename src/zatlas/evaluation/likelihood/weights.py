"""Sums of importance weights while they arrive: the estimate, the error of its draws, and whether it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.likelihood.pareto import HEAVY, pareto_k, tail_size

GROUPS = 10  # of draws, for the jackknife
FEWEST_DRAWS = 5  # for it; from 2 draws its error held 46 to 85 estimates of 100, by the tail of the weights
FEW = 0.01  # of the examples may have heavy tails before a mean over them is called into question
GRID_UNITS = 2  # for which quadrature is there


def curve_points(samples: int) -> tuple[int, ...]:
    """1, 10, 100, ... and ``samples``."""
    return (*(10**i for i in range(len(str(samples))) if 10**i < samples), samples)


class Running:
    r"""log 1/k sum_{i<=k} w_i at several k while weights arrive, and how far the last of them can be trusted.

    Args:
        samples: K, the number of weights that will arrive; the curve is kept at the powers of ten up to it.
        together: whether the examples share their draws, so that their errors are not independent.
    """

    def __init__(self, samples: int, *, together: bool = False) -> None:
        self._points = curve_points(samples)
        self._together = together
        self._count = 0
        self._groups: Tensor | None = None  # log sum w of every group of draws, [G, B]
        self._squares: Tensor | None = None  # log sum w^2, [B]
        self._tail, self._largest = tail_size(samples), list[Tensor]()
        self.curve: dict[int, Tensor] = {}

    def add(self, log_w: Tensor) -> None:
        """Takes log weights ``[n, B]``."""
        if self._tail:
            self._keep_largest(log_w)
        while len(log_w):
            room = next(point for point in self._points if point > self._count) - self._count
            piece, log_w = log_w[:room], log_w[room:]
            groups, squares = self._by_group(piece), (2 * piece).logsumexp(0)
            self._groups = groups if self._groups is None else torch.logaddexp(self._groups, groups)
            self._squares = squares if self._squares is None else torch.logaddexp(self._squares, squares)
            self._count += len(piece)
            if self._count in self._points:
                self.curve[self._count] = (self._groups.logsumexp(0) - math.log(self._count)).cpu()

    def _by_group(self, piece: Tensor) -> Tensor:
        """log sum w ``[G, B]`` of the draws of each group; draw i is in group i modulo G."""
        first = self._count % GROUPS
        padded = piece.new_full((-(-(first + len(piece)) // GROUPS) * GROUPS, *piece.shape[1:]), -math.inf)
        padded[first : first + len(piece)] = piece
        return padded.unflatten(0, (-1, GROUPS)).logsumexp(0)

    def _keep_largest(self, log_w: Tensor) -> None:
        """Keeps the M + 1 largest, and what came since the last time they were sorted out."""
        self._largest.append(log_w)
        if sum(map(len, self._largest)) > 2 * (self._tail + 1):
            self._largest = [torch.cat(self._largest).topk(self._tail + 1, 0, sorted=False).values]

    def effective_sample_size(self) -> Tensor:
        """(sum w)^2 / sum w^2, ``[B]``, between 1 and the number of weights (Kong 1992)."""
        assert self._groups is not None
        assert self._squares is not None
        return (2 * self._groups.logsumexp(0) - self._squares).exp().cpu()

    def khat(self) -> Tensor:
        """The shape of the tail of the weights, ``[B]``; NaN where they are too few to tell."""
        assert self._groups is not None
        if not self._tail:
            return torch.full(self._groups.shape[1:], math.nan, dtype=torch.float64)
        return pareto_k(torch.cat(self._largest).topk(self._tail + 1, 0, sorted=False).values).cpu()

    def variance(self) -> Tensor:
        r"""Variance of the estimate for the draws alone, ``[B]`` in nats squared, by the jackknife over G groups.

        With theta_g the estimate without the n_g draws of group g, and v_g = 1 - n_g / K,

        .. math:: \sum_g v_g (\theta_g - \bar\theta)^2, \quad \bar\theta = \sum_g v_g \theta_g / (G - 1)

        (the delete-a-group jackknife for groups of unlike size; unbiased for a mean.) The delta method, 1/ESS - 1/K,
        was used before: it can never say more than one nat, and was 2 to 4 times too small where single weights
        dominate. The jackknife then sees what the second largest group would have given, whose distance from the
        largest has very nearly the spread of the maximum. Where examples share their draws, each is given an equal
        part of the variance of their sum. NaN for fewer than 5 draws.
        """
        assert self._groups is not None
        if self._count < FEWEST_DRAWS:
            return torch.full(self._groups.shape[1:], math.nan, dtype=torch.float64)
        groups = min(GROUPS, self._count)
        sums = self._groups[:groups].double()
        sizes = torch.tensor([len(range(g, self._count, GROUPS)) for g in range(groups)], dtype=sums.dtype)[:, None]
        share = 1 - sizes.to(sums.device) / self._count
        itself = torch.eye(groups, dtype=torch.bool, device=sums.device)[..., None]
        without = sums.expand(groups, -1, -1).masked_fill(itself, -math.inf).logsumexp(1) - share.log()
        off = without - (share * without).sum(0) / (groups - 1)
        if self._together:
            off = off.sum(1, keepdim=True).expand_as(off) / math.sqrt(off.shape[1])
        return (share * off.square()).sum(0).cpu()

    def table(self) -> Tensor:
        """The curve, and below it effective sample size, variance and k, ``[P + 3, B]``."""
        rows = (*self.curve.values(), self.effective_sample_size(), self.variance(), self.khat())
        return torch.stack([row.double() for row in rows])


def sampling_error(variance: Tensor, estimator: str) -> dict[str, Figure]:
    """How far the mean of log p(x) may be from its own mean over draws, the examples being given, in nats.

    Without a figure where the draws are too few to have a spread. What no draw has seen is not in it: how far the
    estimator's mean is below log p(x) is what k tells.

    Args:
        variance: of each example's estimate, ``[N]``, as :meth:`Running.variance` has it.
        estimator: what the figures call it.
    """
    if variance.isnan().any():
        return {}
    value = variance.sum().sqrt().item() / len(variance)
    how = f"jackknife over groups of the draws; {estimator}"
    return {"sampling_error": Figure(value, math.nan, len(variance), how, "nats", fixed="the examples")}


def trust(khat: Tensor, samples: int, what: str, settles: str) -> tuple[dict[str, Figure], str]:
    """For how many examples the weights have too heavy a tail, and the caution that follows; empty where none does.

    Args:
        khat: k of each example ``[N]``; NaN where there were too few weights.
        samples: K.
        what: what the weights are of: ``"draws"``, ``"chains"``.
        settles: what would tell the gap, in words.
    """
    if khat.isnan().any():
        number = f"a single {what.removesuffix('s')} is" if samples == 1 else f"{samples} {what} are"
        spread = ", nor how far another seed would move it" if samples < FEWEST_DRAWS else ""
        return {}, f"a lower bound: {number} too few to tell how far below log p(x) it is{spread}; {settles}."
    heavy, count = int((khat > HEAVY).sum()), len(khat)
    how = f"examples whose {tail_size(samples)} largest weights have a Pareto tail of k > {HEAVY}"
    figures = {"high_khat": Figure(heavy, math.nan, count, f"{how} (Vehtari et al. 2024)")}
    if heavy <= FEW * count:
        return figures, ""
    return figures, (
        f"a lower bound whose gap is not known: the weights of {heavy:,} of {count:,} examples have too heavy a tail "
        f"(Pareto k > {HEAVY}); {settles}."
    )


def settled_by(latent_dims: Sequence[int]) -> str:
    """What tells log p(x) of a model with so many units in each level where the weights do not, as a clause."""
    if len(latent_dims) > 1:
        return "more samples bring it closer"
    if sum(latent_dims) <= GRID_UNITS:
        return "quadrature would settle it"
    return "annealed comes closest, and bidirectional says how close"


@dataclass(frozen=True)
class Curve:
    """Estimates of log p(x) that rise, in the mean, with the number of samples.

    Attributes:
        at: number of samples to estimates ``[N]`` in nats; the first k of one set of draws each, so they are nested.
        effective_sample_size: of all draws, ``[N]``.
        variance: of the estimate from all draws, for the draws alone, ``[N]`` in nats squared; NaN from too few.
        khat: shape of the tail of the weights, ``[N]``; NaN from too few draws.
        estimator: what the figures call it.
        settles: what would tell the gap where the weights cannot, as a clause.
        fixed: what the standard error over examples holds fixed; empty: the weights of the model only.
    """

    at: dict[int, Tensor]
    effective_sample_size: Tensor
    variance: Tensor
    khat: Tensor
    estimator: str
    settles: str
    fixed: str = ""

    @property
    def samples(self) -> int:
        return max(self.at)

    @property
    def log_likelihood(self) -> Tensor:
        """The estimate from all draws, ``[N]``, in nats."""
        return self.at[self.samples]

    def figures(self) -> dict[str, Figure]:
        """``log_likelihood`` from all draws, ``log_likelihood_K`` along the curve, and how far to trust them."""
        of = lambda k: f"{self.estimator}, {k} sample{'s' if k > 1 else ''} per example"
        mean = lambda value, k, caution="": mean_figure(value, of(k), fixed=self.fixed, caution=caution, samples=k)
        heavy, caution = trust(self.khat, self.samples, "draws", self.settles)
        too_high = "too high where the weights have a heavy tail." if caution and heavy else ""
        sizes = self.effective_sample_size
        return {
            "log_likelihood": mean(self.log_likelihood, self.samples, caution),
            **{f"log_likelihood_{k}": mean(value, k) for k, value in self.at.items() if k < self.samples},
            "effective_sample_size": mean_figure(sizes, of(self.samples), unit="samples", caution=too_high),
            **sampling_error(self.variance, of(self.samples)),
            **heavy,
        }


def empty_table(samples: int, examples: int) -> Tensor:
    """Room for :meth:`Running.table` of all examples of a batch.

    Filled piece by piece: results kept as they come, each in a small piece of memory between two large ones, would let
    the memory of the process grow with every piece, to gigabytes after 10,000 examples.
    """
    return torch.empty(len(curve_points(samples)) + 3, examples, dtype=torch.float64)


def join(tables: Iterable[Tensor], samples: int, estimator: str, settles: str, fixed: str = "") -> Curve:
    """One curve over all examples from the tables of the batches."""
    *curve, sizes, variance, khat = torch.cat(list(tables), 1)
    return Curve(dict(zip(curve_points(samples), curve, strict=True)), sizes, variance, khat, estimator, settles, fixed)
