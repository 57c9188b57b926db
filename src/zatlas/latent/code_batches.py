"""Batches of codes drawn anew from their posteriors every time they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.latent.frames import Scaled
from zatlas.types import Batch


class CodeBatches:
    """Draws u from the posteriors, scaled; which rows and which draws are a function of seed, epoch and place.

    Args:
        mean: of the posteriors in u ``[N, D]``, float32.
        std: their deviations ``[N, D]``.
        y: labels ``[N, Y]``, or None.
        batch_size: rows of a batch; of fewer rows, all.
        seed: of order and draws.
        device: where a batch goes.
    """

    def __init__(
        self, mean: Array, std: Array, y: Array | None, *, batch_size: int, seed: int, device: torch.device
    ) -> None:
        self.mean, self.std, self.y = mean, std, y
        self.batch_size = min(batch_size, len(mean))
        self.seed, self.device = seed, device

    @classmethod
    def of(
        cls,
        codes: tuple[Array, Array, Array | None],
        scaled: Scaled,
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> Self:
        """Batches of codes, scaled."""
        mean, std, y = codes
        in_u = ((mean - scaled.centre) / scaled.widths).astype(np.float32)
        return cls(in_u, (std / scaled.widths).astype(np.float32), y, batch_size=batch_size, seed=seed, device=device)

    @property
    def steps_per_epoch(self) -> int:
        return len(self.mean) // self.batch_size

    def __len__(self) -> int:
        return len(self.mean)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        order = np.random.default_rng([self.seed, number]).permutation(len(self.mean))
        for place in range(start, self.steps_per_epoch):
            rows = order[place * self.batch_size : (place + 1) * self.batch_size]
            noise = np.random.default_rng([self.seed, number, place]).standard_normal(
                (len(rows), self.mean.shape[1]), np.float32
            )
            yield Batch(self._there(self.mean[rows] + self.std[rows] * noise), self._labels(rows))

    def _there(self, values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)

    def _labels(self, rows: Array) -> Tensor | None:
        return None if self.y is None else self._there(self.y[rows])
