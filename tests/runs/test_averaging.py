"""Of which trainings the weights are averaged where nobody says it."""

import numpy as np
import pytest

import zatlas
from zatlas.config import make_config
from zatlas.data import ArraySource, split
from zatlas.runs.setup import set_up
from zatlas.runs.training import resume


def averaged(rows=300, **values):
    source = ArraySource("noise", np.random.default_rng(0).random((rows, 4, 4), np.float32))
    values.setdefault("model", {"kind": "vae", "size": "xs"})
    setup = set_up(make_config(("test", values)), source, split(source, validation=0.05, test=0.1, seed=0))
    average = setup.trainer.average
    assert (0.0 if average is None else average.decay) == setup.config.training.ema
    return setup.config.training.ema


def test_few_rows_are_averaged_over_and_many_are_not():
    assert averaged(300) == 0.98
    assert averaged(11_600) == 0.98  # 9,918 of them for training
    assert averaged(12_000) == 0.0


def test_what_is_asked_for_is_done():
    assert averaged(training={"ema": 0.0}) == 0.0
    assert averaged(12_000, training={"ema": 0.9}) == 0.9


@pytest.mark.parametrize(
    ("values", "decay"),
    [
        ({"model": {"kind": "ppca"}}, 0.0),
        ({"model": {"kind": "gan", "size": "xs"}}, 0.999),
        ({"objective": {"kind": "factor"}}, 0.0),
        ({"objective": {"kind": "constrained", "target_nats": 3.0}}, 0.0),
        ({"model": {"kind": "ae", "size": "xs"}}, 0.98),
    ],
)
def test_where_no_weights_are_the_best_or_a_kind_has_its_own_nothing_changes(values, decay):
    assert averaged(**values) == decay


def test_a_run_goes_on_as_it_was_begun(tmp_path):
    words = {"steps": 4, "size": "xs", "precision": "fp32", "verbose": False}
    run = zatlas.train("digits", out=tmp_path / "run", ema=0.0, **words)
    assert "ema = 0.0" in (run.folder.path / "config.toml").read_text()
    assert "ema = 0.98" in (zatlas.train("digits", out=tmp_path / "b", **words).folder.path / "config.toml").read_text()


def test_weights_without_an_average_begin_one(tmp_path):
    """As imported ones, or those of a run that had none when more training with one is asked for."""
    words = {"steps": 4, "size": "xs", "precision": "fp32", "verbose": False}
    zatlas.train("digits", out=tmp_path / "run", ema=0.0, **words)
    run = resume(tmp_path / "run", changes={"steps": 6, "ema": 0.9})
    tensors, _, _ = run.folder.load_checkpoint()
    names = [name.removeprefix("average.") for name in tensors if name.startswith("average.")]
    assert names
    assert any((tensors[f"average.{name}"] != tensors[f"game.{name}"]).any() for name in names)
