"""Metrics of runs: what is found, what is left out, and what is kept."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests import family
from zatlas.config import make_config
from zatlas.data import ArraySource
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation.likelihood import Price
from zatlas.measure import (
    METRICS,
    Options,
    chosen,
    compare_curves,
    compare_runs,
    evaluate_run,
    groups,
    likelihood,
    neighbours,
)
from zatlas.measure.beside import beside
from zatlas.measure.factors import known_factors
from zatlas.measure.feature_classifier import examples
from zatlas.runs.opened import Run
from zatlas.runs.training import train

FEW = Options(rows=60, samples=20)


def trained(folder, source="digits", **sections):
    values = {"data": {"source": source}, "training": {"steps": 40, "precision": "fp32", "validations": 2}}
    model = sections.pop("model", {})
    model = {**family.size(model.get("kind", "vae")), **model}
    return train(make_config(("test", values), ("more", {"model": model, **sections})), out=folder)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("measured") / "vae")


def test_names_of_metrics():
    assert chosen(None) == tuple(name for name, metric in METRICS.items() if metric.usual)
    assert chosen(["all"]) == tuple(METRICS)
    assert chosen(["prior", "bound", "prior"]) == ("prior", "bound")
    with pytest.raises(UsageError, match="did you mean importance"):
        chosen(["importanse"])


LIKELIHOODS = ("quadrature", "importance", "prior", "annealed")


@pytest.mark.parametrize("name", [*LIKELIHOODS, "rate", "gap", "bidirectional"])
def test_a_metric_of_a_vae(vae, name):
    figures = evaluate_run(vae, metrics=[name], options=Options(rows=8, samples=8))["figures"]
    mine = {key.removeprefix(f"{name}."): figure for key, figure in figures.items() if key.startswith(f"{name}.")}
    assert mine
    assert all(figure["count"] and figure["estimator"] for figure in mine.values())


@pytest.mark.parametrize(
    "name", ["bound", "importance", "prior", "annealed", "defensive", "rate", "gap", "bidirectional"]
)
def test_the_seed_of_an_evaluation_is_that_of_its_draws(vae, name):
    value = lambda seed: {
        key: figure["value"]
        for key, figure in evaluate_run(vae, metrics=[name], options=Options(5, 3, seed))["figures"].items()
        if key.startswith(f"{name}.") or (name == "bound" and key in ("elbo", "distortion"))
    }
    first = value(0)
    assert value(0) == first
    assert value(1) != first


@pytest.mark.parametrize("name", ["annealed", "bidirectional"])
def test_a_costly_decoder_is_annealed_on_fewer_examples_unless_more_are_asked_for(vae, name, monkeypatch):
    cost = lambda gflop: monkeypatch.setattr(likelihood, "price", lambda *_, **__: Price(gflop, 1e-3, 100_000))
    count = lambda gflop, **words: cost(gflop) or METRICS[name].count(vae, Options(**words))
    usual = {"annealed": 50, "bidirectional": 20}[name]
    assert [count(gflop) for gflop in (0.0, 1e-3, 0.02, 5.0)] == [usual, usual, 10, 4]
    assert count(5.0, rows=33) == 33
    said = []
    monkeypatch.setattr(vae, "say", said.append)
    evaluate_run(vae, metrics=[name], options=Options(samples=2))
    assert len(said) == 1
    assert "takes about 6:40 here: 4 examples, 100,000 gradients" in said[0]


@pytest.mark.slow
def test_the_seed_of_a_game_and_of_bayes_rule(tmp_path):
    gan = trained(tmp_path / "gan", model={"kind": "gan"})
    cvae = trained(tmp_path / "cvae", model={"kind": "cvae"})
    for run, name, figure in ((gan, "game", "loss"), (cvae, "bayes", "bayes.calibration_error")):
        values = [
            evaluate_run(run, metrics=[name], options=Options(30, 2, seed))["figures"][figure]["value"]
            for seed in (0, 0, 1)
        ]
        assert values[0] == values[1] != values[2]


def test_one_example_has_a_bound_but_no_parts_of_the_rate(vae):
    record = evaluate_run(vae, metrics=["bound", "rate"], options=Options(rows=1))
    assert "elbo" in record["figures"]
    assert not any(name.startswith("rate.") for name in record["figures"])
    assert "at least 4" in record["warnings"][0]


@pytest.mark.slow
def test_a_codebook_says_that_its_bound_is_only_that(tmp_path):
    run = trained(tmp_path / "vqvae", model={"kind": "vqvae"})
    figures = evaluate_run(run, metrics=["importance"], options=Options(8, 30))["figures"]
    assert "words of a codebook" in figures["importance.log_likelihood"]["caution"]
    assert not any("khat" in name for name in figures)


@pytest.mark.slow
def test_estimators_of_the_likelihood_agree_and_are_kept_beside_one_another(vae):
    evaluate_run(vae, metrics=["bound"])
    for name, samples in (("quadrature", None), ("importance", 500), ("prior", 20_000)):
        record = evaluate_run(vae, metrics=[name], options=Options(rows=30, samples=samples))
    figures = record["figures"]
    exact = figures["quadrature.log_likelihood"]["value"]
    assert figures["importance.log_likelihood"]["value"] == pytest.approx(exact, abs=0.3)
    assert figures["prior.log_likelihood"]["value"] == pytest.approx(exact, abs=0.3)
    assert figures["importance.log_likelihood"]["value"] < exact + 0.05
    assert "elbo" in figures
    assert json.loads((vae.folder.path / "evaluation.json").read_text())["figures"] == figures


def test_what_a_model_cannot_have_is_left_out_with_its_reason(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    ae = trained(tmp_path / "ae", str(tmp_path / "plain.npz"), model={"kind": "ae"})
    record = evaluate_run(ae, metrics=["bound", "importance", "exact", "disentanglement"], options=FEW)
    assert set(record["left_out"]) == {"importance", "exact", "disentanglement"}
    assert "no distribution" in record["left_out"]["importance"]
    assert "neither factors nor labels of" in record["left_out"]["disentanglement"]
    with pytest.raises(UsageError, match="cannot be measured by exact: only ppca and fa"):
        evaluate_run(ae, metrics=["exact"])


@pytest.mark.slow
def test_labels_stand_for_factors_that_are_not_known(vae, tmp_path):
    record = evaluate_run(vae, "all", metrics=["disentanglement"], options=Options(rows=600))
    assert record["factors"] == ["class"]
    assert 0 < record["figures"]["disentanglement.mig"]["value"] < 1
    rng = np.random.default_rng(0)
    labels = rng.normal(size=(300, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", images=rng.integers(0, 256, (300, 8, 8), dtype=np.uint8), labels=labels)
    table, names = known_factors(trained(tmp_path / "real", str(tmp_path / "x.npz")), np.arange(300))
    assert len(names) == 2
    assert [np.bincount(column).tolist() for column in table.T] == [[30] * 10] * 2
    assert (np.diff(table[np.argsort(labels[:, 1]), 1]) >= 0).all()


def test_a_model_that_repeats_its_data_is_seen_to(vae, monkeypatch):
    rows = vae.rows("train")[:200]
    copies = np.tile(examples(vae.source, rows, "none")[0], (5, 1, 1, 1))
    fresh = neighbours(vae, n=5)
    assert fresh.figure is not None
    assert (np.diff(fresh["distance"]) >= 0).all()
    apart = np.square(fresh["sample"] - fresh["nearest"]).reshape(5, -1).sum(1)
    np.testing.assert_allclose(fresh["distance"], np.sqrt(apart), rtol=1e-4)
    monkeypatch.setattr("zatlas.measure.memorisation.shown_as_data", lambda experiment, count, seed: copies)
    found = neighbours(vae, n=5)
    np.testing.assert_allclose(found["distance"], 0, atol=1e-5)
    np.testing.assert_allclose(found["sample"], found["nearest"])
    assert set(found["rows"]) <= set(rows)
    assert found.facts["neighbour_share"]["value"] > 0.95
    assert "some samples copy training examples" in found.sentences[0]
    assert "copy" not in fresh.sentences[0].replace("copying", "")


@pytest.mark.slow
def test_samples_are_not_judged_by_a_classifier_that_cannot_classify(tmp_path, monkeypatch):
    monkeypatch.setenv("ZATLAS_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", images=rng.integers(0, 256, (400, 8, 8), dtype=np.uint8), labels=np.arange(400) % 40)
    run = trained(tmp_path / "noise", str(tmp_path / "x.npz"))
    old = {"value": 5.0, "standard_error": 0.1, "count": 9, "estimator": "of before"}
    path = run.folder.path / "evaluation.json"
    evaluate_run(run, metrics=["bound"])
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"figures": kept["figures"] | {"samples.copying": old}}))
    record = evaluate_run(run, metrics=["bound", "samples"], options=FEW)
    assert "elbo" in record["figures"]
    assert not any(name.startswith("samples.") for name in record["figures"])
    assert "zatlas classifier" in record["left_out"]["samples"]
    with pytest.raises(ZatlasError, match="is not measured by samples: the accuracy of grey-cnn"):
        evaluate_run(run, metrics=["samples"], options=FEW)
    assert "Compared in raw values, since the accuracy" in neighbours(run).sentences[-1]


def test_the_linear_models_know_their_likelihood(tmp_path):
    ppca = trained(tmp_path / "ppca", model={"kind": "ppca", "latent_dim": 3})
    figures = evaluate_run(ppca, metrics=["exact", "importance"], options=Options(samples=5))["figures"]
    exact = figures["exact.log_likelihood"]["value"]
    assert figures["importance.log_likelihood"]["value"] == pytest.approx(exact, abs=1e-3)


@pytest.mark.slow
def test_disentanglement_of_sprites(tmp_path):
    run = trained(tmp_path / "sprites", source="sprites:2000", model={"latent_dim": 4})
    record = evaluate_run(run, metrics=["disentanglement"], split="all", options=Options(rows=1500))
    assert 0 <= record["figures"]["disentanglement.mig"]["value"] <= 1
    assert record["factors"]


@pytest.mark.slow
def test_samples_and_codes(tmp_path, monkeypatch, digits_run):
    monkeypatch.setenv("ZATLAS_DATA", str(tmp_path))
    run = Run(digits_run)
    record = evaluate_run(run, metrics=["samples", "probes", "bayes"], options=Options(rows=180))
    figures = record["figures"]
    assert figures["samples.frechet_distance"]["value"] > figures["samples.frechet_distance_floor"]["value"]
    accuracy = figures["samples.classifier_accuracy"]["value"]
    assert f"(accuracy {accuracy:.3f})" in figures["samples.frechet_distance"]["estimator"]
    assert list((tmp_path / "extractors").glob("*.safetensors"))
    assert figures["probes.raw_values_linear"]["value"] > 0.8
    assert figures["bayes.accuracy"]["value"] > 0.5
    assert record["reliability"]["count"]


@pytest.mark.slow
def test_runs_beside_one_another(tmp_path, vae):
    other = trained(tmp_path / "beta", objective={"beta": 4.0})
    rows = compare_runs([vae, other])
    assert [row["beta"] for row in rows] == [1.0, 4.0]
    assert all("rate" in row["figures"] for row in rows)
    assert [len(group.rows) for group in groups(rows)] == [2]
    assert all(row["figures"]["reconstruction.psnr"]["unit"] == "dB" for row in rows)


def row(**other):
    """A row of compare_runs, and what differs."""
    figures = {name: {"value": 3.0, "standard_error": 0.1, "count": 100} for name in ("elbo", "distortion", "rate")}
    same = {"data": "d", "data_sha256": "a", "data_kind": "static", "split": "test", "rows_sha256": "r", "n": 100}
    what = {"quantity": "probability", "conditional": False, "point": False, "model": "vae", "objective": "elbo"}
    return (
        same | what | {"run": "runs/x", "latent_dim": 2, "beta": 1.0, "train_seconds": 1.0, "figures": figures} | other
    )


APART = [
    ({"quantity": "density"}, "a density, not a probability"),
    ({"n": 5}, "5 examples, not 100"),
    ({"data_sha256": "b", "n": 5}, "first table: other data."),
    ({"data_kind": "dynamic"}, "dynamically binarised data, not statically"),
    ({"conditional": True}, "p(x|y), not p(x)"),
    ({"point": True}, "distortion, which bounds nothing"),
    ({"split": "train"}, "train rows, not test rows"),
    ({"rows_sha256": "s"}, "divided otherwise"),
    ({"quantity": "none", "n": None, "data_kind": "game"}, "no likelihood, not a probability."),
]


@pytest.mark.parametrize(("other", "why"), APART)
def test_what_cannot_be_compared_stands_apart_with_the_reason(other, why):
    found = groups([row(), row(**other), row(run="runs/y"), row(**other)])
    assert [len(group.rows) for group in found] == [2, 2]
    assert found[0].why == ""
    assert why in found[1].why


def test_a_table_of_runs_has_the_cautions_of_its_own_figures_alone():
    one = row()
    for name, caution in (("elbo", "it bounds nothing"), ("rate.total_correlation", "it lies between 0.1 and 0.3")):
        one["figures"][name] = {"value": 3.0, "standard_error": 0.1, "count": 100, "caution": caution}
    assert beside(groups([one])[0], {"runs/x": "x"}).cautions == ["Caution: it bounds nothing."]


def test_rows_of_old_records_are_not_known_and_so_alike():
    assert len(groups([row(), row(rows_sha256=None)])) == 1


@pytest.mark.slow
def test_a_density_of_bits_is_not_set_beside_their_probability(tmp_path):
    bits = {"source": "digits", "binarise": "dynamic"}
    runs = [trained(tmp_path / kind, data=bits, model={"kind": kind}) for kind in ("vae", "ppca")]
    evaluate_run(runs[0], metrics=["bound"], options=Options(rows=5))
    found = groups(compare_runs(runs))
    assert [group.rows[0]["n"] for group in found] == [5, 180]
    with pytest.raises(UsageError, match="a density and the other a probability: draw their curves apart"):
        compare_curves(runs, "importance")
    assert "a density, not a probability" in found[1].why


@pytest.mark.slow
def test_an_estimate_on_fewer_rows_has_the_bound_of_the_same_rows_beside_it(vae):
    figures = evaluate_run(vae, metrics=["quadrature"], options=Options(rows=20))["figures"]
    above = figures["quadrature.log_likelihood"]["value"] - figures["quadrature.elbo"]["value"]
    assert figures["quadrature.elbo"]["count"] == 20
    assert figures["quadrature.bound_gap"]["value"] == pytest.approx(above, abs=1e-4)


@pytest.mark.slow
def test_eight_bit_data_have_bits_per_dimension_and_grey_data_have_none(tmp_path, vae):
    run = trained(tmp_path / "bits", model={"likelihood": "categorical"})
    figures = evaluate_run(run, metrics=["bound", "importance"], options=FEW)["figures"]
    bits = -figures["elbo"]["value"] / (64 * np.log(2))
    assert figures["bits_per_dimension"]["value"] == pytest.approx(bits)
    assert figures["bits_per_dimension"]["unit"] == "bits per dimension"
    assert run.folder.record["result"]["bits_per_dimension"] == pytest.approx(bits, abs=0.3)
    importance = figures["importance.bits_per_dimension"]["value"]
    assert 0 < importance < 8
    assert "bits_per_dimension" not in evaluate_run(vae, metrics=["bound"])["figures"]


def test_real_factors_are_cut_into_bins_and_whole_ones_are_not():
    rng = np.random.default_rng(0)
    hue, place, scale = rng.random(300), rng.integers(0, 32, 300), rng.choice([0.5, 0.6, 1.0], 300)
    images = rng.integers(0, 256, (300, 4, 4), dtype=np.uint8)
    source = ArraySource("x", images, factors=np.stack([hue, place, scale], 1), factor_names=["hue", "place", "scale"])
    table, names = known_factors(SimpleNamespace(source=source), np.arange(300))
    assert names == ["hue", "place", "scale"]
    assert np.bincount(table[:, 0]).tolist() == [30] * 10
    assert (np.diff(table[np.argsort(hue), 0]) >= 0).all()
    assert table[:, 1].tolist() == place.tolist()
    assert table[:, 2].tolist() == np.searchsorted([0.5, 0.6, 1.0], scale).tolist()
