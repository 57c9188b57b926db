"""Laws of the order for data larger than memory: every row once, the same from anywhere, well mixed, little memory."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from zatlas.data import ArraySource, Batches, open_source
from zatlas.data import windows as module
from zatlas.data.windows import WINDOWS, window_rows, windows
from zatlas.errors import ZatlasError


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 7 * 30)  # seven rows of 6x5 bytes


@pytest.fixture
def many(rng):
    return ArraySource("many", rng.integers(0, 256, (1003, 6, 5), dtype=np.uint8), np.arange(1003) * 10 // 1003)


def shown(batches, number=0, start=0):
    seen = list(batches.epoch(number, start))
    return torch.cat([b.x for b in seen]), torch.cat([b.y for b in seen]), [len(b.x) for b in seen]


@pytest.mark.parametrize("block", [1, 7, 64])
@pytest.mark.parametrize("blocks", [1, 3, 100])
def test_windows_show_every_position_once(block, blocks):
    found = list(windows(5, 500, block, block * blocks))
    assert sorted(np.concatenate([w.shown for w in found]).tolist()) == list(range(500))
    assert all(len(w.order) <= block * blocks for w in found)
    for w in found:  # whole blocks, each read in one go
        assert (np.diff(w.positions) > 0).all()
        assert len(np.unique(w.positions // block)) == -(-len(w.positions) // block)
    assert [w.begin for w in found] == np.cumsum([0, *(len(w.order) for w in found[:-1])]).tolist()
    for start in (0, 1, 63, 200, 499):
        tail = list(windows(5, 500, block, block * blocks, start))
        assert tail[0].begin <= start < tail[0].begin + len(tail[0].order)
        assert all(np.array_equal(a.shown, b.shown) for a, b in zip(tail[::-1], found[::-1], strict=False))
    if len(found) > 1:
        other = windows(6, 500, block, block * blocks)
        assert any(not np.array_equal(a.positions, b.positions) for a, b in zip(found, other, strict=False))


def test_as_much_as_fits():
    for row, memory in ((30, 10_000), (30, 0), (30, 10**12), (10**6, 10**8)):
        rows = window_rows(row, memory)
        assert rows * row <= max(module.WINDOW_BYTES, module.BLOCK_BYTES, row)
        assert WINDOWS * rows * row <= max(memory, WINDOWS * module.BLOCK_BYTES, WINDOWS * row)
        assert rows % module.block_rows(row) == 0 < rows


@pytest.mark.parametrize("binarise", ["none", "static", "dynamic"])
@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.slow), 20, 64, 500])  # windows have 70 rows
def test_memory_and_stream_show_the_same_from_anywhere(many, batch_size, binarise):
    rows = np.delete(np.arange(1003), np.arange(0, 1003, 9))
    words = {"batch_size": batch_size, "binarise": binarise, "window": 70, "seed": 3}
    one, two = (Batches(many, rows, resident=r, **words) for r in (True, False))
    assert one.window == two.window == 70
    x, y, sizes = shown(two, 2)
    assert all(torch.equal(a, b) for a, b in zip(shown(one, 2), (x, y, sizes), strict=False) if torch.is_tensor(a))
    assert sizes == [batch_size] * (len(rows) // batch_size) + [len(rows) % batch_size] * (len(rows) % batch_size > 0)
    if binarise == "none":
        order = rows[two.order(2)]
        assert sorted(order.tolist()) == rows.tolist()
        assert torch.equal(x, torch.from_numpy(many.read(order)).float() / 255)
        assert torch.equal(y.argmax(1), torch.from_numpy(many.read_labels(order)))
        assert not np.array_equal(two.order(2), two.order(3))
    for start in {0, 1, len(sizes) // 2, len(sizes) - 1}:
        tail = shown(two, 2, start)
        assert torch.equal(tail[0], x[start * batch_size :])
        assert torch.equal(tail[1], y[start * batch_size :])
    assert list(two.epoch(2, len(sizes))) == []


def test_rows_sorted_by_class_are_mixed(rng):
    """Windows of 60 blocks of a file sorted by class: a batch of 100 has classes as one drawn from all rows has."""
    n = 20_000
    source = ArraySource("sorted", rng.integers(0, 256, (n, 6, 5), dtype=np.uint8), np.arange(n) * 10 // n)
    batches = Batches(source, np.arange(n), batch_size=100, window=60 * 7)
    counts = torch.stack([batch.y.sum(0) for batch in batches.epoch(0)])[:-1]
    assert counts.sum() == n - 100
    spread = counts.var(0).mean() / (100 * 0.1 * 0.9)  # 1 for batches of independent rows
    assert 0.8 < spread < 3
    assert counts.min() < 8
    assert counts.max() > 12


def test_what_is_small_keeps_its_order(many):
    plain = Batches(many, np.arange(1003), batch_size=20)
    for words in ({}, {"memory": 1003 * 30}, {"resident": True, "memory": 10}):
        batches = Batches(many, np.arange(1003), batch_size=20, window=None, **words)
        assert (batches.window, batches.resident) == (0, True)
        assert np.array_equal(batches.order(1), plain.order(1))
    large = Batches(many, np.arange(1003), batch_size=20, window=None, memory=1003 * 30 - 1)
    assert not large.resident
    assert large.window == 1003 * 30 // WINDOWS // 30 // 7 * 7
    assert not np.array_equal(large.order(1), plain.order(1))


def test_the_thread_ends_and_its_errors_arrive(tmp_path, many):
    np.save(tmp_path / "x.npy", many.read(np.arange(1003)))
    source = open_source(str(tmp_path / "x.npy"))
    batches = Batches(source, np.arange(1003), batch_size=20, window=70, resident=False)
    readers = lambda: [t for t in threading.enumerate() if t.name == "zatlas-read-ahead"]
    epoch = batches.epoch(0)
    next(epoch)
    assert len(readers()) == 1
    epoch.close()
    assert readers() == []
    epoch = batches.epoch(0)
    next(epoch)
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:-1])
    with pytest.raises(ZatlasError, match=r"x\.npy has changed since it was opened"):
        list(epoch)
    (tmp_path / "x.npy").unlink()
    with pytest.raises(ZatlasError, match=r"x\.npy is no longer there"):
        list(batches.epoch(0))
    del epoch
    assert readers() == []


# Peak memory beyond that of a training of a few rows: of a process, in MB.
MEMORY = """
import resource, sys
import numpy as np
import zatlas
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
words = dict(steps=12, network="mlp", size="xs", precision="fp32", threads=1, verbose=False, validations=1)
words |= dict(validation=300, test=300)
data = sys.argv[1]
zatlas.train(data + "/small", out=data + "/warm", **words)
before = peak()
run = zatlas.train(data + "/large", out=data + "/run", memory_gb=0.04, **words)
print(run.config.data.shuffle_window, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_training_takes_no_more_than_it_may(tmp_path, rng):
    """300 MB in shards, where 40 MB may be taken: the rest that there is are batches of a validation, and the
    allocator's."""
    for name, shards, rows in (("small", 1, 2000), ("large", 4, 6000)):
        (tmp_path / name).mkdir()
        for shard in range(shards):
            np.save(tmp_path / name / f"{shard}.npy", rng.integers(0, 256, (rows, 64, 64, 3), dtype=np.uint8))
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(out[0]) == 9_999_999 // 12288 // 85 * 85
    assert float(out[1]) < 150
