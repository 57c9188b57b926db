"""Annealed importance sampling on models whose evidence is known, and the two bounds around it."""

import math

import pytest
import torch
from torch import nn

from tests.evaluation.test_likelihood import CPU, Counting, Held, close, draws, labelled, linear
from zatlas.distributions import DiagonalGaussian
from zatlas.errors import UsageError
from zatlas.evaluation.likelihood import annealed_importance, bidirectional, importance_weighted, integrated, price
from zatlas.evaluation.likelihood.annealed import Chains, temperatures_path
from zatlas.models.linear import LinearGaussian
from zatlas.types import Batch, Generation, Inference


def test_the_path_leads_from_prior_to_posterior():
    path = temperatures_path(50)
    assert path[0] == 0
    assert path[-1] == 1
    steps = path.diff()
    assert (steps > 0).all()
    assert steps[0] < steps[25] / 5


@pytest.mark.slow
def test_annealing_importance_and_quadrature_agree_with_log_p():
    model = linear(units=2)
    x = draws(model, 8)
    exact = model.log_marginal(x)
    close(
        annealed_importance(model, Held(x), chains=500, temperatures=200, device=CPU, rows_at_once=4000).log_likelihood,
        exact,
        0.05,
    )
    close(importance_weighted(model, Held(x), samples=5000, device=CPU).log_likelihood, exact, 0.05)
    close(integrated(model, Held(x), device=CPU).log_likelihood, exact, 0.05)


@pytest.mark.slow
def test_annealing_is_near_log_p_and_trajectories_are_accepted_as_wanted():
    model = linear(units=3)
    x = draws(model, 6)
    found = annealed_importance(model, Held(x), chains=32, temperatures=60, device=CPU)
    close(found.log_likelihood, model.log_marginal(x), 0.25)
    assert abs((found.log_likelihood - model.log_marginal(x).detach()).mean()) < 0.08
    assert 0.5 < found.figures()["acceptance"].value < 0.85
    assert (found.effective_sample_size <= 32).all()


def test_a_trajectory_leaves_its_target_as_it_is():
    """From exact draws of the posterior, moves at beta = 1 keep its moments."""
    model = linear(LinearGaussian, units=2).requires_grad_(False)
    x = draws(model, 2)
    q = model.encode(x)
    torch.manual_seed(0)
    with torch.no_grad():
        run = Chains(model, model.prior(), Batch(x, None), 5, CPU, "fp32")
        state = run.at(q.sample((20_000,)))
        for _ in range(3):
            state, chance = run.move(state, 1.0, torch.tensor([0.5, 0.9]))
    assert 0.3 < chance.mean() < 0.98
    close(state.z.mean(0), q.mean, 0.02)
    close(state.z.var(0), q.variance.expand(2, 2), 0.02)


@pytest.mark.parametrize("temperatures", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_the_two_bounds_hold_the_truth_between_them(temperatures):
    model = linear(units=2)
    found = bidirectional(model, 60, chains=4, temperatures=temperatures, device=CPU, seed=2)
    torch.manual_seed(2)
    with torch.no_grad():
        x = model.generate(60).px.sample()[0]
        exact = model.log_marginal(x)
    for below in (exact - found.lower, found.upper - exact):
        assert below.mean() > -4 * below.std() / math.sqrt(60)
    gap = found.figures()["gap"]
    assert gap.value > -4 * gap.standard_error
    assert gap.value < (2.0 if temperatures == 5 else 0.5)
    if temperatures == 5:
        assert gap.value > 0.02


@pytest.mark.slow
def test_labels_reach_prior_and_decoder():
    model = labelled(bits=True)
    y = torch.eye(2)[torch.tensor([0, 1, 1, 0])]
    torch.manual_seed(5)
    x = model.generate(y=y).px.sample()[0]
    exact = integrated(model, Held(x, y), device=CPU).log_likelihood
    close(annealed_importance(model, Held(x, y), chains=64, temperatures=40, device=CPU).log_likelihood, exact, 0.15)
    both = bidirectional(model, y=y, chains=4, temperatures=5, device=CPU)
    assert both.lower.shape == both.upper.shape == (4,)


def test_memory_is_bounded():
    model = Counting(linear())
    annealed_importance(model, Held(draws(model.model)), chains=6, temperatures=3, device=CPU, rows_at_once=20)
    assert max(model.rows) <= 20


@pytest.mark.parametrize("both_ways", [False, True])
def test_progress_comes_in_parts_that_add_up_to_the_examples(both_ways):
    model, told = linear(), []
    words = {"chains": 6, "temperatures": 5, "leapfrogs": 2, "device": CPU, "rows_at_once": 12, "progress": told.append}
    if both_ways:
        bidirectional(model, 3, **words)
    else:
        annealed_importance(model, Held(draws(model, 3)), **words)
    assert sum(told) == pytest.approx(3)
    assert max(told) < 1


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_price_counts_the_gradients_that_are_made_and_leaves_chance_alone(both_ways):
    model = Counting(linear(units=2))
    x, before = draws(model.model, 2), torch.get_rng_state()
    words = {"chains": 6, "temperatures": 5, "leapfrogs": 4, "device": CPU}
    found = price(model, Batch(x, None), both_ways=both_ways, **words)
    assert torch.equal(torch.get_rng_state(), before)
    model.rows.clear()
    if both_ways:
        bidirectional(model, 2, **words)
    else:
        annealed_importance(model, Held(x), **words)
    starts = 2 * (4 + 6 + 6 * both_ways) + 2 + 2 * both_ways  # of the chains, the encoder, and the draws of the model
    assert sum(model.rows) - starts == 2 * found.gradients
    assert found.seconds > 0


class Decoder(nn.Module):
    """Generates and does not infer, as a GAN with a noise of its own."""

    def generate(self, n=None, y=None, *, z=()):
        mean = torch.stack([z[0].sin().sum(-1), z[0].square().sum(-1)], -1)
        return Generation(z, DiagonalGaussian(mean, torch.full_like(mean, -1.0)))


@pytest.mark.slow
def test_a_model_without_encoder_is_given_its_prior():
    prior = lambda y: DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    x = torch.tensor([[0.5, 1.0], [-1.0, 2.0], [1.2, 3.0]])
    line = torch.linspace(-6, 6, 401)
    grid = torch.cartesian_prod(line, line)
    px = Decoder().generate(z=(grid[:, None],)).px
    exact = (px.log_prob(x) + prior(None).log_prob(grid)[:, None]).logsumexp(0) + 2 * math.log(12 / 400)
    found = annealed_importance(Decoder(), Held(x), prior=prior, chains=400, temperatures=50, device=CPU)
    close(found.log_likelihood, exact, 0.1)


class Stacked(nn.Module):
    latent_dims = (1, 1)

    def infer(self, x, y=None, *, samples=1, noise=None):
        (level,) = linear(units=1).infer(x[:, :6]).levels
        return Inference((level, level), None)


def test_several_layers_are_refused():
    with pytest.raises(UsageError, match="one layer of latent units, not 2"):
        annealed_importance(Stacked(), Held(torch.zeros(2, 6)), device=CPU)


def test_the_seed_decides_and_chance_is_left_as_it_was():
    model = linear(units=1)
    x = draws(model, 5)
    before = torch.get_rng_state()
    run = lambda seed: (
        annealed_importance(model, Held(x), chains=3, temperatures=4, device=CPU, seed=seed).log_likelihood
    )
    one, again, other = run(0), run(0), run(1)
    both = [bidirectional(model, 3, chains=3, temperatures=4, device=CPU).upper for _ in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(*both)
    assert all(p.grad is None for p in model.parameters())


def test_weights_are_unbiased_either_way_however_few_the_temperatures():
    """The mean weight is p(x) and the mean of one over it 1 / p(x) (Neal 2001; Grosse et al. 2015)."""
    model = linear(LinearGaussian, units=1).requires_grad_(False)
    model.weight.mul_(0.25)  # a posterior near the prior, so that no weight has a heavy tail
    x = draws(model, 3)
    exact, path, chains = model.log_marginal(x), temperatures_path(3), 20_000
    run = Chains(model, model.prior(), Batch(x, None), 3, CPU, "fp32")
    torch.manual_seed(0)
    with torch.no_grad():
        steps = torch.full((3, 3), 0.3)
        forward, _ = run.forward(path, steps, chains)
        # an exact draw for every chain: 1 / w is unbiased over those too
        q = model.encode(x)
        spread = Chains(model, model.prior(), Batch(x.repeat(chains // 10, 1), None), 3, CPU, "fp32")
        z = q.sample((chains // 10,)).flatten(0, 1)
        back = spread.reverse(path, steps.repeat(1, chains // 10), 10, z).unflatten(1, (-1, 3)).flatten(0, 1)
    close(forward.logsumexp(0) - math.log(chains), exact, 0.02)
    close(math.log(chains) - (-back).logsumexp(0), exact, 0.02)
    assert forward.std(0).min() > 0.3
    assert back.std(0).min() > 0.2
