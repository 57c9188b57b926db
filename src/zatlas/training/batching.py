"""How many examples a step has where nobody says it: by rule, from what an example computes."""

from __future__ import annotations

import torch

from zatlas.training.game import Game
from zatlas.training.precision import step_gflop
from zatlas.types import Batch, DataSpec

MOST, LEAST = 128, 16
GFLOP_A_STEP = 4.0  # of convolutions, forward and backward


def batch_size(gflop: float) -> int:
    """The largest power of two, from 128 down to 16, of which a step's convolutions are at most 4 GFLOP.

    Of costly examples more steps count for more than steadier ones: ``benchmarks/batches.py`` has the table. A fully
    connected network has no convolutions, whatever its size: each of its weights is used once for an example, so
    that a step on few examples would cost hardly less, as it reads and moves all weights anyway.

    Args:
        gflop: billions of operations in the convolutions of an example's gradient.

    >>> [batch_size(gflop) for gflop in (0.0, 0.031, 0.1, 0.3, 5.0)]
    [128, 128, 32, 16, 16]
    """
    size = MOST
    while size > LEAST and size * gflop > GFLOP_A_STEP:
        size //= 2
    return size


def suited_batch_size(game: Game, spec: DataSpec, device: torch.device, *, workers: int = 1) -> int:
    """Examples of a step by :func:`batch_size`: a function of configuration, shape of the data and kind of device.

    128 elsewhere than on a CPU; and for what was not measured with fewer, as it may depend on their number: losses
    that look at the examples of a batch together, and games of two players.

    Args:
        game: what will be trained.
        spec: of the data.
        device: where.
        workers: that share a batch, at least an example each.
    """
    if device.type != "cpu" or game.objective.couples or len(game.players) > 1 or not convolves(game):
        return MOST
    rows = 2  # of one alone there are no batch statistics
    labels = torch.zeros(rows, spec.label_dim) if spec.label_dim else None
    if labels is not None and spec.label_kind == "class":
        labels[:, 0] = 1
    found = batch_size(step_gflop(game, Batch(torch.zeros(rows, *spec.shape), labels), "convolution") / rows)
    while found < min(workers, MOST):
        found *= 2
    return found


def convolves(game: Game) -> bool:
    """Whether any of its weights is a kernel."""
    return any(weight.dim() > 2 for weight in game.parameters())
