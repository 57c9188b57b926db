"""Which weights a run is opened with."""

import itertools

import pytest

from zatlas import experiment
from zatlas.config import make_config
from zatlas.opened import Experiment


@pytest.mark.parametrize(("patience", "opened_at"), [(3, 5), (None, 40)])
def test_early_stopping_is_opened_at_its_best_and_anything_else_at_its_last(tmp_path, monkeypatch, patience, opened_at):
    losses = itertools.count(1.0)  # worse at every validation
    monkeypatch.setattr(experiment, "mean_terms", lambda game, batches, **rest: {"loss": next(losses)})
    training = {"steps": 40, "validations": 8, "precision": "fp32", "threads": 1, "patience": patience}
    values = {"data": {"source": "digits"}, "model": {"size": "xs"}, "training": training}
    experiment.train(make_config(("test", values)), out=tmp_path / "run")
    assert Experiment(tmp_path / "run").step == opened_at
    assert Experiment(tmp_path / "run", checkpoint="best").step == 5
