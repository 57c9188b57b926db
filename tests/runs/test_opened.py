"""Which weights a run is opened with."""

import itertools

import pytest

from zatlas import walks
from zatlas.config import make_config
from zatlas.figures import View
from zatlas.runs import training
from zatlas.runs.opened import Run


@pytest.mark.parametrize(("patience", "opened_at"), [(3, 5), (None, 40)])
def test_early_stopping_is_opened_at_its_best_and_anything_else_at_its_last(tmp_path, monkeypatch, patience, opened_at):
    losses = itertools.count(1.0)  # worse at every validation
    monkeypatch.setattr(training, "mean_terms", lambda game, batches, **rest: {"loss": next(losses)})
    limits = {"steps": 40, "validations": 8, "precision": "fp32", "threads": 1, "patience": patience}
    values = {"data": {"source": "digits"}, "model": {"size": "xs"}, "training": limits}
    training.train(make_config(("test", values)), out=tmp_path / "run")
    assert Run(tmp_path / "run").step == opened_at
    assert Run(tmp_path / "run", checkpoint="best").step == 5


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


def test_what_cannot_be_sampled_or_drawn_shows_no_picture(tmp_path):
    gan = small(tmp_path / "gan", kind="gan")
    assert "loss" not in repr(gan)  # a critic's loss says nothing of the samples
    assert gan._repr_png_() is not None
    assert small(tmp_path / "ae", kind="ae")._repr_png_() is None
