"""The laws of the objectives beyond the ELBO."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.distributions import DiagonalGaussian
from zatlas.errors import UsageError
from zatlas.models import LatentVariableModel
from zatlas.networks import StandardNormal
from zatlas.objectives import (
    Constrained,
    Discrepancy,
    Disentangled,
    Factor,
    Importance,
    TotalCorrelation,
    Variational,
    importance_bound,
    negative_elbo,
)
from zatlas.objectives.factor import permute_units
from zatlas.objectives.moments import covariance, mmd
from zatlas.objectives.total_correlation import decompose, log_importance
from zatlas.recipes import build_game
from zatlas.training import Budget, Game, Optimisation, Schedule, Trainer
from zatlas.types import Batch

W, S2 = 1.7, 0.3  # x = W z + noise of variance S2
EXACT = 1 / (1 + W * W / S2)  # variance of the true posterior


class Posterior(nn.Module):
    """N(gain x, variance): the truth where gain and variance are the true ones."""

    def __init__(self, gain=EXACT * W / S2, variance=EXACT):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))
        self.log_variance = nn.Parameter(torch.tensor(variance).log())

    def forward(self, x, y=None):
        return DiagonalGaussian(self.gain * x, self.log_variance.expand_as(x))


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(W))

    def forward(self, z, y=None):
        return DiagonalGaussian(self.w * z, torch.full_like(z, S2).log())


def linear(**posterior):
    return LatentVariableModel(Posterior(**posterior), Linear(), StandardNormal(1), 1)


def gradients(objective, model, x, seed):
    torch.manual_seed(seed)
    game = Game(model, objective)
    loss = game("model", Batch(x, None), 0).loss.mean()
    return torch.stack(torch.autograd.grad(loss, list(model.parameters())))


X = torch.linspace(-2, 2, 16)[:, None]


def test_one_sample_of_iwae_is_the_elbo_in_the_mean():
    model, many = linear(gain=0.3, variance=0.5), X.repeat(4000, 1)
    torch.manual_seed(0)
    with torch.no_grad():
        values = Importance(1)("model", model, Batch(many, None), 0).loss.view(4000, 16).mean(1)
        elbo = negative_elbo(model.infer(many), many).view(4000, 16).mean(1)
    error = (values.std() + elbo.std()) / math.sqrt(4000)
    assert (values.mean() - elbo.mean()).abs() < 4 * error


def test_the_loss_of_iwae_is_minus_its_bound_with_either_gradient():
    model = linear(gain=0.3, variance=0.5)
    for doubly in (False, True):
        torch.manual_seed(1)
        loss = Importance(7, doubly_reparameterised=doubly)("model", model, Batch(X, None), 0).loss
        torch.manual_seed(1)
        torch.testing.assert_close(loss, -importance_bound(model.infer(X, samples=7), X))


def test_the_doubly_reparameterised_gradient_has_the_same_mean_and_less_noise():
    model = linear(gain=0.3, variance=0.5)
    many = X.repeat(20, 1)  # a mean of 20 gradients takes as long as one
    plain, doubly = (
        torch.stack([gradients(Importance(16, doubly_reparameterised=d), model, many, s) for s in range(100)])
        for d in (False, True)
    )
    error = (plain.std(0) + doubly.std(0)) / math.sqrt(100)
    assert ((plain.mean(0) - doubly.mean(0)).abs() < 4 * error).all()
    encoder = [i for i, (name, _) in enumerate(model.named_parameters()) if name.startswith("encoder")]
    assert (doubly.std(0)[encoder] < 0.7 * plain.std(0)[encoder]).all()


def test_the_decoders_gradient_does_not_change_with_the_encoders():
    model = linear(gain=0.3, variance=0.5)
    decoder = [i for i, (name, _) in enumerate(model.named_parameters()) if name.startswith("decoder")]
    plain, doubly = (gradients(Importance(8, doubly_reparameterised=d), model, X, 3)[decoder] for d in (False, True))
    torch.testing.assert_close(plain, doubly)


def test_sticking_the_landing_has_no_noise_at_the_true_posterior():
    model = linear()
    encoder = [i for i, (name, _) in enumerate(model.named_parameters()) if name.startswith("encoder")]
    for objective, quiet in ((Variational(sticking_the_landing=True), True), (Variational(), False)):
        noise = torch.stack([gradients(objective, model, X, s) for s in range(50)]).std(0)[encoder]
        assert (noise < 1e-5).all() if quiet else (noise > 1e-2).any()


def test_sticking_the_landing_has_the_same_mean_gradient():
    model = linear(gain=0.3, variance=0.5)
    many = X.repeat(20, 1)
    stuck, plain = (
        torch.stack([gradients(Variational(sticking_the_landing=s), model, many, seed) for seed in range(100)])
        for s in (True, False)
    )
    apart = stuck - plain  # of the same draws
    assert (apart.mean(0).abs() <= 4 * apart.std(0) / math.sqrt(100) + 1e-6).all()


def test_free_nats_are_free():
    torch.manual_seed(0)
    model = linear(gain=0.1, variance=0.9)  # a rate of about a hundredth of a nat
    batch = Batch(X, None)
    free = Variational(free_bits_nats=0.5)("model", model, batch, 0)
    torch.testing.assert_close(free.loss, free.parts["distortion"] + 0.5)
    charged = Variational(free_bits_nats=1e-9)("model", model, batch, 0)
    torch.testing.assert_close(charged.loss.mean(), (charged.parts["distortion"] + charged.parts["rate"]).mean())
    with pytest.raises(UsageError, match="choose one"):
        Variational(free_bits_nats=1.0, sticking_the_landing=True)


def posteriors(n=6, d=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator), 0.3 * torch.randn(n, d, generator=generator) - 1


@pytest.mark.parametrize("batch_size", [2, 3, 6])
def test_the_stratified_estimate_of_q_is_unbiased(batch_size):
    """Over every batch that holds x_0, and every order of it, the mean of the estimate is q(z) itself."""
    mean, log_variance = posteriors()
    n = len(mean)
    z = torch.tensor([0.4, -0.7])
    exact = DiagonalGaussian(mean, log_variance).log_prob(z).exp().mean()
    weights = log_importance(batch_size, n, "stratified", torch.device("cpu")).exp()
    torch.testing.assert_close(weights.sum(1), torch.ones(batch_size))
    found = []
    for others in itertools.permutations(range(1, n), batch_size - 1):
        rows = [0, *others]
        q = DiagonalGaussian(mean[rows], log_variance[rows]).log_prob(z).exp()
        found.append((weights[0] * q).sum())
    torch.testing.assert_close(torch.stack(found).mean(), exact)


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_the_parts_of_the_rate_add_up(estimator):
    torch.manual_seed(0)
    q = DiagonalGaussian(*posteriors(20))
    p, z = DiagonalGaussian(torch.zeros(2), torch.zeros(2)), q.rsample()
    parts = decompose(q, p, z, 100, estimator)
    torch.testing.assert_close(sum(parts), q.log_prob(z) - p.log_prob(z))


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_total_correlation_of_gaussians_is_known(rho):
    """Codes spread as N(0, [[1, rho], [rho, 1]]) have a TC of -log(1 - rho^2) / 2."""
    torch.manual_seed(0)
    n, noise = 1500, 0.05
    base = torch.randn(n, 2)
    codes = torch.stack([base[:, 0], rho * base[:, 0] + math.sqrt(1 - rho**2) * base[:, 1]], 1) * math.sqrt(1 - noise)
    q = DiagonalGaussian(codes, torch.full_like(codes, math.log(noise)))
    tc = decompose(q, DiagonalGaussian(torch.zeros(2), torch.zeros(2)), q.sample(), n).total_correlation.mean()
    known = (rho * (1 - noise)) ** 2
    assert tc.item() == pytest.approx(-0.5 * math.log(1 - known), abs=0.06)


def test_shuffled_units_keep_their_values_and_lose_their_company():
    torch.manual_seed(0)
    z = torch.arange(400.0)[:, None].expand(400, 2)
    shuffled = permute_units(z)
    assert torch.equal(shuffled.sort(0).values, z)
    assert abs(np.corrcoef(shuffled.T)[0, 1]) < 0.2


def test_a_last_batch_of_one_example_has_a_finite_loss():
    one = Batch(X[:1], None)
    for objective in (Factor(1, hidden=8, layers=1), Discrepancy()):
        game = Game(linear(), objective)
        for player in game.players:
            loss = game(player, one, 0).loss
            assert loss.shape == (1,)
            assert loss.isfinite().all()


def test_the_players_of_factor_move_their_own_weights_alone():
    torch.manual_seed(0)
    game = Game(linear(), Factor(1, hidden=8, layers=1))
    for player, others in (("model", "critic"), ("critic", "model")):
        game.zero_grad()
        game(player, Batch(X, None), 0).loss.mean().backward(inputs=game.owned(player))
        assert all(p.grad is not None for p in game.owned(player))
        assert all(p.grad is None for p in game.owned(others))
    game.zero_grad()
    game("critic", Batch(X, None), 0).loss.mean().backward()  # with no inputs named: z is detached
    assert all(p.grad is None for p in game.owned("model"))


def test_covariance_is_numpys_and_dip_asks_for_identity():
    values = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(covariance(values), torch.from_numpy(np.cov(values.numpy().T)).float())
    model = linear()
    torch.manual_seed(0)
    terms = Disentangled("i", off=3.0, on=2.0)("model", model, Batch(X, None), 0)
    variance = (model.encoder.gain * X).var()
    torch.testing.assert_close(terms.parts["penalty"][0], 2 * (variance - 1) ** 2)
    terms = Disentangled("ii", off=3.0, on=2.0)("model", model, Batch(X, None), 0)
    torch.testing.assert_close(terms.parts["penalty"][0], 2 * (variance + EXACT - 1) ** 2)


def test_the_discrepancy_is_unbiased_and_sees_a_difference():
    generator = torch.Generator().manual_seed(0)
    draw = lambda shift=0.0: torch.randn(64, 3, generator=generator) + shift
    same = torch.stack([mmd(draw(), draw()) for _ in range(200)])
    assert abs(same.mean()) < 4 * same.std() / math.sqrt(200)
    assert mmd(draw(), draw(0.5)) > same.mean() + 4 * same.std()


def spots(n=256):
    rng = np.random.default_rng(0)
    centre, line = rng.uniform(0, 7, (n, 2, 1)), np.arange(8)
    bumps = np.exp(-((line - centre) ** 2) / 2)
    return ArraySource("spots", (255 * bumps[:, 0, :, None] * bumps[:, 1, None, :]).astype(np.uint8))


def trainer(values, steps):
    data = spots()
    torch.manual_seed(0)
    config = make_config(("test", {"model": {"size": "xs", "latent_dim": 3}, "objective": values}))
    return Trainer(
        build_game(config, data.spec, len(data)),
        Batches(data, np.arange(len(data)), batch_size=64),
        budget=Budget(steps=steps),
        optimisation=Optimisation("adamw", 4e-3, (0.9, 0.95)),
        schedule=Schedule("constant"),
        device=torch.device("cpu"),
        clip_norm=200.0,
    )


KINDS = [
    {"free_bits_nats": 0.5},
    {"sticking_the_landing": True},
    {"kind": "iwae", "samples": 3},
    {"kind": "iwae", "samples": 3, "doubly_reparameterised": True},
    {"kind": "tcvae", "beta": 3.0},
    {"kind": "tcvae", "estimator": "weighted"},
    {"kind": "factor", "factor_gamma": 2.0},
    {"kind": "dip", "dip_kind": "i"},
    {"kind": "dip"},
    {"kind": "infovae"},
    {"kind": "constrained", "target_nats": 20.0},
    {"kind": "constrained", "target_nats": 3.0, "constrain": "rate"},
]


@pytest.mark.parametrize("values", KINDS, ids=lambda v: "-".join(map(str, v.values())))
def test_every_objective_learns(values):
    t = trainer(values, 40)
    batch = next(iter(t.batches.epoch(0)))
    distortion = lambda: t.game("model", batch, 10**6).parts["distortion"].mean().item()
    before = distortion()
    t.fit()
    assert all(torch.isfinite(p).all() for p in t.game.parameters())
    assert distortion() < before - 1


@pytest.mark.slow
@pytest.mark.parametrize(("constrain", "target"), [("distortion", 13.0), ("rate", 1.5)])
def test_the_constraint_is_met(constrain, target):
    t = trainer({"kind": "constrained", "target_nats": target, "constrain": constrain}, 800)
    t.fit()
    batch = next(iter(t.batches.epoch(0)))
    held = torch.stack([t.game("model", batch, 0).parts[constrain].mean() for _ in range(20)]).mean().item()
    assert held == pytest.approx(target, rel=0.1)


def test_a_model_with_the_true_posterior_has_multiplier_one_at_its_own_distortion():
    """At lambda = 1 the Lagrangian is half the ELBO, less a constant."""
    model, batch = linear(), Batch(X, None)
    objective = Constrained(5.0)
    torch.manual_seed(0)
    terms = objective("model", model, batch, 0)
    torch.manual_seed(0)
    torch.testing.assert_close(2 * terms.loss + 5.0, negative_elbo(model.infer(X), X))


def test_infovae_at_its_corner_is_the_elbo():
    model, batch = linear(), Batch(X, None)
    torch.manual_seed(0)
    terms = Discrepancy(alpha=0.0, weight=1.0)("model", model, batch, 0)
    torch.manual_seed(0)
    torch.testing.assert_close(terms.loss, negative_elbo(model.infer(X), X))


@pytest.mark.slow
def test_tcvae_at_beta_one_is_the_elbo_in_the_mean():
    q_model = linear(gain=0.3, variance=0.5)
    batch = Batch(X, None)
    many = X.repeat(1000, 1)
    with torch.no_grad():
        tc = torch.stack([TotalCorrelation(16)("model", q_model, batch, 0).loss.mean() for _ in range(1000)])
        elbo = negative_elbo(q_model.infer(many), many).view(1000, 16).mean(1)
    error = (tc.std() + elbo.std()) / math.sqrt(1000)
    assert (tc.mean() - elbo.mean()).abs() < 4 * error


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model": {"kind": "ae"}, "objective": {"kind": "iwae"}}, "iwae goes with 'vae' or 'cvae' or 'ladder'"),
        ({"objective": {"kind": "constrained"}}, "wants objective.target_nats"),
        ({"objective": {"kind": "iwae", "beta": 4.0}}, "objective.beta belongs to"),
        ({"objective": {"samples": 7}}, "objective.samples belongs to objective.kind = 'iwae'"),
        ({"objective": {"free_bits_nats": 1.0, "sticking_the_landing": True}}, "exclude each other"),
        ({"objective": {"capacity_nats": 5.0, "free_bits_nats": 1.0}}, "leave them out"),
        ({"objective": {"kind": "tcvee"}}, "tcvae"),
    ],
)
def test_what_does_not_go_together_is_refused(values, sentence):
    with pytest.raises(UsageError, match=sentence):
        make_config(("test", values))
