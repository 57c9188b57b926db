"""A training on data larger than memory, stopped where it hurts: in the middle of a block, without a shard."""

import json

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.data import windows
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs import data as runs_data
from zatlas.runs.training import resume, train
from zatlas.training import Watcher

ROWS, WINDOW, AT = 600, 32, 33  # 27 steps an epoch: step 33 lies in the second, in the middle of a block


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    monkeypatch.setattr(windows, "BLOCK_BYTES", 512)  # eight images
    free_bytes(monkeypatch, 4 * 10_000)


def free_bytes(monkeypatch, count):
    for module in ("zatlas.data.batches", "zatlas.runs.data"):
        monkeypatch.setattr(f"{module}.free_bytes", lambda device: count)


@pytest.fixture
def shards(tmp_path, rng_images):
    folder = tmp_path / "shards"
    folder.mkdir()
    for number, part in enumerate(np.split(rng_images, [250, 260])):
        np.save(folder / f"{number}.npy", part)
    return folder


@pytest.fixture
def rng_images():
    return np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8), dtype=np.uint8)


def configured(source, **data):
    values = {
        "data": {
            "source": str(source),
            "binarise": "dynamic",
            "augment": ["shift"],
            "validation": 30,
            "test": 30,
            **data,
        },
        "network": {"kind": "mlp", "size": "xs"},
        "training": {"steps": 45, "batch_size": 20, "precision": "fp32", "threads": 1, "checkpoint_every_steps": 5},
    }
    return make_config(("test", values))


def weights(run):
    return {name: value.clone() for name, value in run.game.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class At(Watcher):
    def __init__(self, act):
        self.act = act

    def stepped(self, trainer):
        if trainer.state.step == AT:
            self.act()


def stop():
    raise RuntimeError("stopped here")


@pytest.mark.slow
@pytest.mark.parametrize("free", [4 * 10_000, 1 << 40], ids=["streamed again", "in memory then"])
def test_resumed_in_the_middle_of_a_block_it_ends_where_it_would_have(shards, tmp_path, monkeypatch, free):
    whole = train(configured(shards), out=tmp_path / "whole")
    assert whole.config.data.shuffle_window == WINDOW
    with pytest.raises(RuntimeError, match="stopped here"):
        train(configured(shards), out=tmp_path / "half", watchers=[At(stop)])
    position = json.loads((tmp_path / "half" / "run.json").read_text())
    assert position["status"] == "failed"
    free_bytes(monkeypatch, free)
    again = resume(tmp_path / "half")
    assert again.config.data.shuffle_window == WINDOW
    assert same(weights(again), weights(whole))
    other = train(configured(shards, shuffle_window=0), out=tmp_path / "other")
    assert not same(weights(other), weights(whole))


@pytest.mark.slow
def test_a_shard_that_vanishes_stops_it_and_put_back_lets_it_go_on(shards, tmp_path):
    whole = train(configured(shards), out=tmp_path / "whole")
    shard, away = shards / "2.npy", tmp_path / "away.npy"
    with pytest.raises(ZatlasError, match=r"2\.npy is no longer there: put it back .* The last good state is"):
        train(configured(shards), out=tmp_path / "run", watchers=[At(lambda: shard.rename(away))])
    with pytest.raises(ZatlasError, match="are not those that"):  # the others alone are other data
        resume(tmp_path / "run")
    np.save(shard, 255 - np.load(away))
    with pytest.raises(ZatlasError, match="are not those that"):
        resume(tmp_path / "run")
    away.replace(shard)
    assert same(weights(resume(tmp_path / "run")), weights(whole))


@pytest.mark.slow
def test_a_shard_that_changes_stops_it(shards, tmp_path):
    change = lambda: np.save(shards / "0.npy", np.zeros((250, 8, 8), np.uint8))
    with pytest.raises(ZatlasError, match=r"0\.npy has changed since it was opened"):
        train(configured(shards), out=tmp_path / "run", watchers=[At(change)])


def test_what_is_held_out_is_never_changed_nor_kept_in_memory(shards, rng_images):
    """Validation and evaluation see the rows as they are, in their order, whatever training is shown."""
    config = configured(shards, binarise="none", augment=["flip", "shift", "crop"])
    source, splits = runs_data.open_data(config)
    device = torch.device("cpu")
    plain = runs_data.batches(config, source, splits.validation, device)
    assert not plain.resident
    x = torch.cat([batch.x for batch in plain.epoch(0)])
    assert torch.equal(x, torch.from_numpy(rng_images[splits.validation][:, None]).float() / 255)
    shown = runs_data.batches(config, source, splits.train, device, training=True)
    seen = torch.cat([batch.x for batch in shown.epoch(0)])
    rows = splits.train[shown.order(0)]
    changed = (seen != torch.from_numpy(rng_images[rows][:, None]).float() / 255).any(-1).any(-1)
    assert changed.float().mean() > 0.9


def test_a_closed_form_says_what_it_cannot(shards, tmp_path, monkeypatch):
    def ppca(**data):
        values = {"data": {"source": str(shards), **data}, "model": {"kind": "ppca"}}
        return train(make_config(("test", values)), out=tmp_path / "p")

    with pytest.raises(UsageError, match=r"without steps for which data\.augment"):
        ppca(augment=["flip"])
    monkeypatch.setattr("zatlas.data.content.free_bytes", lambda device: 1000)
    with pytest.raises(ZatlasError, match=r"fitted in closed form, takes .* of memory"):
        ppca()
