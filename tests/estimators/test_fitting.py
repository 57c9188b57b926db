"""Training: one path with the command line, deterministic, no trace in global random states; parameters; bad input."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from zatlas import VAE, AutoEncoder, ConditionalVAE, UsageError, load
from zatlas.config import make_config
from zatlas.estimators import fitting
from zatlas.runs.training import train

from .conftest import TINY


def weights(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.model_.parameters()])


@pytest.mark.slow
def test_equals_the_command_line_bit_for_bit(digits, tmp_path):
    np.savez(tmp_path / "x.npz", images=digits[0])
    values = {
        "data": {"source": str(tmp_path / "x.npz"), "validation": 0.1, "test": 0},
        "model": {"size": "xs"},
        "training": {"steps": 20, "batch_size": 64, "seed": 3, "precision": "fp32"},
    }
    run = train(make_config(("test", values)), out=tmp_path / "run")
    vae = VAE(**TINY, random_state=3, validation=0.1, device="cpu").fit(digits[0])
    assert torch.equal(torch.cat([p.detach().flatten().cpu() for p in run.model.parameters()]), weights(vae))
    assert vae.loss_ == pytest.approx(run.folder.record["result"]["loss"], rel=1e-6)
    assert [line["step"] for line in vae.history_] == [line["step"] for line in run.folder.metrics()]


@pytest.mark.parametrize(
    "kind", [AutoEncoder, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (VAE, ConditionalVAE))]
)
def test_same_seed_same_result_and_global_states_untouched(kind, digits):
    x, y = digits
    np.random.seed(1)  # noqa: NPY002 (the global state is what is watched)
    torch.manual_seed(1)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    estimator = kind(**TINY, random_state=5)
    first = weights(estimator.fit(x, y)).clone()
    second = weights(estimator.fit(x, y))
    other = weights(kind(**TINY, random_state=6).fit(x, y))
    kind(**TINY, random_state=None).fit(x, y).partial_fit(x, y)
    estimator.transform(x[:9])
    estimator.score_samples(x[:9], y[:9])
    if kind is not AutoEncoder:
        estimator.sample(3, random_state=7)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_random_state_may_be_a_generator_of_the_old_kind(digits):
    one = VAE(**TINY, random_state=np.random.RandomState(0)).fit(digits[0])
    two = VAE(**TINY, random_state=np.random.RandomState(0)).fit(digits[0])
    assert torch.equal(weights(one), weights(two))


def test_partial_fit_goes_on(digits):
    x = digits[0]
    ae = AutoEncoder(size="xs", batch_size=100)
    scores = [ae.partial_fit(x[:400]).score(x[400:]) for _ in range(8)]
    assert scores[-1] > scores[0] + 1
    assert ae.n_steps_ == 32
    assert ae.config_.training.schedule == "constant"
    assert {line["learning_rate"] for line in ae.history_} == {ae.config_.training.learning_rate}
    assert [line["step"] for line in ae.history_] == sorted(line["step"] for line in ae.history_)


def test_partial_fit_keeps_optimiser_and_standardisation(digits):
    x = digits[0][:200].astype(np.float32) * 10  # real values
    vae = VAE(size="xs", batch_size=100).partial_fit(x)
    shift = vae.model_.encoder.standardise.shift.clone()
    moments = {n: t for n, t in vae._last.tensors.items() if n.endswith("exp_avg")}
    vae.partial_fit(x[:1] + 1000)
    assert torch.equal(vae.model_.encoder.standardise.shift, shift)
    step = next(t for n, t in vae._last.tensors.items() if n.endswith(".step"))
    assert float(step) == 3
    assert all(not torch.equal(vae._last.tensors[n], t) for n, t in moments.items())


def test_partial_fit_of_classes_to_come(digits):
    x, y = digits
    zeros_and_ones = y < 2
    cvae = ConditionalVAE(**TINY).partial_fit(x[zeros_and_ones], y[zeros_and_ones], classes=range(10))
    cvae.partial_fit(x[y == 9], y[y == 9])
    assert cvae.classes_.tolist() == list(range(10))
    assert cvae.sample(10).shape == (10, 8, 8)


def test_patience_keeps_the_best(digits):
    vae = VAE(size="xs", steps=200, patience=2, learning_rate=0.03).fit(digits[0][:150])
    validations = [line["loss"] for line in vae.history_ if line["split"] == "validation"]
    assert vae.config_.data.validation == 0.1
    assert min(validations) < validations[-1]
    assert vae.loss_ == pytest.approx(min(validations), rel=1e-6)


def test_settings_reach_the_configuration(digits):
    settings = {"training.optimizer": "adam", "training.ema": 0.5, "objective.beta_warmup_steps": 5}
    vae = VAE(**TINY, settings=settings).fit(digits[0])
    assert vae.config_.training.optimizer == "adam"
    assert any(name.startswith("average.") for name in vae._last.tensors)


def test_verbose_speaks_on_stderr(digits, capsys):
    VAE(**TINY, verbose=True).fit(digits[0])
    assert capsys.readouterr().err.count("loss") == 10


def test_an_interrupted_fit_is_fitted_so_far(digits, monkeypatch):
    def stepped(self, trainer):
        if trainer.state.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fitting._Memory, "stepped", stepped)
    vae = VAE(size="xs", seconds=60)
    with pytest.raises(KeyboardInterrupt):
        vae.fit(digits[0])
    assert vae.transform(digits[0]).shape == (500, 2)
    assert 5 <= vae.n_steps_ < 20


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"latent_dim": 0}, "VAE: model.latent_dim"),
        ({"latent_dim": 2.5}, "VAE: model.latent_dim"),
        ({"beta": -1.0}, "VAE: objective.beta"),
        ({"likelihood": "poisson"}, "VAE: likelihood.kind"),
        ({"network": "transformer"}, "VAE: network.kind"),
        ({"batch_size": 0}, "VAE: training.batch_size"),
        ({"validation": 1000}, "leaves none"),
        ({"patience": 2, "validation": 0}, "validation"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"random_state": "x"}, "random_state"),
        ({"settings": {"training.optimiser": "adam"}}, "did you mean training.optimizer"),
        ({"settings": {"objective.beta": 2}}, "objective.beta is a parameter of its own"),
        ({"settings": {"data.source": "mnist"}}, "data.source cannot be set here"),
        ({"settings": {"ema": 0.5}}, "ema is no section.key"),
        ({"settings": "ema"}, "settings wants"),
    ],
)
def test_bad_parameters_are_named_in_fit(parameters, words, digits):
    with pytest.raises(UsageError, match=words) as caught:
        VAE(**{"steps": 2, **parameters}).fit(digits[0])
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.array([[0.0, np.nan], [1, 2]]), "contains NaN"),
        (np.array([[0.0, np.inf], [1, 2]]), "contains infinity"),
        (np.array([[0.0, 1e300], [1, 2]]), "not a finite 32-bit number"),
        (np.ones((1, 3)), "1 sample"),
        (np.ones((0, 3)), "0 sample"),
        (np.ones((5, 0)), "0 feature"),
        (np.ones(5), "Expected 2D array, got 1D array"),
        (np.ones((5, 3)), "all 5 examples are the same"),
        (np.full((2, 8, 8), np.nan), "contains NaN"),
        (np.arange(240.0).reshape(2, 2, 3, 4, 5), "neither images"),
        (np.array([["a", "b"], ["c", "d"]]), "not compatible with arrays of bytes/strings"),
    ],
)
def test_bad_x(x, words):
    with pytest.raises(ValueError, match=words):
        VAE(steps=2).fit(x)


def test_bad_y(digits):
    x, y = digits
    cvae = ConditionalVAE(**TINY)
    for bad, words in (
        (None, "requires y"),
        (y[:-1], "inconsistent numbers of samples"),
        (np.zeros(500, int), "only one class"),
        (np.array([None] * 250 + [1] * 250, object), "missing labels"),
        (np.where(y == 0, np.nan, y), "NaN"),
        (np.zeros((500, 2, 2)), "shape"),
        (np.array([1, "1"] * 250, object), "written alike"),
    ):
        with pytest.raises(ValueError, match=words):
            cvae.fit(x, bad)


def test_not_fitted_and_other_shapes(vae, digits, tmp_path):
    x = digits[0]
    for ask in (VAE().transform, VAE().inverse_transform, VAE().score, VAE().reconstruct):
        with pytest.raises(NotFittedError):
            ask(x[:, 0, :2])
    with pytest.raises(NotFittedError):
        VAE().save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"shape \[8, 7\], but VAE is expecting \[8, 8\]"):
        vae.transform(x[:, :, :7])
    with pytest.raises(ValueError, match="X has 60 features, but VAE is expecting 64 features"):
        vae.transform(x.reshape(500, -1)[:, :60])
    with pytest.raises(UsageError, match="values from 0 to 255"):
        vae.transform(x * 2.0)
    with pytest.raises(UsageError, match="3 columns, and this model has 4"):
        vae.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(UsageError, match="at least 1"):
        vae.sample(0)
    with pytest.raises(UsageError, match="no distribution over codes"):
        AutoEncoder(**TINY).fit(x).sample(2)


@pytest.mark.slow
def test_a_fitted_prior_is_told_labels_that_the_model_does_not_know(digits, tmp_path):
    x, y = digits[0], digits[1]
    words = np.array(["even", "odd"])[np.asarray(y) % 2]
    vae = VAE(**TINY).fit(x)
    with pytest.raises(UsageError, match="guidance is of a prior that knows labels"):
        vae.sample(2, guidance=2.0)
    vae.fit_prior(x, words, kind="flow-matching", steps=60, width=16, blocks=1, learning_rate=0.01)
    odd = vae.sample(3, y="odd", random_state=1)
    told = np.array([[0.0, 1.0]] * 3, np.float32)
    z = vae._trained.prior.sample(3, 1, y=told)
    np.testing.assert_allclose(odd, vae.inverse_transform(z), atol=1e-5)
    assert np.abs(odd - vae.sample(3, guidance=0.0, random_state=1)).max() > 0
    for guidance in (None, 1.0):
        each = vae.sample(2, guidance=guidance, random_state=1)
        np.testing.assert_array_equal(each, vae.sample(2, y=["even", "odd"], random_state=1))
    again = load(vae.save(tmp_path / "vae"))
    np.testing.assert_array_equal(again.sample(3, y="odd", random_state=1), odd)
    with pytest.raises(UsageError, match="there is no class 'even_'"):
        vae.sample(3, y="even_")


@pytest.mark.slow
def test_an_autoencoder_samples_once_a_prior_is_fitted(digits, tmp_path):
    x = digits[0]
    ae = AutoEncoder(latent_dim=4, size="xs", steps=50).fit(x)
    with pytest.raises(UsageError, match="no distribution over codes"):
        ae.sample(3)
    made = ae.fit_prior(x).sample(200, random_state=1)
    assert made.shape == (200, *x.shape[1:])
    near = ae.transform(made)
    assert abs(near.mean(0) - ae.transform(x).mean(0)).max() < ae.transform(x).std(0).max()
    again = load(ae.save(tmp_path / "ae"))
    np.testing.assert_array_equal(again.sample(200, random_state=1), made)
    with pytest.raises(UsageError, match="there is no ex-post prior 'mixtur'"):
        ae.fit_prior(x, kind="mixtur")
