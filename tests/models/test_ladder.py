"""The laws of a model of several levels, over vectors and over images."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from zatlas.data import ArraySource, Batches
from zatlas.distributions import kl_divergence
from zatlas.models.ladder import Ladder
from zatlas.networks import BernoulliLikelihood, Decoder, GaussianLikelihood, Standardise
from zatlas.networks.ladder import PRIOR_LOG_VARIANCE, RESIDUAL_LOG_VARIANCE, image_ladder, vector_ladder
from zatlas.objectives import Variational, distortion, importance_bound, negative_elbo, rate
from zatlas.objectives.bounds import level_rate
from zatlas.training import Budget, Game, Optimisation, Schedule, Trainer

VECTOR, GREY, ODD = (7,), (1, 8, 8), (3, 13, 9)


def ladder(shape=VECTOR, levels=(2, 3, 4), *, images=None, seed=0, width=16):
    torch.manual_seed(seed)
    images = len(shape) == 3 if images is None else images
    if images:
        rungs, readout = image_ladder(shape, levels, (8, 16), shape)
    else:
        rungs, readout = vector_ladder(math.prod(shape), levels, width, shape)
    return Ladder(rungs, Decoder(readout, BernoulliLikelihood(len(shape)), torch.full(shape, 0.3)))


def stirred(model, spread=0.4):
    """The model with random weights everywhere, so that no zero of its start hides a mistake."""
    torch.manual_seed(1)
    for p in model.parameters():
        nn.init.normal_(p, std=spread)
    return model


def bits(shape, n=5):
    return (torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) < 0.4).float()


CASES = [
    (VECTOR, (2,), False),
    (VECTOR, (2, 3, 4, 5), False),
    (GREY, (3, 2), False),  # images may be taken as vectors
    (GREY, (2,), True),
    (GREY, (2, 1), True),
    (ODD, (4, 3, 2, 1, 1), True),  # more levels than stages
    (ODD, (1, 1), True),
    ((1, 3, 4), (2, 1), True),  # too small to be halved
]


@pytest.mark.parametrize(("shape", "levels", "images"), CASES)
def test_shapes_gradients_and_rates(shape, levels, images):
    model, x = ladder(shape, levels, images=images), bits(shape)
    dims = model.latent_dims
    assert images or dims == levels
    assert len(dims) == len(levels)
    inference = model.infer(x, samples=4)
    assert [level.z.shape for level in inference.levels] == [(4, 5, d) for d in dims]
    assert inference.px.mean.shape == (4, 5, *shape)
    assert distortion(inference, x).shape == (4, 5)
    assert rate(inference).shape == (5,)
    negative_elbo(inference, x).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    model.zero_grad()
    negative_elbo(stirred(model).infer(x), x).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())  # away from the zeros of the start all have a say
    with torch.no_grad():
        inference = model.infer(x, samples=4)
        assert all((kl_divergence(level.q, level.p) >= -1e-4).all() for level in inference.levels)
        assert rate(inference).mean() > 0.1
        q = model.encode(x)
        assert q.mean.shape == q.stddev.shape == (5, sum(dims))
        assert [z.shape for z in model.generate(6).z] == [(1, 6, d) for d in dims]
        assert model.generate().px.mean.shape == (1, 1, *shape)


def test_levels_lie_at_the_resolutions_of_their_stages():
    model = ladder((1, 28, 20), (5, 3, 2))
    assert [rung.z_shape for rung in model.rungs] == [(5, 7, 5), (3, 7, 5), (2, 14, 10)]
    assert model.latent_dims == (175, 105, 280)


@pytest.mark.parametrize("shape", [VECTOR, ODD])
def test_at_all_levels_given_generation_is_what_inference_saw(shape):
    model, x = stirred(ladder(shape)), bits(shape)
    with torch.no_grad():
        inference = model.infer(x, samples=3)
        z = tuple(level.z for level in inference.levels)
        one, two = model.generate(z=z), model.generate(z=z)
        torch.testing.assert_close(one.px.mean, inference.px.mean)
        assert torch.equal(one.px.mean, two.px.mean)
        single = model.generate(z=tuple(level[0] for level in z))
        torch.testing.assert_close(single.px.mean, inference.px.mean[:1])
        assert single.z[0].shape == (1, 5, model.latent_dims[0])


@pytest.mark.parametrize("shape", [VECTOR, ODD])
def test_from_given_noise_nothing_is_random(shape):
    model, x = stirred(ladder(shape)), bits(shape)
    noise = torch.randn(3, 5, sum(model.latent_dims))
    with torch.no_grad():
        first, again = model.infer(x, noise=noise), model.infer(x, noise=noise)
        assert torch.equal(first.px.mean, again.px.mean)
        for level, e in zip(first.levels, noise.split(model.latent_dims, -1), strict=True):
            torch.testing.assert_close((level.z - level.q.mean) / level.q.stddev, e, atol=1e-3, rtol=1e-3)
        torch.manual_seed(3)
        drawn = model.infer(x, samples=3)
        torch.manual_seed(3)
        torch.testing.assert_close(drawn.px.mean, model.infer(x, noise=torch.randn_like(noise)).px.mean)


def test_the_code_is_that_of_the_posterior_means():
    model, x = stirred(ladder()), bits(VECTOR)
    q = model.encode(x)
    levels = model.infer(x, noise=torch.zeros(1, 5, sum(model.latent_dims))).levels
    torch.testing.assert_close(q.mean, torch.cat([level.z[0] for level in levels], -1))
    deviations = torch.cat([level.q.stddev.expand(1, 5, -1)[0] for level in levels], -1)
    torch.testing.assert_close(q.stddev, deviations)


@pytest.mark.parametrize("shape", [VECTOR, GREY])
def test_missing_levels_are_drawn_from_the_prior_given_those_above(shape):
    model, x = stirred(ladder(shape, (2, 2, 1))), bits(shape, 1)
    with torch.no_grad():
        levels = model.infer(x).levels
        top = levels[0].z.expand(8000, -1, -1)
        torch.manual_seed(0)
        codes = model.generate(z=(top,)).z
        assert torch.equal(codes[0], top)
        p = levels[1].p
        error = p.stddev[0] / math.sqrt(8000)
        assert ((codes[1].mean(0) - p.mean[0]).abs() < 4.5 * error).all()
        torch.testing.assert_close(codes[1].std(0), p.stddev[0], atol=0, rtol=0.05)
        assert not torch.equal(codes[2][0], codes[2][1])
        z = model.generate(4000).z[0]
        assert z.mean().item() == pytest.approx(0, abs=0.05)
        assert z.std().item() == pytest.approx(1, rel=0.05)


def test_a_lower_level_sees_the_draw_above_it():
    model, x = stirred(ladder()), bits(VECTOR)
    _, middle, lowest = model.infer(x, samples=2).levels
    for level in (middle, lowest):
        assert not torch.allclose(level.q.mean[0], level.q.mean[1])
        assert not torch.allclose(level.p.mean[0], level.p.mean[1])


def test_draws_from_prior_and_posterior_weigh_up_to_the_same_evidence():
    """log p(x) by draws of z from p, and by importance-weighted draws from q: two routes through the same densities."""
    model, x = stirred(ladder((3,), (1, 2), width=8), 0.3), bits((3,), 4)
    with torch.no_grad():
        through_q = importance_bound(model.infer(x, samples=40_000), x)
        px = model.generate(40_000).px
        through_p = px.log_prob(x[:, None]).logsumexp(-1) - math.log(40_000)
    torch.testing.assert_close(through_q, through_p, atol=0.03, rtol=0)


@pytest.mark.slow
def test_bounds_are_ordered():
    model, x = stirred(ladder(VECTOR, (2, 2)), 0.3), bits(VECTOR, 20)
    with torch.no_grad():
        elbo = -torch.stack([negative_elbo(model.infer(x), x) for _ in range(60)]).mean()
        few = torch.stack([importance_bound(model.infer(x, samples=5), x) for _ in range(60)]).mean()
        many = torch.stack([importance_bound(model.infer(x, samples=100), x) for _ in range(8)]).mean()
    assert elbo < few < many


def test_one_level_is_a_flat_vae():
    model, x = stirred(ladder(VECTOR, (3,))), bits(VECTOR)
    (level,) = model.infer(x, samples=2).levels
    assert level.q.batch_shape == (5,)
    m, v = level.q.mean, level.q.variance
    torch.testing.assert_close(rate(model.infer(x)), 0.5 * (m.square() + v - 1 - v.log()).sum(-1))
    torch.testing.assert_close(model.encode(x).mean, m)
    torch.testing.assert_close(level.p.log_prob(torch.zeros(3)).exp(), torch.tensor((2 * math.pi) ** -1.5))


@pytest.mark.parametrize("shape", [VECTOR, GREY])
def test_a_posterior_with_nothing_to_say_is_the_prior(shape):
    model, x = stirred(ladder(shape)), bits(shape)
    for rung in model.rungs:
        nn.init.zeros_(rung.posterior_net[-1].weight)
        nn.init.zeros_(rung.posterior_net[-1].bias)
    inference = model.infer(x, samples=2)
    torch.testing.assert_close(rate(inference), torch.zeros(5))


def test_log_variances_stay_bounded_and_gradients_finite_whatever_x():
    model = stirred(ladder(), 3.0)
    inference = model.infer(1e6 * torch.randn(5, *VECTOR))
    for level in inference.levels:
        assert (level.p.log_variance.abs() <= PRIOR_LOG_VARIANCE).all()
        assert (level.q.log_variance.abs() <= PRIOR_LOG_VARIANCE + RESIDUAL_LOG_VARIANCE).all()
    rate(inference).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_labels_are_ignored_but_counted():
    model, x, y = ladder(), bits(VECTOR), torch.eye(5)
    noise = torch.randn(1, 5, sum(model.latent_dims))
    assert torch.equal(model.infer(x, y, noise=noise).px.mean, model.infer(x, noise=noise).px.mean)
    assert torch.equal(model.encode(x, y).mean, model.encode(x).mean)
    assert model.generate(y=y).px.mean.shape == (1, 5, *VECTOR)


@pytest.mark.parametrize("shape", [VECTOR, ODD])
def test_saved_and_loaded_it_is_the_same(shape, tmp_path):
    from safetensors.torch import load_file, save_file

    model, other, x = stirred(ladder(shape)), ladder(shape, seed=9), bits(shape)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    noise = torch.randn(2, 5, sum(model.latent_dims))
    assert torch.equal(model.infer(x, noise=noise).px.mean, other.infer(x, noise=noise).px.mean)


@pytest.mark.parametrize("shape", [VECTOR, ODD])
def test_bf16_networks_have_float32_densities(shape):
    model, x = stirred(ladder(shape)), bits(shape)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inference = model.infer(x, samples=2)
        assert model.generate(2).px.mean.dtype == torch.float32
    for level in inference.levels:
        assert {level.z.dtype, level.q.mean.dtype, level.p.log_variance.dtype} == {torch.float32}
    loss = negative_elbo(inference, x)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


class Loss(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, noise=None):
        return negative_elbo(self.model.infer(x, noise=noise), x).mean()


@pytest.mark.parametrize("shape", [VECTOR, ODD])
@pytest.mark.parametrize("randomness", ["different", "same"])
def test_stacked_members_are_the_models_alone(shape, randomness):
    members, x = [Loss(stirred(ladder(shape))), Loss(ladder(shape, seed=2))], bits(shape)
    skeleton = members[0]

    def each(f, modules, *inputs):
        call = lambda weights, constants: f(lambda w: functional_call(skeleton, (w, constants), (x, *inputs)), weights)
        return torch.vmap(call, randomness=randomness)(*stack_module_state(modules))

    noise = torch.randn(1, 5, sum(skeleton.model.latent_dims))
    values = each(lambda loss, w: loss(w), members, noise)
    gradients = each(lambda loss, w: torch.func.grad(loss)(w), members, noise)
    for i, member in enumerate(members):
        loss = member(x, noise)
        torch.testing.assert_close(values[i], loss, atol=1e-4, rtol=1e-4)
        for (name, _), g in zip(
            member.named_parameters(), torch.autograd.grad(loss, list(member.parameters())), strict=True
        ):
            torch.testing.assert_close(gradients[name][i], g, atol=1e-3, rtol=1e-3)
    one, two = each(lambda loss, w: loss(w), [skeleton, skeleton])
    assert torch.isclose(one, two, rtol=1e-4).item() is (randomness == "same")


def spots(n=256):
    rng = np.random.default_rng(0)
    centre, line = rng.uniform(0, 7, (n, 2, 1)), np.arange(8)
    bumps = np.exp(-((line - centre) ** 2) / 2)
    return ArraySource("spots", (255 * bumps[:, 0, :, None] * bumps[:, 1, None, :]).astype(np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize(("levels", "images"), [((2, 3, 4), False), ((2, 1), True)])
def test_it_learns_and_uses_its_code(levels, images):
    data, model = spots(), ladder(GREY, levels, images=images, width=64)
    trainer = Trainer(
        Game(model, Variational(1.0, warmup_steps=75)),
        Batches(data, np.arange(len(data)), batch_size=64),
        budget=Budget(steps=150),
        optimisation=Optimisation("adamw", 4e-3, (0.9, 0.95)),
        schedule=Schedule("cosine", 0.1),
        device=torch.device("cpu"),
        clip_norm=200.0,
    )
    x = next(iter(trainer.batches.epoch(0))).x
    trainer.fit()
    with torch.no_grad():
        loss = torch.stack([negative_elbo(model.infer(x), x).mean() for _ in range(10)]).mean()
        mean = x.mean(0).clamp(1e-4, 1 - 1e-4)
        constant = -(mean * mean.log() + (1 - mean) * (1 - mean).log()).sum()  # of a model that ignores its code
        assert loss < constant - 1
        assert level_rate(model.infer(x).levels[0]).mean() > 1


def test_real_data_keep_their_units():
    torch.manual_seed(0)
    rungs, readout = vector_ladder(7, (2, 2), 8, (7,))
    likelihood = GaussianLikelihood(1, torch.tensor(1000.0), torch.tensor(50.0), sigma=1.0, learned=True)
    model = Ladder(rungs, Decoder(readout, likelihood, torch.full((7,), 1000.0)))
    assert (model.generate(50).px.mean - 1000).abs().max() < 200
    x = torch.randn(5, 7)
    scaled = Ladder(rungs, model.decoder, Standardise(torch.full((7,), 1000.0), torch.full((7,), 50.0)))
    torch.testing.assert_close(scaled.encode(1000 + 50 * x).mean, model.encode(x).mean, atol=1e-4, rtol=1e-3)
