"""Every kind of model from the command line to its page, and as an estimator from fit to load."""

import json

import numpy as np
import pytest

import zatlas as toolkit
from tests import family
from tests.cli.test_words import one_sentence
from zatlas.estimators.kinds import KINDS as ESTIMATORS

TINY = ("--precision", "fp32", "--set", "training.threads=1", "--set", "training.validations=2")
MODEL = {
    "ladder": ("-z", 2, "--set", "model.levels=2"),
    "vqvae": ("-z", 3, "--set", "model.codebook_size=8", "--set", "model.code_dim=2"),
    "gan": ("-z", 4, "--objective", "gan"),
    "cgan": ("-z", 4),
}
UNITS = {"ladder": 4, "vqvae": 6, "gan": 4, "cgan": 4}


@pytest.fixture
def run(zatlas, tmp_path, monkeypatch):
    """Trains a kind for a few steps and gives a caller of commands on that run, which must succeed or say why not."""
    monkeypatch.chdir(tmp_path)

    def train(kind, *words):
        tiny = () if family.MODELS[kind].closed else ("--size", "xs")
        answer = zatlas(
            "train", "digits", "--model", kind, "--steps", 6, "--out", "run", "--json", *TINY, *tiny, *words
        )
        assert answer.status == 0, answer.err
        return json.loads(answer.out)

    def call(command, *words, status=0):
        answer = zatlas(*command.split(), "run", *words, *(["--json"] if status == 0 else []))
        if status:
            return one_sentence(answer, status)
        assert answer.status == 0, answer.err
        assert "Traceback" not in answer.err
        return json.loads(answer.out)

    return train, call


def arrays(answer):
    with np.load(next(path for path in answer["files"] if path.endswith(".npz"))) as archive:
        return dict(archive)


def page(answer):
    with open(answer["report"], encoding="utf-8") as file:
        return file.read()


@pytest.mark.slow
@pytest.mark.parametrize("kind", family.MODELS)
def test_a_kind_from_training_to_its_page(kind, run):
    about, units = family.MODELS[kind], UNITS.get(kind, 2)
    train, call = run
    trained = train(kind, *MODEL.get(kind, ()))
    assert trained["steps"] == (0 if about.closed else 6)
    assert np.isfinite(list(trained["test"].values())).all()

    figures = call("evaluate")["figures"]
    assert ("elbo" in figures) == about.infers
    assert all(np.isfinite(figure["value"]) for figure in figures.values())

    first = page(call("report"))
    assert about.title in first
    assert ("New examples: a code from the prior" in first) != about.point
    assert ("V(D,G)" in first and "log 4" in first) == (kind in ("gan", "cgan"))
    assert ("Reconstructions" in first) == about.infers

    new = arrays(call("sample", "-n", 5))
    assert new["mean"].shape == new["draw"].shape == (5, 1, 8, 8)
    assert new["z"].shape == (5, units)
    assert np.isfinite(new["mean"]).all()
    again = arrays(call("decode", "run/pictures/sample.npz"))
    np.testing.assert_allclose(again["mean"], new["mean"], atol=1e-6)

    if about.infers:
        codes = arrays(call("encode", "--split", "test"))
        assert codes["mean"].shape == codes["std"].shape == (180, units)
        assert arrays(call("reconstruct", "-n", 3))["reconstruction"].shape == (3, 1, 8, 8)
        if about.axes:
            assert call("prior", "--components", 2)["kind"] == "mixture"
            assert arrays(call("sample", "-n", 5, "--prior", "mixture"))["z"].shape == (5, units)
            plane = (10, 3, 3, 1, 8, 8) if about.conditional else (3, 3, 1, 8, 8)
            assert arrays(call("manifold", "-n", 3))["mean"].shape == plane
            assert arrays(call("traverse", "--steps", 3))["mean"].shape == (units, 3, 1, 8, 8)
        else:
            for command in ("traverse", "manifold"):
                assert "words of a codebook" in call(command, status=2)
            assert "have a prior of their own" in call("prior", status=2)
        if about.point:
            assert "New examples: a code from the prior" in page(call("report"))
    else:
        for command in ("encode", "reconstruct", "prior"):
            assert "Choose a model with an encoder, such as a vae" in call(command, status=2)
        assert arrays(call("traverse", "--steps", 3))["mean"].shape == (units, 3, 1, 8, 8)
        assert "Choose a model with an encoder" in call("sample", "--prior", "mixture", status=2)
    if about.axes:
        label = ("--label", "3") if about.conditional else ()
        assert arrays(call("manifold", "-n", 3, "--units", "1,2", *label))["mean"].shape == (3, 3, 1, 8, 8)

    labelled = arrays(call("sample", "-n", 5, "--label", "3")) if about.conditional else None
    if labelled:
        assert (labelled["y"].argmax(1) == 3).all()
    else:
        assert "takes no label" in call("sample", "--label", "3", status=2)

    more = call("train --resume", "--steps", 9)
    assert more["steps"] == (0 if about.closed else 9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [name for name in family.OBJECTIVES if name not in ("elbo", "vq", "gan", "exact")]
)
def test_an_objective_from_training_to_its_figures(objective, run):
    kind = "gan" if objective in family.ADVERSARIAL else "vae"
    wanted = ("--set", "objective.target_nats=20") if objective == "constrained" else ()
    train, call = run
    assert train(kind, "--objective", objective, *wanted)["steps"] == 6
    assert call("evaluate")["figures"]
    assert call("train --resume", "--steps", 9)["steps"] == 9


PARAMETERS = {
    "ladder": {"latent_dim": 2, "levels": 2},
    "vqvae": {"latent_dim": 3, "codebook_size": 8, "code_dim": 2},
    "gan": {"latent_dim": 4},
    "cgan": {"latent_dim": 4, "objective": "gan"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", family.MODELS)
def test_an_estimator_from_fit_to_load(kind, tmp_path):
    from sklearn.datasets import load_digits

    about, units = family.MODELS[kind], UNITS.get(kind, 2)
    x, y = load_digits(return_X_y=True)
    x, y = x[:150].reshape(-1, 8, 8).astype(np.uint8) * 15, y[:150]
    trained = {} if about.closed else {"steps": 6, "size": "xs", "batch_size": 32}
    fitted = ESTIMATORS[kind](**trained, **PARAMETERS.get(kind, {}), device="cpu").fit(x, y)
    fitted.save(tmp_path / "run")
    loaded = toolkit.load(tmp_path / "run", device="cpu")
    assert type(loaded) is type(fitted)
    assert loaded.get_params() == fitted.get_params()
    asked = [("inverse_transform", np.zeros((4, units), np.float32), y[:4])]
    if about.infers:
        asked += [(name, x, y) for name in ("transform", "reconstruct", "score_samples")]
        assert fitted.transform(x, y).shape == (150, units)
        assert np.isfinite(fitted.score_samples(x, y)).all()
    else:
        assert not any(hasattr(fitted, name) for name in ("transform", "reconstruct", "score_samples", "score"))
    for name, *given in asked:
        np.testing.assert_array_equal(getattr(loaded, name)(*given), getattr(fitted, name)(*given))
    if about.point:
        with pytest.raises(toolkit.UsageError, match="no distribution over codes"):
            fitted.sample(3)
    else:
        labels = y[:3] if about.conditional else None
        assert fitted.sample(3, labels).shape == (3, 8, 8)
        for draws in (False, True):
            ours, theirs = (e.sample(3, labels, random_state=1, draws=draws) for e in (loaded, fitted))
            np.testing.assert_array_equal(ours, theirs)
