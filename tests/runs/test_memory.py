"""A training that takes more memory than there is is refused before it starts, in one sentence that says how much."""

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.runs import memory
from zatlas.runs.data import open_data
from zatlas.runs.folder import RunFolder
from zatlas.runs.memory import OutOfMemory
from zatlas.runs.setup import set_up
from zatlas.runs.training import train
from zatlas.training import Trainer
from zatlas.training.memory import weight_bytes


@pytest.fixture
def photographs(tmp_path):
    np.save(tmp_path / "photographs.npy", np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8))
    return tmp_path / "photographs.npy"


def configured(source, network=None, **training):
    values = {
        "data": {"source": str(source), "validation": 4, "test": 4},
        "network": {"kind": "spatial", "size": "xs", **(network or {})},
        "training": {"steps": 1, "precision": "fp32", "threads": 1, **training},
    }
    return make_config(("test", values))


def free(monkeypatch, count):
    monkeypatch.setattr(memory, "free_bytes", lambda device: count)


@pytest.mark.slow
def test_a_step_that_does_not_fit_is_refused_with_one_that_does(photographs, tmp_path, monkeypatch):
    free(monkeypatch, 5_000_000)
    says = r"^a training step of 32 examples takes about \d+\.\d MB of memory, and 5\.\d MB are free: give "
    with pytest.raises(OutOfMemory, match=says + r"--batch-size (\d+) or smaller images \(--resize\)\.$") as refused:
        train(configured(photographs, batch_size=32), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    fits = int(str(refused.value).split("--batch-size ")[1].split()[0])
    assert 1 <= fits < 32
    said = []
    train(configured(photographs, batch_size=fits), out=tmp_path / "run", say=said.append)
    assert not any("may not be enough" in sentence for sentence in said)


@pytest.mark.slow
def test_where_it_is_close_it_is_said(photographs, tmp_path, monkeypatch):
    free(monkeypatch, 10**9)
    found = []
    counted = memory.demand
    monkeypatch.setattr(memory, "NEAR", 0.0)
    monkeypatch.setattr(memory, "demand", lambda *given, **named: found.append(counted(*given, **named)) or found[-1])
    train(configured(photographs), out=tmp_path / "first")
    said = []
    free(monkeypatch, int(0.95 * found[0].bytes))
    train(configured(photographs), out=tmp_path / "second", say=said.append)
    assert any(s.startswith("Memory a training step of 32 examples takes about") for s in said)


def test_a_larger_network_names_its_size(photographs, tmp_path, monkeypatch):
    free(monkeypatch, 1_000_000)
    with pytest.raises(OutOfMemory, match=r"give smaller images \(--resize\) or a smaller network \(--size\)\.$"):
        train(configured(photographs, {"size": "m"}), out=tmp_path / "run")


def test_weights_alone_may_be_too_many(tmp_path, monkeypatch):
    np.save(tmp_path / "large.npy", np.random.default_rng(0).integers(0, 256, (20, 3, 128, 128), dtype=np.uint8))
    free(monkeypatch, 20_000_000)
    with pytest.raises(
        OutOfMemory, match=r"^the weights of this mlp network take at least \d+\.\d MB of memory, and 20"
    ):
        train(configured(tmp_path / "large.npy", {"kind": "mlp", "size": "s"}), out=tmp_path / "run")


def test_nothing_is_counted_where_there_is_plenty(tmp_path, monkeypatch):
    """The start of a small training is measured in milliseconds."""
    monkeypatch.setattr(memory, "demand", lambda *given, **named: pytest.fail("it was counted"))
    free(monkeypatch, 4 << 30)
    for network in ("mlp", "conv"):
        values = {"data": {"source": "digits"}, "network": {"kind": network}, "training": {"steps": 1}}
        train(make_config(("test", values)), out=tmp_path / network)


@pytest.mark.slow
def test_counting_leaves_the_training_as_it_is(photographs, tmp_path, monkeypatch):
    def trained(name):
        run = train(configured(photographs, steps=3), out=tmp_path / name)
        return torch.cat([p.detach().flatten() for p in run.game.parameters()])

    plain = trained("plain")
    monkeypatch.setattr(memory, "NEAR", 0.0)
    assert torch.equal(trained("counted"), plain)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_on_the_way_is_one_sentence(error, photographs, tmp_path, monkeypatch):
    def fail(self, batch, progress):
        raise error

    monkeypatch.setattr(Trainer, "_step", fail)
    says = r"^there is not enough memory for this training: free some, or give fewer examples a step \(--batch-size, "
    with pytest.raises(OutOfMemory, match=says + r"which is 128\) or smaller images \(--resize\)\."):
        train(configured(photographs), out=tmp_path / "run")
    assert RunFolder(tmp_path / "run").record["status"] == "failed"


def test_other_errors_stay_what_they_are(photographs, tmp_path, monkeypatch):
    def fail(self, batch, progress):
        raise RuntimeError("something else")

    monkeypatch.setattr(Trainer, "_step", fail)
    with pytest.raises(RuntimeError, match="something else"):
        train(configured(photographs), out=tmp_path / "run")


def test_an_average_is_counted_where_it_lies_and_where_it_is_saved(photographs):
    config = configured(photographs, network={"kind": "mlp"})
    setup = set_up(config, *open_data(config))
    batch, found = next(iter(setup.trainer.batches.epoch(0))), {}
    for decay in (0.0, 0.9):
        config.training.ema = decay
        found[decay] = memory.demand(config, setup.trainer.game, batch, room=10**12)
    weights = weight_bytes(setup.trainer.game)
    assert found[0.9].standing - found[0.0].standing == weights
    assert found[0.9].saving - found[0.0].saving == 3 * weights
