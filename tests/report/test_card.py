"""The model card shows whatever was measured of a run, in words and with its pictures."""

import json
import shutil

import numpy as np
import pytest
import torch

from zatlas.evaluation.likelihood import Curve
from zatlas.measure import Options, evaluate_run
from zatlas.measure.curves import curves
from zatlas.report import card
from zatlas.report.build import describe
from zatlas.runs.opened import Run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(digits_run, tmp_path):
    return shutil.copytree(digits_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation.json"))


def figure(value, error=None, count=100, estimator="e"):
    return {"value": value, "standard_error": error, "count": count, "estimator": estimator, "seconds": 0.5}


def with_record(run, figures, **more):
    """The run with more in its evaluation.json."""
    evaluate_run(Run(run), metrics=["bound"])
    path = run / "evaluation.json"
    record = json.loads(path.read_text())
    record["figures"] |= figures
    path.write_text(json.dumps(record | more))
    opened = Run(run)
    return card.card(opened, opened.held_out(), evaluate_run(opened, metrics=["bound", "reconstruction"]))


def rows(section):
    table = section.tables[0]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_a_run_of_which_only_the_bound_is_known(run):
    section = with_record(run, {})
    assert [row["metric"] for row in rows(section)] == ["bound", None, None, None, "reconstruction", None]
    assert [picture.alt for picture in section.pictures] == [
        "16 images each of data, reconstructions, samples, side by side."
    ]
    assert "Not measured yet: " in section.paragraphs[1]
    assert "importance" in section.paragraphs[1]
    assert "disentanglement" in section.paragraphs[1]  # digits have no factors, but classes stand for them
    assert "exact" not in section.paragraphs[1]  # only linear models know log p(x)


def test_figures_stand_by_metric_with_their_floors(run):
    found = {
        "samples.precision": figure(0.81, 0.02),
        "samples.precision_floor": figure(0.9, 0.01),
        "samples.copying": figure(0.0),
        "importance.log_likelihood": figure(-22.7731, 0.21, estimator="bound, 100 samples per example"),
        "unknown.thing_of_later": figure(3),
    }
    shown = [row for row in rows(with_record(run, found)) if row["n"] == 100]
    assert [row["metric"] for row in shown] == ["importance", "samples", None, "unknown"]
    assert [row["value"].replace("\u00a0", " ") for row in shown] == ["−22.8 ± 0.2 nats", "0.81 ± 0.02", "0", "3"]
    assert [row["floor"] and row["floor"].replace("\u00a0", " ") for row in shown] == [
        None,
        "0.900 ± 0.010",
        None,
        None,
    ]
    assert [row["seconds"] for row in shown] == [0.5, 0.5, None, 0.5]


def test_a_caution_and_what_the_error_holds_fixed_stand_beside_their_figure(run):
    one = figure(9.1, 0.2) | {"unit": "", "over": "samples", "fixed": "the test images", "caution": "raw values"}
    shown = rows(with_record(run, {"samples.frechet_distance": one}))[-1]
    assert shown["estimator"] == "e; the error holds the test images fixed. Caution: raw values"
    assert shown["n"] == "100\u00a0samples"


def test_curves_are_read_off_the_figures_that_estimators_give():
    at = {k: torch.full((30,), -20.0 + k / 100) for k in (1, 10, 100)}
    curve = Curve(at, torch.ones(30), torch.zeros(30), torch.zeros(30), "by draws", settles="")
    kept = {f"prior.{name}": one.to_json() for name, one in curve.figures().items()}
    assert [(one.samples, round(one.value, 2)) for one in curves(kept)["prior"]] == [
        (1, -19.99),
        (10, -19.9),
        (100, -19),
    ]
    assert not curves({"importance.log_likelihood": figure(-1.0, 0.1, estimator="5 samples per example")})


def test_what_was_measured_is_drawn(run):
    evaluate_run(Run(run), metrics=["importance", "prior"], options=Options(rows=20, samples=20))
    factors = ["shape", "size"]
    units = Run(run).latent_dim
    information = np.linspace(0, 0.5, 2 * units).reshape(units, 2).tolist()
    table = {"edges": [0, 0.5, 1], "confidence": [None, 0.9], "accuracy": [None, 0.8], "count": [0, 50]}
    score = {"matrices": {"information": information, "entropy": [1.0, 0.0]}, "warnings": ["Few rows."]}
    section = with_record(run, {}, reliability=table, scores={"mig": score}, factors=factors)
    alts = [picture.alt for picture in section.pictures]
    assert len(alts) == 4
    assert "draws of the prior from" in alts[1]
    assert "at 1 sample to" in alts[1]
    assert "confidence" in alts[2]
    assert f"shape by z{units}" in alts[3]
    assert "Few rows." in section.paragraphs


def test_the_verdict_stands_with_the_latent_space(run):
    sections = {section.title: section for section in describe(Run(run)).sections}
    assert any("units carr" in text or "collapsed" in text for text in sections["Latent space"].paragraphs)
    assert json.loads((run / "evaluation.json").read_text())["verdict"] in sections["Latent space"].paragraphs


def test_a_mark_is_only_of_the_same_examples(monkeypatch):
    marks = []
    monkeypatch.setattr(card.figures, "convergence", lambda lines, mark, quantity: marks.append(mark))
    monkeypatch.setattr(card, "svg", lambda *shown: shown)
    ends = {k: figure(-30.0 + i, 0.1, estimator=f"bound, {k} samples per example") for i, k in enumerate((1, 10))}
    kept = {"importance.log_likelihood_1": ends[1], "importance.log_likelihood": ends[10]}
    list(card._convergence(kept | {"quadrature.log_likelihood": figure(-28.0, count=99)}))
    list(card._convergence(kept | {"quadrature.log_likelihood": figure(-28.0)}))
    assert marks == [None, (-28.0, "quadrature")]


def test_a_shorter_curve_leaves_nothing_of_a_longer_one(run):
    few, many = Options(rows=20, samples=5), Options(rows=20, samples=20)
    longer = evaluate_run(Run(run), metrics=["importance", "prior"], options=many)["figures"]
    shorter = evaluate_run(Run(run), metrics=["importance"], options=few)["figures"]
    assert longer.keys() - shorter.keys() == {"importance.log_likelihood_10"}
