"""Training from Python in one line."""

import numpy as np
import pytest

import zatlas
from zatlas.errors import UsageError

QUICK = {"size": "xs", "steps": 2, "precision": "fp32", "threads": 1, "verbose": False}


def test_flat_words_are_those_of_the_configuration(tmp_path, capsys):
    run = zatlas.train("digits", model="cvae", objective="tcvae", beta=6.0, latent_dim=3, out=tmp_path / "run", **QUICK)
    config = zatlas.open(tmp_path / "run").config
    assert (config.model.kind, config.objective.kind, config.objective.beta) == ("cvae", "tcvae", 6.0)
    assert run.latent_dim == config.model.latent_dim == 3
    assert run.folder.record["status"] == "finished"
    assert capsys.readouterr() == ("", "")


def test_a_preset_names_the_model_too(tmp_path):
    size = {"size": "xs", "steps": 1, "precision": "fp32", "threads": 1, "verbose": False, "network": "mlp"}
    assert zatlas.train("digits", preset="course-cvae", out=tmp_path / "run", **size).config.model.kind == "cvae"


def test_words_go_over_a_preset(tmp_path):
    run = zatlas.train("digits", preset="mnist-plane", network="mlp", out=tmp_path / "run", **QUICK)
    assert run.config.data.binarise == "dynamic"
    assert run.config.training.steps == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"latent_dims": 3}, "there is no key latent_dims; did you mean latent_dim?"),
        ({"model": "vea"}, "did you mean vae?"),
        ({"preset": "mnist-plain"}, "did you mean mnist-plane?"),
    ],
)
def test_wrong_words_name_the_nearest(words, sentence, tmp_path):
    with pytest.raises(UsageError) as refused:
        zatlas.train("digits", out=tmp_path / "run", **words)
    assert sentence in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("shape", "words", "network"),
    [
        ((16, 16, 3), {}, "conv"),
        ((16, 16), {}, "mlp"),
        ((4, 4, 3), {}, "mlp"),
        ((16, 16, 3), {"model": "ladder", "latent_dim": 2}, "mlp"),
        ((16, 16, 3), {"network": "mlp"}, "mlp"),
    ],
    ids=["colour", "grey", "too small to convolve", "a ladder has no conv", "asked for"],
)
def test_colour_images_are_convolved(tmp_path, shape, words, network):
    x = np.random.default_rng(0).integers(0, 256, (60, *shape), dtype=np.uint8)
    run = zatlas.train(x, out=tmp_path / "run", steps=1, batch_size=8, size="xs", verbose=False, **words)
    assert run.config.network.kind == network
