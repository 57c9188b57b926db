"""Priors by flow matching: fitted, stopped and gone on with, told labels, kept."""

import math
import signal

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from tests.latent.test_probability_flow import correlated
from tests.short import few_measured
from zatlas.errors import UsageError, ZatlasError
from zatlas.latent import Codes, ExPostPrior, Place, fit_ex_post, fit_flow_matching, matched_flow, matching
from zatlas.latent.code_batches import CodeBatches
from zatlas.latent.frames import Scaled
from zatlas.latent.matching import Training
from zatlas.networks.velocity import velocity
from zatlas.objectives.flow_matching import FlowMatching
from zatlas.training import Budget, Ensemble, Game, Optimisation, Schedule, Trainer, Watcher

QUICK = {"width": 32, "blocks": 2, "learning_rate": 3e-3}
MAP = (2, 3, 3)


def codes_of(mean, covariance, n=3000, spread=0.3):
    """Posteriors whose aggregate is that Gaussian."""
    rng = np.random.default_rng(0)
    std = np.full((n, len(mean)), spread, np.float32)
    z = rng.multivariate_normal(mean, covariance - spread**2 * np.eye(len(mean)), n)
    return Codes(z.astype(np.float32), std, None)


def labelled(n=600, dim=3, classes=3):
    """Codes of classes that lie apart, one-hot labels."""
    rng = np.random.default_rng(1)
    number = rng.integers(0, classes, n)
    centres = 4 * np.eye(classes, dim)
    mean = centres[number] + 0.3 * rng.normal(size=(n, dim))
    return Codes(mean.astype(np.float32), np.full((n, dim), 0.1, np.float32), np.eye(classes, dtype=np.float32)[number])


def few(shape=(3,), n=150):
    rng = np.random.default_rng(2)
    mean = rng.normal(size=(n, math.prod(shape))).astype(np.float32)
    return Codes(mean, np.full_like(mean, 0.2), None)


@pytest.fixture(scope="module", autouse=True)
def _few_measured():
    with few_measured(MIXTURE_UP_TO=0):
        yield


@pytest.fixture(scope="module")
def gaussian():
    """A prior fitted to codes of a known Gaussian in two units."""
    mean, covariance = correlated(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "MEASURED", (100, 100))
        patch.setattr(matched_flow, "DENSITY_STEPS", 16)
        return mean, covariance, fit_flow_matching(codes_of(mean, covariance), training=Training(steps=350, **QUICK))


@pytest.mark.slow
def test_a_fit_finds_a_known_gaussian(gaussian):
    mean, covariance, prior = gaussian
    z = np.random.default_rng(5).multivariate_normal(mean, covariance, 500).astype(np.float32)
    truth = multivariate_normal(mean, covariance)
    found = prior.log_density(z, steps=20)
    assert truth.logpdf(z).mean() - found.nats.mean() == pytest.approx(0.01, abs=0.04)
    np.testing.assert_array_equal(found.nats, prior.log_prob(z, steps=20))
    assert found.step_nats.mean() < 0.02
    f = prior.facts
    expected = -truth.entropy()
    assert abs(f["held_out_nats"] - expected) < 4 * f["held_out_error_nats"]
    assert f["held_out_nats"] == pytest.approx(f["gaussian_nats"], abs=0.05)
    assert f["held_out_nats"] > f["standard_normal_nats"] + 0.1
    assert prior.describe().startswith("flow matching, held-out ")
    draws = prior.sample(4000, seed=1)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.1)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.2)


@pytest.mark.slow
def test_the_density_of_a_fit_integrates_to_one(gaussian):
    mean, _, prior = gaussian
    ticks = np.linspace(-6, 6, 41)
    plane = np.stack(np.meshgrid(mean[0] + ticks, mean[1] + ticks), -1).reshape(-1, 2)
    density = np.exp(prior.log_prob(plane, steps=6))
    assert density.sum() * (ticks[1] - ticks[0]) ** 2 == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_draws_from_the_posterior_are_fitted_and_not_its_means():
    codes = Codes(np.zeros((500, 2), np.float32) + 3, np.tile(np.float32([0.1, 2.0]), (500, 1)), None)
    prior = fit_flow_matching(codes, training=Training(steps=30, **QUICK))
    np.testing.assert_allclose(prior.sample(4000).std(0), [0.1, 2.0], rtol=0.1)


def test_every_step_sees_fresh_draws_of_every_row():
    mean, std = np.arange(10, dtype=np.float32)[:, None], np.full((10, 1), 0.01, np.float32)
    batches = CodeBatches(mean, std, None, batch_size=5, seed=0, device=torch.device("cpu"))
    first, second = (torch.cat([batch.x for batch in batches.epoch(number)]) for number in (0, 1))
    assert batches.steps_per_epoch == 2
    for seen in (first, second):
        assert sorted(seen.round().flatten().tolist()) == list(range(10))
    noise = [
        seen - seen.round() for seen in (first, second)
    ]  # of the same places of the batches, which hold other rows
    assert not torch.isclose(*noise, atol=1e-5).any()
    again = next(batches.epoch(1, start=1)).x
    assert torch.equal(again, second[5:])


def test_codes_are_scaled_by_unit_or_by_channel():
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=(4000, 12)) * 3 + np.arange(12), rng.uniform(0.5, 2, (4000, 12))
    drawn = mean + std * rng.standard_normal(mean.shape)
    rows, maps = Scaled.of(mean, std, (12,)), Scaled.of(mean, std, (3, 2, 2))
    np.testing.assert_allclose(rows.whiten(drawn).std(0), 1, atol=0.03)
    np.testing.assert_allclose(rows.whiten(drawn).mean(0), 0, atol=0.03)
    assert len(set(maps.widths)) == 3
    channel = maps.whiten(drawn).reshape(-1, 3, 4)
    np.testing.assert_allclose(channel.std((0, 2)), 1, atol=0.02)
    np.testing.assert_allclose(maps.colour(maps.whiten(drawn)), drawn, atol=1e-12)
    assert maps.log_determinant == pytest.approx(np.log(maps.widths).sum())


class Once(Watcher):
    """Does something after one step, the first time."""

    def __init__(self, at, what):
        self.at, self.what = at, what

    def stepped(self, trainer):
        if trainer.state.step == self.at:
            self.at = -1
            self.what()


def killed():
    raise RuntimeError("killed")


WAYS = {"killed": (killed, RuntimeError), "Ctrl-C": (lambda: signal.raise_signal(signal.SIGINT), KeyboardInterrupt)}


@pytest.mark.parametrize(
    ("shape", "way", "at"),
    [
        ((3,), "killed", 5),
        ((3,), "killed", 8),  # when nothing is left to do but to take the best weights
        ((3,), "Ctrl-C", 5),
        pytest.param(MAP, "killed", 5, marks=pytest.mark.slow),
    ],
)
def test_a_fit_that_was_stopped_ends_where_an_uninterrupted_one_ends(shape, way, at, tmp_path, monkeypatch):
    codes, training = few(shape), Training(steps=8, batch_size=32, **QUICK)
    whole = fit_flow_matching(codes, shape, training)
    stop, raised = WAYS[way]
    if way == "killed":
        monkeypatch.setattr(matching, "SAVED_EVERY_SECONDS", 0.0)
    said = []
    place = Place(folder=tmp_path / ".fit", say=said.append)
    with pytest.raises(raised):
        fit_flow_matching(codes, shape, training, place._replace(watchers=[Once(at, stop)]))
    again = fit_flow_matching(codes, shape, training, place)
    assert any(f"goes on from step {at}" in one for one in said)
    for name, values in whole.density.tensors().items():
        np.testing.assert_array_equal(again.density.tensors()[name], values, name)
    differ = {name for name in whole.facts if whole.facts[name] != again.facts[name]}
    assert differ <= {"train_seconds"}


@pytest.mark.slow
def test_other_words_or_other_codes_begin_anew(tmp_path):
    training = Training(steps=6, **QUICK)
    said = []
    place = Place(folder=tmp_path / ".fit", say=said.append)
    with pytest.raises(KeyboardInterrupt):
        fit_flow_matching(few(), None, training, place._replace(watchers=[Once(3, WAYS["Ctrl-C"][0])]))
    assert "Stopped at step 3, which is kept" in said[-1]
    other = fit_flow_matching(few(n=160), None, training, place)
    assert any("had other codes_sha256: this one begins anew" in one for one in said)
    np.testing.assert_array_equal(other.sample(3), fit_flow_matching(few(n=160), None, training).sample(3))
    file = next((tmp_path / ".fit").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-3])
    fit_flow_matching(few(), None, training, place)
    assert any("begins again: the checkpoint" in one for one in said)


@pytest.mark.parametrize("shape", [(3,), MAP, (2, 8, 5)])
def test_a_stacked_member_becomes_what_it_becomes_alone(shape):
    def made(seed):
        torch.manual_seed(seed)
        net = velocity(shape, label_dim=2, width=8, blocks=1)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return Game(net, FlowMatching())

    codes = few(shape, n=24)
    y = np.eye(2, dtype=np.float32)[np.arange(24) % 2]
    batches = CodeBatches(codes.mean, codes.std, y, batch_size=12, seed=0, device=torch.device("cpu"))

    def trained(game):
        options = {"optimisation": Optimisation("sgd", 0.05), "device": torch.device("cpu"), "clip_norm": 1.0}
        torch.manual_seed(3)
        Trainer(game, batches, budget=Budget(steps=5), schedule=Schedule("linear"), **options).fit()
        return game

    games = [made(0), made(1)]
    together = trained(Ensemble(games))
    for i, game in enumerate(games):
        for (name, ours), alone in zip(
            together.member(i).state_dict().items(), trained(game).state_dict().values(), strict=True
        ):
            torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.fixture(scope="module")
def of_classes():
    return fit_flow_matching(labelled(), training=Training(steps=200, **QUICK))


@pytest.mark.slow
def test_draws_are_of_the_class_that_was_asked_for(of_classes):
    y = np.eye(3, dtype=np.float32)[np.arange(300) % 3]
    for guidance in (None, 2.0):
        assert (of_classes.sample(300, y=y, guidance=guidance).argmax(1) == y.argmax(1)).mean() > 0.97
    free = of_classes.sample(300).argmax(1)
    assert np.bincount(free, minlength=3).min() > 50
    z = labelled().mean[:60]
    known, other = labelled().y[:60], np.roll(labelled().y[:60], 1, axis=1)
    given, not_given = (of_classes.log_prob(z, y=label).mean() for label in (known, other))
    assert given > of_classes.log_prob(z).mean() + 0.8 > not_given  # log 3 nats, where the classes lie apart


def test_guidance_0_is_whatever_the_label_and_1_is_given_it(of_classes):
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    free, given = of_classes.sample(4, seed=3), of_classes.sample(4, seed=3, y=y)
    np.testing.assert_array_equal(of_classes.sample(4, seed=3, y=y, guidance=0), free)
    np.testing.assert_array_equal(of_classes.sample(4, seed=3, y=y, guidance=1), given)
    between = of_classes.sample(4, seed=3, y=y, guidance=0.5)
    assert np.abs(between - given).max() > 1e-3
    assert np.abs(between - free).max() > 1e-3


@pytest.mark.slow
def test_draws_are_the_same_for_a_seed_and_change_little_with_more_steps(of_classes):
    one = of_classes.sample(300, seed=3)
    np.testing.assert_array_equal(one, of_classes.sample(300, seed=3))
    np.testing.assert_array_equal(one[:7], of_classes.sample(7, seed=3))
    assert np.abs(one - of_classes.sample(300, seed=4)).max() > 1
    fine = of_classes.sample(300, seed=3, steps=40)
    assert 0 < np.median(np.abs(one - fine)) < 0.01


def test_a_saved_prior_is_the_same_bit_for_bit(of_classes, tmp_path):
    before = torch.get_rng_state()
    path = of_classes.save(tmp_path / "prior.safetensors")
    loaded = ExPostPrior.load(path)
    assert (loaded.kind, loaded.latent_dim, loaded.label_dim) == ("flow-matching", 3, 3)
    assert loaded.facts == of_classes.facts
    np.testing.assert_array_equal(loaded.sample(5), of_classes.sample(5))
    np.testing.assert_array_equal(loaded.log_prob(np.ones((4, 3))), of_classes.log_prob(np.ones((4, 3))))
    assert torch.equal(before, torch.get_rng_state())
    whole = path.read_bytes()
    for place in (9, len(whole) // 2, len(whole) - 1):
        altered = bytearray(whole)
        altered[place] ^= 1
        path.write_bytes(altered)
        with pytest.raises(ZatlasError, match=r"prior\.safetensors is (damaged|no prior)"):
            ExPostPrior.load(path)


@pytest.mark.slow
def test_a_map_of_more_units_than_codes_can_be_fitted():
    prior = fit_flow_matching(few((4, 8, 8), n=120), (4, 8, 8), Training(steps=1, width=8, blocks=1))
    assert np.isfinite(prior.facts["held_out_nats"])
    assert "gaussian_nats" not in prior.facts
    assert "against" in prior.describe()


def test_a_fit_is_a_function_of_its_seed():
    fit = lambda seed: fit_flow_matching(few(), None, Training(steps=3, **QUICK), Place(seed)).sample(3)
    np.testing.assert_array_equal(fit(1), fit(1))
    assert np.abs(fit(1) - fit(2)).max() > 1e-3


@pytest.mark.slow
def test_real_labels_are_told_on_one_scale():
    rng = np.random.default_rng(0)
    y = rng.uniform(1000, 1100, (800, 1)).astype(np.float32)
    codes = Codes(((y - 1050) / 10).repeat(2, 1), np.full((800, 2), 0.1, np.float32), y)
    prior = fit_flow_matching(codes, training=Training(steps=200, **QUICK))
    asked = np.linspace(1010, 1090, 50, dtype=np.float32)[:, None]
    assert np.abs(prior.sample(50, y=asked) - (asked - 1050) / 10).mean() < 0.6


def test_words_that_are_wrong_are_refused(of_classes, gaussian):
    y = np.eye(3, dtype=np.float32)
    without = gaussian[2]
    for words, says in (
        ({"y": y[:, :2]}, r"labels of shape \[3, 2\] do not fit: wanted is \[3, 3\]"),
        ({"guidance": 2.0}, "guidance is towards a label"),
        ({"y": y, "guidance": -1.0}, "guidance -1 cannot be"),
        ({"y": y, "guidance": math.nan}, "guidance nan cannot be"),
        ({"steps": 0}, "in 0 steps"),
    ):
        with pytest.raises(UsageError, match=says):
            of_classes.sample(3, **words)
    with pytest.raises(UsageError, match="fitted to codes without labels, so it takes no label"):
        without.sample(3, y=y)
    with pytest.raises(UsageError, match="fitted to codes without labels, so it takes no guidance"):
        without.sample(3, guidance=1.5)
    with pytest.raises(UsageError, match="over 2 units and the codes are"):
        without.log_prob(np.zeros((4, 3)))
    with pytest.raises(UsageError, match="has no error: give 2 or more"):
        without.log_density(np.zeros((4, 2)), steps=1)
    mixture = fit_ex_post("mixture", few())
    with pytest.raises(UsageError, match="a mixture takes no label: leave it out"):
        mixture.sample(3, y=y)
    with pytest.raises(UsageError, match="a mixture takes no guidance"):
        mixture.sample(3, guidance=2.0)
    assert mixture.log_density(few().mean).error_nats.max() == 0
    for words in ({"seconds": -3.0}, {"steps": 0}, {"seconds": math.nan}, {"seconds": math.inf}):
        with pytest.raises(UsageError, match="cannot be: a prior is trained for more than 0"):
            Training(**words)
    with pytest.raises(UsageError, match="components are those of a mixture, and a flow-matching has none"):
        fit_ex_post("flow-matching", few(), components=3)
    with pytest.raises(UsageError, match="seconds are those of a flow-matching, and a mixture has none"):
        fit_ex_post("mixture", few(), seconds=3)
    with pytest.raises(ZatlasError, match="all codes are the same"):
        fit_flow_matching(Codes(np.ones((200, 2), np.float32), np.zeros((200, 2), np.float32), None))
    with pytest.raises(ZatlasError, match="NaN or infinity, first in row 1"):
        fit_flow_matching(Codes(np.float32([[1, 2], [3, np.nan]]), np.ones((2, 2), np.float32), None))
    with pytest.raises(ZatlasError, match="5 codes are too few"):
        fit_flow_matching(few(n=5))
