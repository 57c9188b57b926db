"""What the estimators of log p(x) share: running sums of weights, chance put back, and pieces of bounded size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zatlas.errors import UsageError
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.types import Batch, Level

Progress = Callable[[int], None]


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Draws from ``seed``; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def only_level(model: Any, batch: Batch) -> Level:
    """q(z|x,y) and p(z|y) of a model with one stochastic layer.

    Raises:
        UsageError: there are several, so that p(z) is no density that could be asked for at any z.
    """
    levels = model.infer(batch.x, batch.y).levels
    if len(levels) != 1:
        raise UsageError(f"this estimator wants one layer of latent units, not {len(levels)}: use importance or prior.")
    return levels[0]


def split(batch: Batch, size: int) -> Iterator[Batch]:
    """The batch in pieces of at most ``size`` examples."""
    for start in range(0, len(batch.x), size):
        piece = slice(start, start + size)
        yield Batch(batch.x[piece], None if batch.y is None else batch.y[piece])


def chunks(total: int, size: int) -> Iterator[int]:
    """Sizes of at most ``size`` that add up to ``total``."""
    for start in range(0, total, size):
        yield min(size, total - start)


def alike(batch: Batch, conditional: bool) -> Iterator[tuple[Tensor, Batch]]:
    """Positions and examples of each different y, which becomes one row ``[1, Y]``: they share p(z|y) and p(x|z,y).

    A model that is not conditional has one group, whatever labels the data have.
    """
    if batch.y is None or not conditional:
        yield torch.arange(len(batch.x), device=batch.x.device), Batch(batch.x, None)
        return
    values, which = batch.y.unique(dim=0, return_inverse=True)
    for number, y in enumerate(values):
        positions = (which == number).nonzero()[:, 0]
        yield positions, Batch(batch.x[positions], y[None])


def curve_points(samples: int) -> tuple[int, ...]:
    """1, 10, 100, ... and ``samples``."""
    return (*(10**i for i in range(len(str(samples))) if 10**i < samples), samples)


class Running:
    r"""log 1/k sum_{i<=k} w_i at several k while weights arrive, and how many of them count.

    Args:
        samples: the number of weights that will arrive; the curve is kept at the powers of ten up to it.
    """

    def __init__(self, samples: int) -> None:
        self._points = curve_points(samples)
        self._count = 0
        self._total: Tensor | None = None  # log sum w and log sum w^2, [2, B]
        self.curve: dict[int, Tensor] = {}

    def add(self, log_w: Tensor) -> None:
        """Takes log weights ``[n, B]``."""
        while len(log_w):
            room = next(point for point in self._points if point > self._count) - self._count
            piece, log_w = log_w[:room], log_w[room:]
            new = torch.stack([piece.logsumexp(0), (2 * piece).logsumexp(0)])
            self._total = new if self._total is None else torch.logaddexp(self._total, new)
            self._count += len(piece)
            if self._count in self._points:
                self.curve[self._count] = (self._total[0] - math.log(self._count)).cpu()

    def effective_sample_size(self) -> Tensor:
        """(sum w)^2 / sum w^2, ``[B]``, between 1 and the number of weights (Kong 1992)."""
        assert self._total is not None
        return (2 * self._total[0] - self._total[1]).exp().cpu()

    def table(self) -> Tensor:
        """The curve, and in the last row the effective sample size, ``[P + 1, B]``."""
        return torch.stack([*self.curve.values(), self.effective_sample_size()]).double()


def sampling_error(effective_sample_size: Tensor, samples: int, estimator: str) -> Figure:
    r"""How far the mean of log p(x) may be off for the draws alone, the examples being given, in nats.

    The variance of log 1/K sum_k w_k is close to 1/ESS - 1/K for each example (the delta method; Owen 2013, section
    9.3). What no draw has seen is not in it: where samples are few and units many the truth is further up.
    """
    variance = (1 / effective_sample_size.double() - 1 / samples).clamp_min(0)
    value = variance.sum().sqrt().item() / len(variance)
    return Figure(value, math.nan, len(variance), f"from the spread of the weights; {estimator}")


@dataclass(frozen=True)
class Curve:
    """Estimates of log p(x) that rise, in the mean, with the number of samples.

    Attributes:
        at: number of samples to estimates ``[N]`` in nats; the first k of one set of draws each, so they are nested.
        effective_sample_size: of all draws, ``[N]``.
        estimator: what the figures call it.
    """

    at: dict[int, Tensor]
    effective_sample_size: Tensor
    estimator: str

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
        return {
            "log_likelihood": mean_figure(self.log_likelihood, of(self.samples)),
            **{f"log_likelihood_{k}": mean_figure(value, of(k)) for k, value in self.at.items() if k < self.samples},
            "effective_sample_size": mean_figure(self.effective_sample_size, of(self.samples), unit=""),
            "sampling_error": sampling_error(self.effective_sample_size, self.samples, of(self.samples)),
        }


def empty_table(samples: int, examples: int) -> Tensor:
    """Room for :meth:`Running.table` of all examples of a batch.

    Filled piece by piece: results kept as they come, each in a small piece of memory between two large ones, would let
    the memory of the process grow with every piece, to gigabytes after 10,000 examples.
    """
    return torch.empty(len(curve_points(samples)) + 1, examples, dtype=torch.float64)


def join(tables: Iterable[Tensor], samples: int, estimator: str) -> Curve:
    """One curve over all examples from the tables of the batches."""
    *curve, sizes = torch.cat(list(tables), 1)
    return Curve(dict(zip(curve_points(samples), curve, strict=True)), sizes, estimator)
