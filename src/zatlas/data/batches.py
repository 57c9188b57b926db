"""Batches of a source, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zatlas.data import counter_rng
from zatlas.data.content import pieces, row_bytes
from zatlas.data.prefetch import free_bytes, read_ahead
from zatlas.data.source import Rows, Source
from zatlas.errors import UsageError
from zatlas.types import Batch, Binarise

# What a draw is for, so that no two purposes share their bits.
_ORDER, _STATIC, _DYNAMIC = 1, 2, 3

Order = npt.NDArray[np.int64]


class Batches:
    """The rows of a split, shown in batches.

    A batch depends on (seed, epoch, its number) and nothing else, so ``epoch(n, start=k)`` is exactly the tail of
    ``epoch(n)`` and a run goes on where it stopped. Data that fits is kept on the device as it is stored (one byte a
    value for images) and gathered; other data is read ahead by a thread, with the memory of a few batches.

    Args:
        source: the data.
        rows: its rows to show.
        batch_size: examples in a batch; the last of an epoch may be smaller.
        seed: of order and binarisation.
        device: where the batches lie.
        binarise: "none" shows intensities; "static" draws the bits of a row once and for ever; "dynamic" anew in
            every epoch. P(1) is the intensity.
        shuffle: another order every epoch; False: the order of ``rows``.
        resident: keep all rows in memory; None: when they take at most a quarter of what is free.

    Raises:
        UsageError: a batch size below 1, no rows, or binarisation of real values.
    """

    def __init__(
        self,
        source: Source,
        rows: Rows,
        *,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        binarise: Binarise = "none",
        shuffle: bool = True,
        resident: bool | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size {batch_size} must be at least 1.")
        if len(rows) == 0:
            raise UsageError(f"{source.name}: there are no rows to make batches of.")
        if binarise != "none" and source.spec.values == "real":
            raise UsageError(f"{source.name} holds real values, and binarise = {binarise} wants intensities in [0, 1].")
        self.source, self.spec, self.rows = source, source.spec, np.asarray(rows, dtype=np.int64)
        self.batch_size, self.seed, self.shuffle, self.binarise = batch_size, seed, shuffle, binarise
        self.device = torch.device(device)
        if resident is None:
            resident = len(rows) * row_bytes(source) <= free_bytes(self.device) // 4
        self.resident = resident
        self._store: _Store
        if not resident:
            self._store = _Streamed(source, self.rows, self.device, binarise, counter_rng.key(seed, _STATIC))
        else:
            held = _load(source, self.rows, binarise, counter_rng.key(seed, _STATIC))
            self._store = (_InMemory if self.device.type == "cpu" else _OnDevice)(held, self.device, binarise)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def order(self, number: int) -> Order:
        """The positions in ``rows`` in the order in which epoch ``number`` shows them."""
        n = len(self.rows)
        return counter_rng.permutation(counter_rng.key(self.seed, _ORDER, number), n) if self.shuffle else np.arange(n)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch: x ``[B, *data]`` float32 (uint8 / 255), y ``[B, Y]`` float32 or None.

        Args:
            number: of the epoch, from 0.
            start: number of the batch to go on with.
        """
        order = self.order(number)
        picks = [order[i : i + self.batch_size] for i in range(start * self.batch_size, len(order), self.batch_size)]
        return self._store.batches(picks, counter_rng.key(self.seed, _DYNAMIC, number), start)


class _Store(Protocol):
    def batches(self, picks: list[Order], key: int, start: int) -> Iterator[Batch]: ...


class _Held(NamedTuple):
    """Examples as they are stored or their static bits, their labels and row numbers, and Y."""

    x: npt.NDArray[Any]
    y: npt.NDArray[Any] | None
    rows: Rows
    width: int


def _load(source: Source, rows: Rows, binarise: Binarise, key: int) -> _Held:
    x = source.read(rows)
    if binarise == "static":
        bits = np.empty(x.shape, np.uint8)
        for piece in pieces(len(x), x[:1].nbytes):
            bits[piece] = counter_rng.bernoulli(key, rows[piece], x[piece])
        x = bits
    elif not (x.flags.c_contiguous and x.flags.writeable):  # a mapped file is read now, not page by page in the loop
        x = np.array(x, order="C")
    return _Held(x, source.read_labels(rows), rows, source.spec.label_dim)


def _intensity(x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.divide(x, np.float32(255), dtype=np.float32) if x.dtype == np.uint8 else x.astype(np.float32, copy=False)


def _columns(labels: npt.NDArray[Any] | None, width: int) -> Tensor | None:
    """Labels as the model sees them: ``[B, Y]``, one-hot for classes."""
    if labels is None:
        return None
    if labels.ndim == 2:
        return torch.from_numpy(labels)
    y = np.zeros((len(labels), width), np.float32)
    y[np.arange(len(labels)), labels] = 1
    return torch.from_numpy(y)


class _InMemory:
    """Rows in main memory, gathered by numpy.

    numpy and not torch: 128 rows of MNIST take 20 us either way on one thread, but torch splits the conversion over its
    threads, and with two of them on a busy two-core machine gather and conversion took 2 to 10 milliseconds.
    """

    def __init__(self, held: _Held, device: torch.device, binarise: Binarise) -> None:
        self.x, self.y, self.rows, self.width = held
        self.binarise = binarise

    def batches(self, picks: list[Order], key: int, start: int) -> Iterator[Batch]:
        for pick in picks:
            x = self.x.take(pick, axis=0)
            if self.binarise == "dynamic":
                x = counter_rng.bernoulli(key, self.rows.take(pick), x)
            x = _intensity(x) if self.binarise == "none" else x.astype(np.float32)
            yield Batch(
                torch.from_numpy(x), _columns(None if self.y is None else self.y.take(pick, axis=0), self.width)
            )


class _OnDevice:
    """Rows on an accelerator, gathered there. Its dynamic bits come from the device's generator, not from the hash."""

    def __init__(self, held: _Held, device: torch.device, binarise: Binarise) -> None:
        self.x = torch.from_numpy(held.x).to(device)
        self.y = None if held.y is None else torch.from_numpy(held.y).to(device)
        self.device, self.width, self.binarise = device, held.width, binarise

    def batches(self, picks: list[Order], key: int, start: int) -> Iterator[Batch]:
        if not picks:
            return
        sizes = [len(pick) for pick in picks]
        for i, pick in enumerate(torch.from_numpy(np.concatenate(picks)).to(self.device).split(sizes)):
            x = self.x.index_select(0, pick)
            x = x / 255 if x.dtype == torch.uint8 and self.binarise != "static" else x.to(torch.float32)
            if self.binarise == "dynamic":
                x = _draw(x, key, start + i)
            yield Batch(x, None if self.y is None else self._columns(self.y.index_select(0, pick)))

    def _columns(self, y: Tensor) -> Tensor:
        return y if y.ndim == 2 else torch.zeros(len(y), self.width, device=self.device).scatter_(1, y[:, None], 1.0)


def _draw(x: Tensor, key: int, number: int) -> Tensor:
    generator = torch.Generator(x.device).manual_seed(counter_rng.key(key, number) >> 1)
    return (torch.rand(x.shape, generator=generator, device=x.device) < x).to(torch.float32)


class _Streamed:
    """Rows read from the source by a thread, a few batches ahead."""

    def __init__(self, source: Source, rows: Rows, device: torch.device, binarise: Binarise, static_key: int) -> None:
        self.source, self.rows, self.device, self.binarise, self.static_key = source, rows, device, binarise, static_key

    def batches(self, picks: list[Order], key: int, start: int) -> Iterator[Batch]:
        on_host = self.device.type == "cpu"
        for i, (x, y) in enumerate(read_ahead(self._read(pick, key) for pick in picks)):
            if on_host:
                yield Batch(x, y)
                continue
            there = x.to(self.device, non_blocking=True)
            if self.binarise == "dynamic":
                there = _draw(there, key, start + i)
            yield Batch(there, None if y is None else y.to(self.device, non_blocking=True))

    def _read(self, pick: Order, key: int) -> tuple[Tensor, Tensor | None]:
        rows = self.rows[pick]
        x = self.source.read(rows)
        if self.binarise == "static":
            x = counter_rng.bernoulli(self.static_key, rows, x).astype(np.float32)
        elif self.binarise == "dynamic" and self.device.type == "cpu":
            x = counter_rng.bernoulli(key, rows, x).astype(np.float32)
        else:
            x = _intensity(x)
        if x.base is not None:  # part of the source's own array, which a batch must not share
            x = np.array(x, order="C")
        tensor, y = torch.from_numpy(x), _columns(self.source.read_labels(rows), self.source.spec.label_dim)
        if self.device.type == "cuda":  # a copy to the device overlaps with the work there from pinned memory only
            return tensor.pin_memory(), None if y is None else y.pin_memory()
        return tensor, y


def gathered(batches: Iterable[Batch]) -> npt.NDArray[Any]:
    """x of all batches as one array ``[N, *data]`` on the CPU, in their order."""
    return np.concatenate([batch.x.cpu().numpy() for batch in batches])
