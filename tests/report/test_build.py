"""The report of real runs: every kind of model and data gets the sections it can have, and nothing it cannot."""

import re

import numpy as np
import pytest

from tests import family
from zatlas.config import make_config
from zatlas.measure import neighbours
from zatlas.measure.words import about
from zatlas.report import write_report
from zatlas.report.build import describe
from zatlas.report.sections import samples
from zatlas.runs.opened import Run
from zatlas.runs.training import train


def run(tmp_path, source, **sections):
    values = {
        "data": {"source": str(source)},
        "training": {"steps": 12, "precision": "fp32", "validations": 3, "threads": 1},
        "model": family.size(sections.get("model", {}).get("kind", "vae")),
    }
    for section, entries in sections.items():
        values.setdefault(section, {}).update(entries)
    return train(make_config(("test", values)), out=tmp_path / "run")


def titles(experiment):
    return [section.title for section in describe(experiment).sections]


ALL = [
    "Model card",
    "Training",
    "Reconstructions",
    "Samples",
    "Latent space",
    "What the units mean",
    "Training examples",
]


@pytest.mark.slow
def test_a_conditional_model_shows_every_class(digits_run):
    report = describe(Run(digits_run))
    assert [s.title for s in report.sections] == ALL
    captions = [p.caption for s in report.sections for p in s.pictures]
    assert any("decoded with every other" in c for c in captions)
    assert "The latent plane decoded with each label." in captions
    assert {h.name for h in report.headlines} >= {"test loss", "distortion", "rate", "active units"}


@pytest.mark.slow
def test_what_is_searched_beside_the_drawing_is_what_a_search_alone_finds(digits_run):
    run = Run(digits_run)
    captions = [p.caption for s in describe(run).sections for p in s.pictures]
    found = [c for c in captions if c.startswith("Samples above their nearest training images.")]
    assert found == [
        f"Samples above their nearest training images. {neighbours(run, n=10, held_out=1000).sentences[0]}"
    ]


@pytest.mark.slow
def test_the_page_is_whole_and_loads_nothing(digits_run):
    path = write_report(Run(digits_run))
    assert path == digits_run / "report" / "index.html"
    page = path.read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", page)
    assert "zatlas" in page
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert len(headings) == len(set(headings)) > 5
    assert page.rstrip().endswith("</html>")


@pytest.mark.slow
@pytest.mark.parametrize("latent_dim", [1, 2, 3])
def test_units_of_any_number(tmp_path, latent_dim):
    assert titles(run(tmp_path, "digits", model={"latent_dim": latent_dim})) == ALL


@pytest.mark.slow
def test_an_autoencoder_has_no_samples(tmp_path):
    found = titles(run(tmp_path, "digits", model={"kind": "ae"}))
    assert found == [title for title in ALL if title != "Samples"]


def test_draws_are_called_by_the_likelihood_they_are_from(tmp_path):
    ppca = run(tmp_path, "digits", model={"kind": "ppca"}, data={"binarise": "dynamic"})
    told = [text for picture in samples(ppca).pictures for text in (picture.alt, picture.caption)]
    assert "Gaussian draws from p(x|z) at the same codes." in told
    assert not any("Bernoulli" in text for text in told)
    assert "log p(x) is of a density" in about({"data_kind": "dynamic", "quantity": ppca.quantity})


@pytest.mark.slow
def test_vectors_have_no_pictures_of_examples(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(300, 5)))
    assert titles(run(tmp_path, tmp_path / "x.npy")) == ["Model card", "Training", "Latent space"]


@pytest.mark.slow
def test_colour_images_that_are_not_square(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (100, 12, 10, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", images=x, labels=rng.integers(0, 2, 100))
    experiment = run(tmp_path, tmp_path / "x.npz", model={"network": "conv"})
    assert titles(experiment) == ALL
    assert experiment.folder.record["data_kind"] == "real"


@pytest.mark.slow
def test_too_few_rows_to_say_what_units_mean(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", images=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8))
    assert titles(run(tmp_path, tmp_path / "x.npz")) == [title for title in ALL if title != "What the units mean"]


@pytest.mark.slow
def test_without_validation_or_test_rows(tmp_path):
    experiment = run(tmp_path, "digits", data={"validation": 0, "test": 0})
    report = describe(experiment)
    assert report.headlines[0].name == "train loss"
    assert [s.title for s in report.sections] == ALL
