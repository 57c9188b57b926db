"""Which weights a run is opened with."""

import itertools

import pytest

from zatlas import walks
from zatlas.config import make_config
from zatlas.figures import View
from zatlas.files import write_json
from zatlas.runs import setup, training
from zatlas.runs.opened import Run


def worse_and_worse(folder, monkeypatch, **limits):
    losses = itertools.count(1.0)  # worse at every validation
    monkeypatch.setattr(setup, "mean_terms", lambda game, batches, **rest: {"loss": next(losses)})
    limits = {"steps": 40, "validations": 8, "precision": "fp32", "threads": 1, "overfitting": "go_on", **limits}
    values = {"data": {"source": "digits"}, "model": {"size": "xs"}, "training": limits}
    return training.train(make_config(("test", values)), out=folder)


@pytest.mark.parametrize("patience", [3, None])
def test_a_run_is_opened_at_its_best_weights(tmp_path, monkeypatch, patience):
    worse_and_worse(tmp_path / "run", monkeypatch, patience=patience)
    assert Run(tmp_path / "run").step == 5
    assert Run(tmp_path / "run", checkpoint="best").step == 5
    assert Run(tmp_path / "run", checkpoint="last").step == (20 if patience else 40)


@pytest.mark.parametrize(("patience", "opened_at"), [(3, 5), (None, 40)])
def test_a_run_from_before_is_opened_as_it_was(tmp_path, monkeypatch, patience, opened_at):
    run = worse_and_worse(tmp_path / "run", monkeypatch, patience=patience)
    record = dict(run.folder.record)
    del record["opens"]
    write_json(tmp_path / "run" / "run.json", record)
    assert Run(tmp_path / "run").step == opened_at
    assert Run(tmp_path / "run").parting() is None


@pytest.mark.slow
def test_a_run_goes_on_from_its_last_weights_and_remembers_its_best(tmp_path, monkeypatch):
    worse_and_worse(tmp_path / "run", monkeypatch)
    training.resume(tmp_path / "run", changes={"steps": 45})
    assert Run(tmp_path / "run", checkpoint="last").step == 45
    assert Run(tmp_path / "run").step == 5


def test_a_run_says_where_validation_and_training_part(tmp_path, monkeypatch):
    said = worse_and_worse(tmp_path / "run", monkeypatch).parting()
    assert "lowest at step 5 (" in said
    assert "The weights of step 5 are used." in said


def test_where_two_players_move_the_loss_the_last_weights_are_opened(tmp_path):
    limits = {"steps": 4, "precision": "fp32", "threads": 1}
    values = {"data": {"source": "digits"}, "model": {"size": "xs"}, "training": limits}
    values["objective"] = {"kind": "constrained", "target_nats": 20.0}
    run = training.train(make_config(("test", values)), out=tmp_path / "run")
    assert run.folder.record["opens"] == "last"


def small(folder, source="digits", **model):
    limits = {"steps": 4, "precision": "fp32", "threads": 1}
    values = {"data": {"source": source}, "model": {"size": "xs", **model}, "training": limits}
    return training.train(make_config(("test", values)), out=folder)


def test_a_run_and_a_view_say_what_they_are_in_a_line_and_show_a_picture_in_a_notebook(tmp_path):
    run = small(tmp_path / "run")
    said = repr(run)
    assert "\n" not in said
    assert said.startswith(f"<run {tmp_path / 'run'}: vae of digits, z = 2, mlp, step 4, test loss ")
    assert said.endswith(" nats>")
    view = walks.traverse(run)
    assert "\n" not in repr(view)
    assert len(repr(view)) < 300
    name, array = next(iter(view.arrays.items()))
    assert f"{name} {list(array.shape)}" in repr(view)
    for shown in (run, view):
        picture, size = shown._repr_png_()
        assert picture.startswith(b"\x89PNG")
        assert size["width"] > size["height"] / 4 > 0
    assert repr(View({})) == "<View: no figure; no arrays>"


@pytest.mark.slow
def test_what_cannot_be_sampled_or_drawn_shows_no_picture(tmp_path):
    gan = small(tmp_path / "gan", kind="gan")
    assert "loss" not in repr(gan)  # a critic's loss says nothing of the samples
    assert gan._repr_png_() is not None
    assert small(tmp_path / "ae", kind="ae")._repr_png_() is None
