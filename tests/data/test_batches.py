import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from zatlas.data import ArraySource, Batches, counter_rng
from zatlas.data.batches import _STATIC, _load, _OnDevice
from zatlas.errors import UsageError, ZatlasError

ROWS = np.arange(3, 100)


def whole(batches, number=0, start=0):
    seen = list(batches.epoch(number, start))
    return torch.cat([b.x for b in seen]), torch.cat([b.y for b in seen])


@pytest.mark.parametrize("resident", [True, False])
def test_an_epoch_is_every_row_once(grey, resident):
    batches = Batches(grey, ROWS, batch_size=20, resident=resident)
    assert (len(batches), batches.steps_per_epoch) == (97, 5)
    sizes = [len(b.x) for b in batches.epoch(0)]
    assert sizes == [20, 20, 20, 20, 17]
    for number in (0, 1):
        x, y = whole(batches, number)
        rows = ROWS[batches.order(number)]
        assert sorted(rows.tolist()) == ROWS.tolist()
        assert x.dtype == y.dtype == torch.float32
        torch.testing.assert_close(x, torch.from_numpy(grey.read(rows)).float() / 255, rtol=0, atol=0)
        torch.testing.assert_close(y, torch.eye(3)[torch.from_numpy(grey.read_labels(rows))])
    assert batches.order(0).tolist() != batches.order(1).tolist()
    assert Batches(grey, ROWS, batch_size=20, shuffle=False).order(5).tolist() == list(range(97))


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("binarise", ["none", "static", "dynamic"])
def test_an_epoch_goes_on_anywhere(grey, resident, binarise):
    batches = Batches(grey, ROWS, batch_size=20, binarise=binarise, resident=resident, seed=1)
    again = Batches(grey, ROWS, batch_size=20, binarise=binarise, resident=resident, seed=1)
    x, y = whole(batches, 4)
    for start in range(5):
        tail_x, tail_y = whole(again, 4, start)
        assert torch.equal(tail_x, x[20 * start :])
        assert torch.equal(tail_y, y[20 * start :])
    assert list(again.epoch(4, 5)) == []


@pytest.mark.parametrize("binarise", ["none", "static", "dynamic"])
def test_memory_and_stream_show_the_same(grey, binarise):
    one, two = (Batches(grey, ROWS, batch_size=20, binarise=binarise, resident=r) for r in (True, False))
    assert torch.equal(whole(one, 2)[0], whole(two, 2)[0])


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("binarise", ["none", "static", "dynamic"])
def test_rows_on_a_device(grey, binarise, device):
    host = Batches(grey, ROWS, batch_size=20, binarise=binarise)
    there = Batches(grey, ROWS, batch_size=20, binarise=binarise)
    held = _load(grey, ROWS, binarise, counter_rng.key(0, _STATIC))
    there._store = _OnDevice(held, host._store.shown._replace(device=torch.device(device)))
    x, y = (t.cpu() for t in whole(there, 2))
    if binarise == "dynamic":
        assert set(x.unique().tolist()) == {0.0, 1.0}
        assert abs(x.mean() - whole(Batches(grey, ROWS, batch_size=20), 2)[0].mean()) < 0.05
    else:
        torch.testing.assert_close(x, whole(host, 2)[0], rtol=1e-6, atol=0)
    assert torch.equal(y, whole(host, 2)[1])
    assert torch.equal(whole(there, 2, start=3)[0].cpu(), x[60:])


def test_static_bits_belong_to_the_row(grey):
    plain = dict.fromkeys(range(103))
    for rows, size, number in ((ROWS, 20, 0), (ROWS[::-1], 7, 3), (np.array([50, 4, 98]), 2, 1)):
        batches = Batches(grey, rows, batch_size=size, binarise="static", seed=9)
        for row, x in zip(rows[batches.order(number)], whole(batches, number)[0], strict=True):
            assert plain[row] is None or torch.equal(plain[row], x)
            plain[row] = x
    other = Batches(grey, ROWS, batch_size=97, binarise="static", seed=10, shuffle=False)
    assert not torch.equal(whole(other)[0], torch.stack([plain[row] for row in ROWS]))


@pytest.mark.parametrize("values", ["uint8", "unit"])
def test_dynamic_bits_have_the_intensity_as_their_mean(values):
    levels = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(1, 8, 8).repeat(2, 0)
    levels[1] = 255 - levels[0]
    source = ArraySource("levels", levels if values == "uint8" else levels / 255)
    batches = Batches(source, np.arange(2), batch_size=2, binarise="dynamic", shuffle=False)
    epochs = torch.stack([next(batches.epoch(n)).x for n in range(800)])
    assert set(epochs.unique().tolist()) == {0.0, 1.0}
    p = torch.from_numpy(levels / 255.0)[:, None]
    z = (epochs.mean(0) - p) / (p * (1 - p) / 800).sqrt().clamp(min=1e-9)
    assert z.abs().max() < 4.5
    assert 0.7 < z[0][(p[0] > 0) & (p[0] < 1)].std() < 1.3


def test_static_means_over_many_rows(rng):
    x = np.full((20_000, 3, 3), 51, np.uint8)
    x[0] = 50
    batch = next(Batches(ArraySource("x", x), np.arange(20_000), batch_size=20_000, binarise="static").epoch(0)).x
    assert abs(batch.mean().item() - 0.2) < 5 * (0.16 / batch.numel()) ** 0.5
    correlation = np.corrcoef(batch.reshape(20_000, 9).numpy().T) - np.eye(9)
    assert np.abs(correlation).max() < 5 / 20_000**0.5


def test_no_copy_of_an_array_that_is_shown_whole(rng):
    x = rng.random((50, 1, 6, 5)).astype(np.float32)
    batches = Batches(ArraySource("x", x), np.arange(50), batch_size=10, resident=True)
    assert np.shares_memory(batches._store.x, x)
    before = x.copy()
    for resident in (True, False):
        for batch in Batches(ArraySource("x", x), np.arange(50), batch_size=10, shuffle=False, resident=resident).epoch(
            0
        ):
            batch.x.zero_()
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("labels", [None, np.random.default_rng(0).random((30, 2))])
def test_other_labels(rng, labels):
    source = ArraySource("x", rng.normal(size=(30, 4)), labels)
    batch = next(Batches(source, np.arange(30), batch_size=30, shuffle=False).epoch(0))
    assert batch.y is None if labels is None else torch.equal(batch.y, torch.from_numpy(labels).float())


def test_refused(grey, rng):
    with pytest.raises(UsageError, match="batch_size"):
        Batches(grey, ROWS, batch_size=0)
    with pytest.raises(UsageError, match="no rows"):
        Batches(grey, ROWS[:0], batch_size=2)
    with pytest.raises(UsageError, match="real values"):
        Batches(ArraySource("r", rng.normal(size=(30, 4))), np.arange(30), batch_size=2, binarise="static")


def readers():
    return [t for t in threading.enumerate() if t.name == "zatlas-read-ahead"]


def test_the_thread_ends_and_its_errors_arrive(grey, monkeypatch):
    batches = Batches(grey, ROWS, batch_size=2, resident=False)
    epoch = batches.epoch(0)
    next(epoch)
    assert len(readers()) == 1
    epoch.close()
    assert readers() == []
    for batch in batches.epoch(0):
        assert len(batch.x) == 2
        break
    del batch
    assert readers() == []
    read, calls = grey.read, []

    def broken(rows):
        calls.append(rows)
        if len(calls) > 3:
            raise ZatlasError("the third row is gone")
        return read(rows)

    monkeypatch.setattr(grey, "read", broken)
    with pytest.raises(ZatlasError, match="third row"):
        list(batches.epoch(0))
    assert readers() == []


STREAM = """
import resource, sys
import numpy as np
from zatlas.data import Batches, open_source
from zatlas.data.prefetch import free_bytes
import zatlas.data.batches as b
source = open_source(sys.argv[1])
b.free_bytes = lambda device: 1 << 30
batches = Batches(source, np.arange(len(source)), batch_size=64)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n = 0
for batch in batches.epoch(0):
    n += 1
    if n == 50:
        break
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(batches.resident, n, grown // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_data_larger_than_memory_streams(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "big.npy", mode="w+", dtype=np.uint8, shape=(250_000, 64, 64))
    x[1] = 7  # the other gigabyte stay a hole in the file
    x.flush()
    del x
    command = [sys.executable, "-c", STREAM, str(tmp_path / "big.npy")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert out[:2] == ["False", "50"]
    assert int(out[2]) < 100
