"""Priors of a run by flow matching: from the command line and Python, of whose codes they are, and what they draw."""

import json
import shutil

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import zatlas as toolkit
from tests.cli.conftest import zatlas  # noqa: F401 (a fixture)
from tests.short import few_measured
from zatlas.errors import UsageError, ZatlasError
from zatlas.export import parts_of
from zatlas.measure import Options, evaluate_run
from zatlas.measure.words import lines
from zatlas.runs.opened import Run

QUICK = {"steps": 8, "width": 16, "blocks": 1}


def trained(folder, **words):
    words = {"latent_dim": 3, "steps": 3, "validations": 1, **words}
    return toolkit.train("digits", size="xs", out=folder, verbose=False, **{k: v for k, v in words.items() if v})


@pytest.fixture(scope="module", autouse=True)
def _few_measured():
    with few_measured(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("zatlas.latent.aggregate.COMPONENTS", (1, 2))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A VAE on the digits with a prior that knows their classes, both of a few steps."""
    run = trained(tmp_path_factory.mktemp("runs") / "vae")
    run.fit_prior("flow-matching", **QUICK)
    return run.folder.path


@pytest.fixture
def run(folder):
    return Run(folder, device="cpu")


def test_it_is_kept_and_told_labels(run):
    assert "flow-matching" in run.priors  # beside what other tests fitted
    assert not [path for path in (run.folder.path / "priors").iterdir() if path.name.startswith(".")]
    pictures, y = run.sample(4, prior="flow-matching", label="3", seed=2)
    assert y.argmax(1).tolist() == [3, 3, 3, 3]
    prior = run.ex_post_prior("flow-matching")
    np.testing.assert_array_equal(pictures.z, prior.sample(4, 2, y=y))
    free, none = run.sample(4, prior="flow-matching", guidance=0.0, seed=2)
    assert none is None
    np.testing.assert_array_equal(free.z, prior.sample(4, 2))
    assert np.abs(free.z - pictures.z).max() > 0
    for guidance in (None, 2.0):
        _, each = run.sample(12, prior="flow-matching", guidance=guidance)
        assert each.argmax(1).tolist() == [*range(10), 0, 1]
    given = run.sample(12, prior="flow-matching", seed=2)[0]
    np.testing.assert_array_equal(given.z, prior.sample(12, 2, y=each))


@pytest.mark.slow
def test_a_conditional_model_and_its_prior_are_given_the_same_label(tmp_path):
    run = trained(tmp_path / "cvae", model="cvae")
    prior = run.fit_prior("flow-matching", **QUICK)
    pictures, y = run.sample(3, prior="flow-matching", label="7")
    np.testing.assert_array_equal(pictures.z, prior.sample(3, y=y))
    np.testing.assert_array_equal(pictures.mean, run.decode(pictures.z, y).mean)


@pytest.mark.slow
def test_an_autoencoder_samples_from_what_was_fitted(tmp_path):
    run = trained(tmp_path / "ae", model="ae", network="spatial", latent_dim=None)
    run.fit_prior("flow-matching", **QUICK)
    np.testing.assert_array_equal(run.sample(2)[0].z, run.sample(2, prior="flow-matching")[0].z)
    assert run.shaped(run.sample(2)[0].z).shape == (2, *run.code_shape)


@pytest.mark.slow
def test_the_prior_of_other_codes_is_refused(folder, tmp_path):
    file = next((folder / "priors").iterdir())
    for latent_dim, says in ((4, "is over 3 units and the codes of this model have 4"), (3, "of other weights")):
        other = trained(tmp_path / str(latent_dim), latent_dim=latent_dim, seed=7)
        (other.folder.path / "priors").mkdir()
        shutil.copy(file, other.folder.path / "priors")
        with pytest.raises(ZatlasError, match=f"{says}.*: it belongs to another run"):
            other.sample(2, prior="flow-matching")


@pytest.mark.slow
def test_words_that_go_with_nothing_are_refused(run, tmp_path):
    with pytest.raises(UsageError, match="guidance would be of an ex-post prior, and none is named"):
        run.sample(2, guidance=2.0)
    with pytest.raises(UsageError, match="there is no class '12'"):
        run.sample(2, prior="flow-matching", label="12")
    with pytest.raises(UsageError, match="takes no label: train --model cvae, or fit a prior that knows them"):
        run.sample(2, label="3")
    words = trained(tmp_path / "vq", model="vqvae", latent_dim=4)
    with pytest.raises(UsageError, match="are words of a codebook and have a prior of their own"):
        words.fit_prior("flow-matching", steps=3)
    game = trained(tmp_path / "gan", model="gan")
    with pytest.raises(UsageError, match="which cannot say which code made an example"):
        game.fit_prior("flow-matching", steps=3)


@pytest.mark.slow
def test_from_the_command_line(zatlas, folder, tmp_path):  # noqa: F811
    shutil.copytree(folder, tmp_path / "run")
    told = json.loads(zatlas("prior", tmp_path / "run", "--kind", "flow-matching", "--steps", 2, "--json").out)
    assert told["steps"] == 2
    assert {"held_out_nats", "held_out_error_nats", "trace_error_nats", "step_nats"} <= told.keys()
    assert {"standard_normal_nats", "gaussian_nats", "mixture_nats"} <= told.keys()
    words = ("sample", tmp_path / "run", "--prior", "flow-matching", "-n", 4, "--out", tmp_path / "s")
    assert zatlas(*words, "--label", 3, "--guidance", 2, "--steps", 3).status == 0
    with np.load(tmp_path / "s.npz") as drawn:
        assert drawn["y"].argmax(1).tolist() == [3] * 4
        assert drawn["z"].shape == (4, 3)
    for refused, says in (
        (("prior", folder, "--kind", "flow-matching", "--seconds", -3), "seconds = -3 cannot be"),
        (("prior", folder, "--kind", "flow", "--steps", 3), "and a flow has none"),
        (("sample", folder, "--prior", "mixture", "--guidance", 2), "a mixture takes no guidance"),
        (("evaluate", folder, "--guidance", 2), "add --prior flow-matching"),
        (("evaluate", folder, "--prior", "flow-matching"), "--prior is for metrics that look at new examples"),
    ):
        answer = zatlas(*refused)
        assert (answer.status, says in answer.err) == (2, True), answer.err


@pytest.mark.slow
def test_samples_of_a_prior_are_measured_beside_those_of_the_model(run, monkeypatch):
    monkeypatch.setattr("zatlas.measure.samples.feature_classifier", lambda *given: None)
    own = evaluate_run(run, metrics=["samples"], options=Options(rows=200))["figures"]
    options = Options(rows=200, prior="flow-matching", guidance=1.5)
    both = evaluate_run(run, metrics=["samples"], options=options)
    for name, figure in own.items():
        assert both["figures"][name] == figure
    name = "samples of flow-matching, guidance 1.5"
    assert both["figures"][f"{name}.frechet_distance"] != own["samples.frechet_distance"]
    assert {line.metric for line in lines(both)} == {"samples", name}


def test_it_leaves_as_a_graph_would(run):
    draw = {part.name: part for part in parts_of(run).parts}["prior"]
    assert draw.module is not None
    ae = run.ex_post_prior("flow-matching")
    from zatlas.export.drawing import fitted_draw  # of an autoencoder's run it is the prior that leaves

    noise = draw.examples[0]
    made = fitted_draw(ae).module(noise)
    wanted = ae.white.colour(ae.density.solved(noise).double().numpy())
    np.testing.assert_allclose(made.detach(), wanted, atol=1e-5)


@pytest.mark.slow
def test_draws_for_a_class_are_of_that_class(tmp_path):
    run = trained(tmp_path / "vae", latent_dim=8, steps=800)
    run.fit_prior("flow-matching", steps=400, width=64, blocks=2, learning_rate=5e-3)
    x, y = load_digits(return_X_y=True)
    judge = LogisticRegression(max_iter=300).fit(x / 16, y)
    shares = {}
    for guidance in (1.0, 2.0):
        drawn, asked = run.sample(300, prior="flow-matching", guidance=guidance)
        shares[guidance] = (judge.predict(drawn.mean.reshape(300, -1)) == asked.argmax(1)).mean()
    assert shares[1.0] > 0.6  # of draws from the posteriors it is 0.85
    assert shares[2.0] > 0.93
