"""Several runs at once: what they share, and how one estimator fares on each."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.measure import Options, agree, compare_curves
from zatlas.measure.agreeing import _table
from zatlas.runs.opened import Run
from zatlas.runs.training import train

pytestmark = pytest.mark.slow  # trains several runs


def trained(folder, kind="vae", source="digits", seed=0, **model):
    training = {"steps": 60, "precision": "fp32", "threads": 1, "seed": seed, "validations": 1}
    values = {"data": {"source": source}, "model": {"kind": kind, "size": "xs", **model}, "training": training}
    return train(make_config(("test", values)), out=folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    return [trained(folder / f"seed-{seed}", seed=seed, latent_dim=3) for seed in range(2)]


def test_a_run_agrees_with_itself_entirely_and_with_another_seed_in_part(runs):
    itself = agree([runs[0], Run(runs[0].folder.path)], rows=150)
    figures = itself.facts["figures"]
    assert figures["procrustes_residual"]["value"] == pytest.approx(0, abs=1e-5)
    assert figures["matched_correlation"]["value"] == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(itself["matches"], [0, 1, 2])
    assert "z1, z2, z3" in itself.sentences[0]
    other = agree(runs, rows=150)
    assert 0.001 < other.facts["figures"]["procrustes_residual"]["value"] < 1
    assert other.figure is not None
    json.dumps(other.facts)


def test_matched_units_stand_on_the_diagonal():
    run = SimpleNamespace(folder=SimpleNamespace(name="run"), unit_names=["z1", "z2", "z3"])
    pair = SimpleNamespace(correlations=np.eye(3)[[2, 0, 1]], matches=np.array([2, 0, 1]))
    figure = _table([run, run], pair)
    across = [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("z")][3:]
    assert across == ["z3", "z1", "z2"]


def test_what_cannot_be_aligned_is_refused(runs, tmp_path):
    with pytest.raises(UsageError, match="at least two runs"):
        agree(runs[:1])
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", images=x)
    with pytest.raises(UsageError, match="about different data"):
        agree([runs[0], trained(tmp_path / "other", source=str(tmp_path / "other.npz"))])
    with pytest.raises(UsageError, match="codes to align"):
        agree([runs[0], trained(tmp_path / "gan", "gan")])
    with pytest.raises(UsageError, match="words of a codebook"):
        agree([runs[0], trained(tmp_path / "vq", "vqvae")])


def test_one_estimator_over_several_runs_rises_with_its_draws(runs):
    view = compare_curves(runs, "prior", options=Options(rows=40, samples=1000))
    assert view["samples"].tolist() == [1, 10, 100, 1000]
    assert view["value"].shape == (2, 4)
    assert (np.diff(view["value"], axis=1) > 0).all()
    with pytest.raises(UsageError, match="no curve of 'bound' over the number of samples"):
        compare_curves(runs, "bound")


def test_the_classifier_is_trained_by_a_command_and_found_by_the_metric(tmp_path, monkeypatch, capsys, runs):
    import sys

    from zatlas.cli import app
    from zatlas.evaluation.classifier import load_classifier
    from zatlas.measure import evaluate_run
    from zatlas.measure.feature_classifier import classifier_path

    monkeypatch.setenv("ZATLAS_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["zatlas", "classifier", "digits", "--json", "--epochs", "6"])
    with pytest.raises(SystemExit):
        app.main()
    said = json.loads(capsys.readouterr().out)
    path = classifier_path(runs[0].source, "none")
    assert said["file"] == str(path)
    assert runs[0].source.fingerprint()[:16] in path.name
    assert said["sha256"] == load_classifier(path).sha256
    assert said["test"]["value"] > 0.8
    record = evaluate_run(runs[0], metrics=["samples"])
    named = [figure["estimator"] for name, figure in record["figures"].items() if name == "samples.frechet_distance"]
    assert said["name"] in named[0]


def test_a_classifier_wants_classes(tmp_path):
    from zatlas.data import open_source
    from zatlas.measure.feature_classifier import train_feature_classifier

    np.savez(tmp_path / "plain.npz", images=np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8))
    with pytest.raises(UsageError, match="they have no classes"):
        train_feature_classifier(open_source(str(tmp_path / "plain.npz")), np.arange(30))
