"""Modules, objects and classes of a person's own make runs like any other."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, StudentT

import zatlas
from zatlas.errors import UsageError, ZatlasError
from zatlas.objectives import Objective, distortion, rate
from zatlas.runs.training import resume
from zatlas.types import Terms

QUICK = {"steps": 6, "validations": 2, "threads": 1, "precision": "fp32", "batch_size": 16, "verbose": False}
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (60, 6, 6), dtype=np.uint8)


def encoder(*more):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), *more, nn.Linear(12, 6))


def decoder(*more):
    return nn.Sequential(nn.Linear(3, 12), nn.ReLU(), nn.Linear(12, 36), *more)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean, self.log_variance = nn.Linear(36, 3), nn.Linear(36, 3)

    def forward(self, x):
        x = x.flatten(1)
        return self.mean(x), self.log_variance(x)


class Labelled(nn.Module):
    """An encoder that is given y."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(36 + 2, 6)

    def forward(self, x, y):
        return self.net(torch.cat([x.flatten(1), y], 1))


class LabelledDecoder(Labelled):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3 + 2, 36)


class Floor(Objective):
    """Charges the rate beyond a floor."""

    def __init__(self, floor: float = 0.5) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, player, model, batch, step):
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        return Terms(d + (r - self.floor).clamp_min(0), {"distortion": d, "rate": r})


class Student(nn.Module):
    """A prior with wide tails."""

    def __init__(self, context, freedom: float = 5.0) -> None:
        super().__init__()
        self.freedom = nn.Parameter(torch.tensor(freedom))
        self.register_buffer("zeros", torch.zeros(context.latent_dim), persistent=False)

    def forward(self, y=None):
        return Independent(StudentT(self.freedom, self.zeros, 1 + self.zeros, validate_args=False), 1)


@pytest.mark.slow
def test_plain_modules_make_a_run_that_holds_no_code(tmp_path):
    inward, outward = encoder(), decoder(nn.Sigmoid())
    run = zatlas.train(X, encoder=inward, decoder=outward, out=tmp_path / "run", **QUICK)
    assert (run.config.model.kind, run.latent_dim, run.config.network.kind) == ("vae", 3, "exported")
    assert "parts" not in run.folder.record
    z = RNG.normal(size=(4, 3)).astype(np.float32)
    opened = zatlas.open(tmp_path / "run")  # no trust, no modules
    np.testing.assert_array_equal(opened.decode(z).mean, run.decode(z).mean)


@pytest.mark.slow
def test_training_starts_from_the_weights_of_the_modules(tmp_path):
    inward, outward = encoder(), decoder()
    before = copy.deepcopy(outward)
    still = {**QUICK, "steps": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
    run = zatlas.train(X, encoder=inward, decoder=outward, out=tmp_path / "run", **still)
    z = torch.randn(5, 3)
    np.testing.assert_allclose(run.decode(z.numpy()).mean.reshape(5, 36), before(z).sigmoid().detach(), atol=1e-6)
    assert all(torch.equal(p, q) for p, q in zip(outward.parameters(), before.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("inward", "outward", "words", "kind", "units"),
    [
        (TwoHeads(), decoder(), {}, "vae", 3),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), decoder(), {}, "ae", 3),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 6)), decoder(), {"latent_dim": 3}, "vae", 3),
    ],
)
def test_the_kind_and_the_size_follow_from_what_the_modules_say(inward, outward, words, kind, units, tmp_path):
    run = zatlas.train(X, encoder=inward, decoder=outward, out=tmp_path / "run", **QUICK, **words)
    assert (run.config.model.kind, run.latent_dim) == (kind, units)


@pytest.mark.slow
def test_layers_that_act_differently_in_training_keep_their_modules(tmp_path):
    pair = {"encoder": encoder(nn.Dropout(0.5)), "decoder": decoder()}
    run = zatlas.train(X, **pair, out=tmp_path / "run", **QUICK)
    assert run.config.network.kind == "modules"
    with pytest.raises(ZatlasError, match=r"does not hold its module .*zatlas\.open\(RUN, encoder=…, decoder=…\)"):
        zatlas.open(tmp_path / "run")
    opened = zatlas.open(tmp_path / "run", **pair)
    z = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(opened.decode(z).mean, run.decode(z).mean)


@pytest.mark.slow
def test_modules_that_take_labels_make_a_conditional_model(tmp_path):
    y = np.arange(60) % 2
    run = zatlas.train((X, y), model="cvae", encoder=Labelled(), decoder=LabelledDecoder(), out=tmp_path / "r", **QUICK)
    assert run.kind.conditional
    z = np.ones((2, 3), np.float32)
    drawn = run.decode(z, np.eye(2, dtype=np.float32)).mean
    assert not np.array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    "objective",
    [
        Floor,
        pytest.param(Floor(0.25), marks=pytest.mark.slow),
        pytest.param("tests.runs.test_own_parts:Floor", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_an_objective_of_ones_own_is_recorded_resumed_and_measured(objective, tmp_path):
    def train(steps, name):
        return zatlas.train(X, objective=objective, size="xs", out=tmp_path / name, **{**QUICK, "steps": steps})

    whole, part = train(6, "whole"), train(3, "part")
    kept = whole.folder.record["parts"][0]
    assert kept["place"] == "tests.runs.test_own_parts:Floor"
    assert len(kept["source_sha256"]) == 64
    assert whole.config.objective.floor == (0.25 if isinstance(objective, Floor) else 0.5)
    assert np.isfinite(whole.elbo(np.arange(10)).figures()["elbo"].value)
    resumed = resume(part.folder.path, changes={"steps": 6}, data=X)
    for one, other in zip(whole.game.parameters(), resumed.game.parameters(), strict=True):
        if resumed.config.training.schedule == "constant":
            assert torch.equal(one, other)
    assert resumed.step == 6


@pytest.mark.slow
def test_a_prior_of_ones_own(tmp_path):
    run = zatlas.train(X, prior=Student, freedom=4.0, latent_dim=2, size="xs", out=tmp_path / "run", **QUICK)
    assert run.config.prior.freedom == 4.0
    assert run.sample(3)[0].mean.shape == (3, 1, 6, 6)
    assert zatlas.open(tmp_path / "run").model.prior.freedom.item() == run.model.prior.freedom.item()


def test_the_data_are_handed_over_again(tmp_path):
    run = zatlas.train(X, size="xs", out=tmp_path / "run", **QUICK)
    opened = zatlas.open(tmp_path / "run")
    with pytest.raises(UsageError, match="was trained on arrays that it does not hold"):
        opened.held_out()
    again = zatlas.open(tmp_path / "run", data=X)
    np.testing.assert_array_equal(again.held_out()[1], run.held_out()[1])
    with pytest.raises(ZatlasError, match="fingerprints differ"):
        resume(tmp_path / "run", data=X[::-1].copy(), changes={"steps": 7})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"encoder": encoder()}, "encoder and decoder go together"),
        ({"encoder": 3, "decoder": decoder()}, "encoder wants a torch.nn.Module, not int"),
        ({"encoder": nn.Linear(7, 6), "decoder": decoder()}, r"the encoder fails on \[3, 1, 6, 6\]"),
        ({"encoder": encoder(), "decoder": nn.Linear(5, 36)}, "the decoder takes neither the 3 nor the 6 numbers"),
        ({"encoder": encoder(), "decoder": decoder(), "latent_dim": 5}, "neither latent_dim = 5 .an ae. nor twice"),
        ({"objective": 3}, "objective cannot be 3: give a name, a class, a function or an object"),
        ({"objective": Floor, "flor": 3.0}, "there is no key flor; did you mean floor"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(words, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        zatlas.train(X, out=tmp_path / "run", **{**QUICK, **words})
    assert not (tmp_path / "run").exists()
