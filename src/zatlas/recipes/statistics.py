"""What a model is told of its training data before it sees them."""

from __future__ import annotations

import numpy as np
import torch

from zatlas.data import Rows, Source, evenly_spaced
from zatlas.errors import ZatlasError
from zatlas.recipes.linear import linear_start
from zatlas.types import Statistics

_PART_BYTES = 32 << 20  # in float64, of which there are three at a time


def statistics(source: Source, rows: Rows, *, examples: int = 0, units: int = 0, most: int = 10_000) -> Statistics:
    """Over at most ``most`` evenly spaced rows.

    Args:
        source: where they are.
        rows: those to learn from.
        examples: how many evenly spaced ones to keep.
        units: latent units of a linear model of them; 0: none.
        most: how many are looked at.

    Raises:
        ZatlasError: all rows are the same, so there is nothing to learn.
    """
    chosen = evenly_spaced(rows, most)
    scale = 255.0 if source.spec.values == "uint8" else 1.0
    total = np.zeros(source.spec.shape)
    squares = np.zeros(source.spec.shape)
    at_once = max(1, min(1000, _PART_BYTES // (8 * source.spec.size)))
    for part in np.array_split(chosen, -(-len(chosen) // at_once)):
        x = source.read(part).astype(np.float64) / scale
        total += x.sum(0)
        squares += np.square(x).sum(0)
    mean = total / len(chosen)
    variance = np.maximum(squares / len(chosen) - np.square(mean), 0)
    if variance.max() <= 0 and len(chosen) > 1:
        raise ZatlasError(f"every training example of {source.name} is the same: there is nothing to learn.")
    shown = evenly_spaced(rows, examples)
    some = torch.tensor(source.read(shown).astype(np.float32) / scale) if examples else torch.zeros(0, *mean.shape)
    linear = linear_start(source.read(chosen).astype(np.float64), units) if units else None
    return Statistics(torch.tensor(mean).float(), torch.tensor(np.sqrt(variance)).float(), some, linear)
