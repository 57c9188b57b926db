"""Estimators are runs: saved, read by the other rooms, and loaded to give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import zatlas
from zatlas import VAE, ConditionalVAE, UsageError
from zatlas.measure import evaluate_run
from zatlas.runs.opened import Run
from zatlas.walks import manifold, traverse

from .conftest import KINDS, TINY


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "extra",
    [{}, pytest.param({"patience": 2, "steps": 30, "settings": {"training.ema": 0.9}}, marks=pytest.mark.slow)],
)
def test_loaded_equals_saved(kind, extra, digits, tmp_path):
    x, y = digits
    names = np.array([f"class {c}" for c in y], dtype=object)
    saved = kind(**{**TINY, **extra}, device="cpu").fit(x, names)
    assert saved.save(tmp_path / "run") == tmp_path / "run"
    loaded = zatlas.load(tmp_path / "run")
    assert type(loaded) is kind
    assert loaded.get_params() == saved.get_params()
    for ask in ("transform", "score_samples", "reconstruct"):
        np.testing.assert_array_equal(getattr(loaded, ask)(x), getattr(saved, ask)(x))
        np.testing.assert_array_equal(getattr(loaded, ask)(x, names), getattr(saved, ask)(x, names))
    for name in ("history_", "loss_", "n_steps_", "train_seconds_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(saved, name)
    if kind is ConditionalVAE:
        assert loaded.classes_.dtype == object
        np.testing.assert_array_equal(loaded.classes_, saved.classes_)
    saved.partial_fit(x, names)
    loaded.partial_fit(x, names)
    np.testing.assert_array_equal(loaded.transform(x), saved.transform(x))
    loaded.save(tmp_path / "again")


def test_feature_names_are_kept(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["age", "mass"])
    VAE(**TINY).fit(table).save(tmp_path / "run")
    loaded = zatlas.load(tmp_path / "run")
    assert loaded.feature_names_in_.tolist() == ["age", "mass"]
    assert loaded.transform(table).shape == (50, 2)


def test_other_rooms_read_it(digits, tmp_path):
    x, y = digits
    cvae = ConditionalVAE(**TINY, latent_dim=3, device="cpu").fit(x[:400], y[:400])
    folder = cvae.save(tmp_path / "run")
    opened = Run(folder, device="cpu")
    pictures, columns = opened.sample(12, seed=0)
    np.testing.assert_allclose(pictures.mean[:, 0] * 255, cvae.sample(12, random_state=0), rtol=1e-5)
    assert columns.argmax(1).tolist() == [*range(10), 0, 1]
    assert manifold(opened, n=3, label="3")["mean"].shape == (3, 3, 1, 8, 8)
    assert len(traverse(opened)["rates"]) == 3
    with pytest.raises(UsageError, match="give --data"):
        opened.elbo(np.arange(3))
    np.savez(tmp_path / "held_out.npz", images=x[400:], labels=y[400:])
    record = evaluate_run(Run(folder, device="cpu", data=str(tmp_path / "held_out.npz")), "all")
    error = record["figures"]["elbo"]["standard_error"]
    assert record["figures"]["elbo"]["value"] == pytest.approx(cvae.score(x[400:], y[400:]), abs=3 * error)
    assert record["data_kind"] == "grey"


@pytest.mark.slow
def test_a_run_of_the_command_line_is_loaded(digits_run):
    x, y = load_digits(return_X_y=True)
    images = np.round(x.reshape(-1, 8, 8) * 255 / 16)
    estimator = zatlas.load(digits_run, device="cpu")
    opened = Run(digits_run, device="cpu")
    assert isinstance(estimator, ConditionalVAE)
    assert estimator.classes_.tolist() == list(range(10))
    assert estimator.get_params()["steps"] == 200
    assert estimator.get_params()["settings"]["training.validations"] == 4
    rows = np.arange(50)
    np.testing.assert_allclose(estimator.transform(images[:50], y[:50]), opened.encode(rows).mean, atol=1e-3)
    assert estimator.sample(4, y=7).shape == (4, 8, 8)
    assert estimator.score(images, y) > -30


def test_refuses_a_folder_in_use_and_odd_classes(vae, digits, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").touch()
    with pytest.raises(UsageError, match="not empty"):
        vae.save(tmp_path / "run")
    with pytest.raises(UsageError, match="is no run"):
        zatlas.load(tmp_path / "nothing")
    pairs = np.empty(500, object)
    pairs[:] = [(c % 2, "x") for c in digits[1]]
    odd = ConditionalVAE(**TINY).fit(digits[0], pairs)
    assert odd.classes_.tolist() == [(0, "x"), (1, "x")]
    with pytest.raises(UsageError, match="can be saved"):
        odd.save(tmp_path / "odd")
    assert not (tmp_path / "odd").exists()
