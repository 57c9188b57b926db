"""What the estimators of log p(x) share: the only level of a model, and pieces of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from zatlas.distributions import DiagonalGaussian
from zatlas.errors import UsageError
from zatlas.types import Batch, Infers, Level

Progress = Callable[[float], None]  # is told of examples done, and of parts of one


def only_level(model: Infers, batch: Batch) -> Level:
    """q(z|x,y) and p(z|y) of a model with one stochastic layer.

    Raises:
        UsageError: there are several, so that p(z) is no density that could be asked for at any z.
    """
    levels = model.infer(batch.x, batch.y).levels
    if len(levels) != 1:
        raise UsageError(f"this estimator wants one layer of latent units, not {len(levels)}: use importance or prior.")
    return levels[0]


def diagonal(level: Level) -> DiagonalGaussian:
    """q(z|x,y) of a level.

    Raises:
        UsageError: it is no diagonal Gaussian.
    """
    if not isinstance(level.q, DiagonalGaussian):
        raise UsageError(f"this wants a diagonal Gaussian posterior, and {type(level.q).__name__} is none.")
    return level.q


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
