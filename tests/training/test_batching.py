"""The size of a batch where nobody says it: a function of what an example computes, kept by the run."""

import numpy as np
import pytest
import torch

from zatlas import recipes
from zatlas.config import make_config
from zatlas.importers.foreign import neutral_game
from zatlas.runs.data import open_data
from zatlas.runs.setup import set_up
from zatlas.runs.training import resume, train
from zatlas.training.batching import LEAST, MOST, batch_size, suited_batch_size
from zatlas.types import DataSpec

CPU = torch.device("cpu")
DIGIT, SMALL, PHOTO = (1, 28, 28), (3, 32, 32), (3, 64, 64)


def suited(shape, device="cpu", workers=1, kind="vae", **sections):
    sections = {"model": {"kind": kind}, **{name: {"kind": part} for name, part in sections.items()}}
    config, spec = make_config(("test", sections)), DataSpec(shape, "uint8", "class", ("a", "b"))
    game = neutral_game(recipes.decided(config, spec), spec)
    before = torch.get_rng_state()
    found = suited_batch_size(game, spec, torch.device(device), workers=workers)
    assert torch.equal(torch.get_rng_state(), before)
    return found


def test_the_costlier_an_example_the_fewer_of_them_and_always_a_power_of_two():
    sizes = [batch_size(gflop) for gflop in np.geomspace(1e-4, 1e4, 200)]
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) == {128, 64, 32, 16}
    assert batch_size(0) == 128


@pytest.mark.parametrize(
    ("shape", "sections"),
    [
        (DIGIT, {"network": "mlp"}),
        (DIGIT, {"network": "mlp", "kind": "cvae"}),
        (DIGIT, {"network": "mlp", "objective": "iwae"}),
        (DIGIT, {"network": "conv"}),
        ((1, 8, 8), {}),
        (PHOTO, {"network": "mlp"}),
        (SMALL, {"network": "conv"}),
        (PHOTO, {"network": "conv", "objective": "tcvae"}),  # its loss is of the batch
        (PHOTO, {"network": "conv", "objective": "factor"}),  # and this one has two players
    ],
)
def test_small_networks_and_losses_of_the_batch_keep_128(shape, sections):
    assert suited(shape, **sections) == MOST


def test_large_convolutions_have_fewer_on_a_cpu_and_128_elsewhere():
    sizes = [suited(shape, network="spatial") for shape in ((3, 16, 16), SMALL, PHOTO)]
    assert sizes == [128, 32, 16]
    assert suited(SMALL, kind="ladder", network="resnet") == LEAST
    assert suited(PHOTO, network="conv") == 32
    assert suited(PHOTO, network="spatial", device="cuda") == MOST
    assert [suited(PHOTO, network="spatial", workers=n) for n in (2, 16, 17, 1000)] == [16, 16, 32, 128]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), dtype=np.uint8))
    return str(path)


def asked(photos, **training):
    sections = {"data": {"source": photos}, "network": {"kind": "conv"}}
    return make_config(("test", {**sections, "training": {"steps": 1, "threads": 1, "precision": "fp32", **training}}))


def test_what_is_chosen_is_said_and_what_is_asked_for_is_taken(photos):
    said = []
    config = asked(photos)
    source, splits = open_data(config)
    made = set_up(config, source, splits, say=said.append)
    assert (made.config.training.batch_size, made.trainer.batches.batch_size) == (32, 32)
    assert [sentence.split(" examples")[0] for sentence in said] == ["Batch  32"]
    assert config.training.batch_size is None  # the person's own is left as it was
    assert set_up(asked(photos, batch_size=50), source, splits, say=said.append).config.training.batch_size == 50
    assert len(said) == 1


def test_a_run_keeps_its_number_whatever_the_rule_becomes(photos, tmp_path, monkeypatch):
    run = train(asked(photos), out=tmp_path / "run")
    assert "batch_size = 32\n" in (tmp_path / "run" / "config.toml").read_text()
    monkeypatch.setattr("zatlas.runs.setup.suited_batch_size", lambda *given, **words: pytest.fail("asked again"))
    gone_on = resume(run.folder.path, changes={"steps": 2})
    assert gone_on.config.training.batch_size == 32
    assert gone_on.step == 2
