"""Batches of a source, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zatlas.data import counter_rng
from zatlas.data.augmentation import Augmentation
from zatlas.data.content import pieces, row_bytes
from zatlas.data.cutting import Cut
from zatlas.data.prefetch import free_bytes, read_ahead
from zatlas.data.source import Rows, Source
from zatlas.data.windows import Order, Window, block_rows, window_rows, windows
from zatlas.errors import UsageError
from zatlas.types import Batch, Binarise

# What a draw is for, so that no two purposes share their bits.
_ORDER, _STATIC, _DYNAMIC, _AUGMENT = 1, 2, 3, 4

_AHEAD_BYTES = 64 << 20  # of batches that are read ahead of need, as they are stored


class Keys(NamedTuple):
    """Of what is drawn anew in every epoch."""

    dynamic: int
    augment: int


class Batches:
    """The rows of a split, shown in batches.

    A batch depends on (seed, epoch, its number) and nothing else, so ``epoch(n, start=k)`` is exactly the tail of
    ``epoch(n)`` and a run goes on where it stopped. Data that fits is kept on the device as it is stored (one byte a
    value for images) and gathered; other data is read ahead by a thread: in the order of ``rows``, or one drawn over
    all of them, with the memory of a few batches; in an order drawn by windows, with that of three windows.

    Args:
        source: the data.
        rows: its rows to show.
        batch_size: examples in a batch; the last of an epoch may be smaller.
        seed: of order and binarisation.
        device: where the batches lie.
        binarise: "none" shows intensities; "static" draws the bits of a row once and for ever; "dynamic" anew in
            every epoch. P(1) is the intensity.
        shuffle: another order every epoch; False: the order of ``rows``.
        resident: keep all rows in memory; None: when they take at most ``memory``.
        memory: the bytes that they may take; None: a quarter of what is free.
        window: the order is drawn over all rows (0), or by windows of so many (:func:`zatlas.data.windows.windows`), as
            reading single rows all over a file that is larger than memory waits for the disk; None: over all rows
            where they fit into ``memory`` or are resident, else by windows. ``self.window`` says which it is.
        augment: names of :data:`zatlas.data.augmentation.AUGMENTATIONS`, drawn anew in every epoch.
        cut: the rows of each batch that this process has, of several that share it; None: all.

    Raises:
        UsageError: a batch size below 1, no rows, binarisation of real values, or an augmentation that there is not or
            that the data cannot have.
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
        memory: int | None = None,
        window: int | None = 0,
        augment: Iterable[str] = (),
        cut: Cut | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch_size {batch_size} must be at least 1.")
        if len(rows) == 0:
            raise UsageError(f"{source.name}: there are no rows to make batches of.")
        if binarise != "none" and source.spec.values == "real":
            raise UsageError(f"{source.name} holds real values, and binarise = {binarise} wants intensities in [0, 1].")
        self.source, self.spec, self.rows = source, source.spec, np.asarray(rows, dtype=np.int64)
        self.batch_size, self.seed, self.shuffle, self.binarise = batch_size, seed, shuffle, binarise
        self.device, self.cut = torch.device(device), cut
        self._block = block_rows(row_bytes(source))
        fits = len(rows) * row_bytes(source) <= (free_bytes(self.device) // 4 if memory is None else memory)
        self.resident = fits if resident is None else resident
        if window is None:
            host = free_bytes(torch.device("cpu")) // 4 if memory is None else memory
            window = 0 if self.resident or fits else window_rows(row_bytes(source), host)
        self.window = -(-window // self._block) * self._block
        self._store: _Store
        self.augment = Augmentation(augment, source.spec, source.name)
        shown = _Shown(self.device, binarise, counter_rng.key(seed, _STATIC), self.augment)
        if not self.resident:
            self._store = _Streamed(source, self.rows, shown)
        else:
            held = _load(source, self.rows, binarise, counter_rng.key(seed, _STATIC))
            self._store = (_InMemory if self.device.type == "cpu" else _OnDevice)(held, shown)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def order(self, number: int) -> Order:
        """The positions in ``rows`` in the order in which epoch ``number`` shows them."""
        n = len(self.rows)
        if not self.shuffle:
            return np.arange(n)
        if self.window:
            return np.concatenate([window.shown for window in self._windows(number)])
        return counter_rng.permutation(counter_rng.key(self.seed, _ORDER, number), n)

    def _windows(self, number: int, start: int = 0) -> Iterator[Window]:
        key = counter_rng.key(self.seed, _ORDER, number)
        return windows(key, len(self.rows), self._block, self.window, start)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch: x ``[B, *data]`` float32 (uint8 / 255), y ``[B, Y]`` float32 or None.

        Args:
            number: of the epoch, from 0.
            start: number of the batch to go on with.
        """
        keys = Keys(counter_rng.key(self.seed, _DYNAMIC, number), counter_rng.key(self.seed, _AUGMENT, number))
        size = self.batch_size
        if self.shuffle and self.window and isinstance(self._store, _Streamed):
            begin = start * size
            pairs = self._store.by_windows(self._windows(number, begin), begin, size, keys, self._pick, start)
        else:
            order = self.order(number)
            wholes = (order[i * size : (i + 1) * size] for i in range(start, self.steps_per_epoch))
            picks = [self._pick(rows, start + i) for i, rows in enumerate(wholes)]
            pairs = self._store.batches([pick for pick in picks if len(pick.rows)], keys)
        for pick, batch in pairs:
            if self.cut is not None:
                self.cut.show(pick.whole)
            yield batch

    def _pick(self, rows: Order, number: int) -> _Pick:
        """This process's part of a whole batch."""
        part = slice(None) if self.cut is None else self.cut.rows(len(rows))
        return _Pick(rows[part], number, len(rows), part)


class _Pick(NamedTuple):
    """A batch to be: positions of its rows, its number in the epoch, how many rows it has in all processes, and which
    of them these are."""

    rows: Order
    number: int
    whole: int
    part: slice


class _Store(Protocol):
    def batches(self, picks: list[_Pick], keys: Keys) -> Iterator[tuple[_Pick, Batch]]: ...


class _Shown(NamedTuple):
    """How rows are shown: where, with which bits, changed how."""

    device: torch.device
    binarise: Binarise
    static_key: int
    augment: Augmentation

    def changed(self, x: npt.NDArray[Any], rows: Rows, keys: Keys) -> npt.NDArray[Any]:
        return self.augment(torch.from_numpy(x), rows, keys.augment).numpy() if self.augment else x


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

    def __init__(self, held: _Held, shown: _Shown) -> None:
        self.x, self.y, self.rows, self.width = held
        self.shown = shown

    def batches(self, picks: list[_Pick], keys: Keys) -> Iterator[tuple[_Pick, Batch]]:
        for each in picks:
            pick = each.rows
            x = self.shown.changed(self.x.take(pick, axis=0), self.rows.take(pick), keys)
            if self.shown.binarise == "dynamic":
                x = counter_rng.bernoulli(keys.dynamic, self.rows.take(pick), x)
            x = _intensity(x) if self.shown.binarise == "none" else x.astype(np.float32)
            y = _columns(None if self.y is None else self.y.take(pick, axis=0), self.width)
            yield each, Batch(torch.from_numpy(x), y)


class _OnDevice:
    """Rows on an accelerator, gathered there. Its dynamic bits come from the device's generator, not from the hash."""

    def __init__(self, held: _Held, shown: _Shown) -> None:
        self.device = shown.device
        self.x = torch.from_numpy(held.x).to(self.device)
        self.y = None if held.y is None else torch.from_numpy(held.y).to(self.device)
        self.rows, self.width, self.shown = held.rows, held.width, shown

    def batches(self, picks: list[_Pick], keys: Keys) -> Iterator[tuple[_Pick, Batch]]:
        if not picks:
            return
        binarise, augment = self.shown.binarise, self.shown.augment
        sizes = [len(pick.rows) for pick in picks]
        rows = torch.from_numpy(np.concatenate([pick.rows for pick in picks])).to(self.device).split(sizes)
        for pick, there in zip(picks, rows, strict=True):
            x = self.x.index_select(0, there)
            if augment:
                x = augment(x, self.rows[pick.rows], keys.augment)
            x = x / 255 if x.dtype == torch.uint8 and binarise != "static" else x.to(torch.float32)
            if binarise == "dynamic":
                x = _draw(x, keys.dynamic, pick)
            yield pick, Batch(x, None if self.y is None else self._columns(self.y.index_select(0, there)))

    def _columns(self, y: Tensor) -> Tensor:
        return y if y.ndim == 2 else torch.zeros(len(y), self.width, device=self.device).scatter_(1, y[:, None], 1.0)


def _draw(x: Tensor, key: int, pick: _Pick) -> Tensor:
    generator = torch.Generator(x.device).manual_seed(counter_rng.key(key, pick.number) >> 1)
    u = torch.rand((pick.whole, *x.shape[1:]), generator=generator, device=x.device)
    return (u[pick.part] < x).to(torch.float32)


class _Rows(NamedTuple):
    """Rows as they are stored, with their numbers and labels."""

    x: npt.NDArray[Any]
    y: npt.NDArray[Any] | None
    rows: Rows


def _joined(parts: list[_Rows]) -> _Rows:
    if len(parts) == 1:
        return parts[0]
    y = None if parts[0].y is None else np.concatenate([part.y for part in parts if part.y is not None])
    return _Rows(np.concatenate([part.x for part in parts]), y, np.concatenate([part.rows for part in parts]))


class _Streamed:
    """Rows read from the source by a thread, ahead of need: a few batches, or a window."""

    def __init__(self, source: Source, rows: Rows, shown: _Shown) -> None:
        self.source, self.rows, self.shown = source, rows, shown

    def batches(self, picks: list[_Pick], keys: Keys) -> Iterator[tuple[_Pick, Batch]]:
        size = row_bytes(self.source) * len(picks[0].rows) if picks else 1
        read = ((pick, self._read(self.rows[pick.rows])) for pick in picks)
        return self._there(read_ahead(read, max(1, min(4, _AHEAD_BYTES // size))), keys)

    def by_windows(
        self,
        windows: Iterator[Window],
        begin: int,
        batch_size: int,
        keys: Keys,
        pick: Callable[[Order, int], _Pick],
        start: int,
    ) -> Iterator[tuple[_Pick, Batch]]:
        """Batches of the windows, from number ``start``, the one that shows position ``begin``, on."""

        def own() -> Iterator[tuple[_Pick, _Rows]]:
            for number, whole in enumerate(self._parted(windows, begin, batch_size), start):
                chosen = pick(np.arange(len(whole.rows)), number)
                if len(chosen.rows):
                    part = chosen.part
                    y = None if whole.y is None else whole.y[part]
                    yield chosen, _Rows(whole.x[part], y, whole.rows[part])

        return self._there(own(), keys)

    def _parted(self, windows: Iterator[Window], begin: int, batch_size: int) -> Iterator[_Rows]:
        """The rows of every batch: of one window, or of two and more at the end of one."""
        parts: list[_Rows] = []
        loaded = ((window, self._read(self.rows[window.positions])) for window in windows)
        with closing(read_ahead(loaded, depth=1)) as ready:
            for window, held in ready:
                at = max(begin - window.begin, 0)
                while at < len(window.order):
                    pick = window.order[at : at + batch_size - sum(len(part.rows) for part in parts)]
                    y = None if held.y is None else held.y.take(pick, axis=0)
                    parts.append(_Rows(held.x.take(pick, axis=0), y, held.rows.take(pick)))
                    at += len(pick)
                    if sum(len(part.rows) for part in parts) == batch_size:
                        yield _joined(parts)
                        parts = []
                del held  # its memory is free before the next is taken
        if parts:
            yield _joined(parts)

    def _read(self, rows: Rows) -> _Rows:
        """Rows in memory of their own, read a piece at a time, as to make a piece may take several times its memory."""
        spec = self.source.spec
        x = np.empty((len(rows), *spec.shape), np.uint8 if spec.values == "uint8" else np.float32)
        for piece in pieces(len(rows), row_bytes(self.source)):
            x[piece] = self.source.read(rows[piece])
        return _Rows(x, self.source.read_labels(rows), rows)

    def _tensors(self, read: _Rows, keys: Keys) -> tuple[Tensor, Tensor | None]:
        (x, y, rows), binarise = read, self.shown.binarise
        if binarise == "static":  # the bits of a row are its own, whatever is done to them
            x = counter_rng.bernoulli(self.shown.static_key, rows, x)
        x = self.shown.changed(x, rows, keys)
        drawn = binarise == "dynamic" and self.shown.device.type == "cpu"  # else it is drawn on the device
        if drawn:
            x = counter_rng.bernoulli(keys.dynamic, rows, x)
        x = x.astype(np.float32) if drawn or binarise == "static" else _intensity(x)
        tensor, labels = torch.from_numpy(x), _columns(y, self.source.spec.label_dim)
        if self.shown.device.type == "cuda":  # from pinned memory alone a copy overlaps with the work on the device
            return tensor.pin_memory(), None if labels is None else labels.pin_memory()
        return tensor, labels

    def _there(self, ready: Iterator[tuple[_Pick, _Rows]], keys: Keys) -> Iterator[tuple[_Pick, Batch]]:
        """The batches on the device; those for a GPU are made and pinned by a thread."""
        device = self.shown.device
        tensors = ((pick, self._tensors(rows, keys)) for pick, rows in ready)
        if device.type == "cpu":
            for pick, (x, y) in tensors:
                yield pick, Batch(x, y)
            return
        for pick, (x, y) in read_ahead(tensors):
            there = x.to(device, non_blocking=True)
            if self.shown.binarise == "dynamic":
                there = _draw(there, keys.dynamic, pick)
            yield pick, Batch(there, None if y is None else y.to(device, non_blocking=True))


def gathered(batches: Iterable[Batch]) -> npt.NDArray[Any]:
    """x of all batches as one array ``[N, *data]`` on the CPU, in their order."""
    return np.concatenate([batch.x.cpu().numpy() for batch in batches])
