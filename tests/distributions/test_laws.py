"""Densities integrate to one, samples have the moments said, and values agree with torch's own."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from zatlas.distributions import (
    Bernoulli,
    DiagonalGaussian,
    DiscretisedLogistic,
    Flat,
    Point,
    gaussian_kl_per_unit,
    rate_per_unit,
)
from zatlas.errors import UsageError


def gaussian(shape=(7, 3), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return DiagonalGaussian(torch.randn(shape, generator=generator), torch.randn(shape, generator=generator))


def as_torch(p):
    return Independent(Normal(p.mean, p.stddev), 1)


def test_gaussian_density_equals_torchs():
    p, x = gaussian(), torch.randn(7, 3)
    torch.testing.assert_close(p.log_prob(x), as_torch(p).log_prob(x))
    torch.testing.assert_close(p.entropy(), as_torch(p).entropy())
    torch.testing.assert_close(p.variance, as_torch(p).variance)


def test_gaussian_density_integrates_to_one():
    p = DiagonalGaussian(torch.tensor([0.3, -0.2]), torch.tensor([-1.0, 0.4]))
    line = torch.linspace(-9, 9, 601)
    grid = torch.cartesian_prod(line, line)
    mass = p.log_prob(grid).exp().sum() * (line[1] - line[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=1e-4)


def test_gaussian_draws_have_its_moments_and_carry_gradients():
    torch.manual_seed(0)
    mean, log_variance = torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([0.5, -1.0])
    z = DiagonalGaussian(mean, log_variance).rsample((40_000,))
    torch.testing.assert_close(z.mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), log_variance.exp(), atol=0.05, rtol=0)
    z.sum().backward()
    assert mean.grad is not None
    assert (mean.grad == 40_000).all()


def test_gaussian_draws_under_vmap_differ_by_member():
    draw = lambda mean: DiagonalGaussian(mean, torch.zeros(2)).rsample()
    z = torch.vmap(draw, randomness="different")(torch.zeros(3, 2))
    assert not torch.equal(z[0], z[1])


def test_gaussian_kl_equals_torchs_and_monte_carlo():
    torch.manual_seed(0)
    q, p = gaussian(seed=1), gaussian(seed=2)
    closed = kl_divergence(q, p)
    torch.testing.assert_close(closed, kl_divergence(as_torch(q), as_torch(p)))
    z = q.sample((20_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - closed).abs() < 5 * error).all()


def test_kl_of_units_adds_up_and_is_zero_against_itself():
    q, p = gaussian(seed=1), gaussian(seed=2)
    torch.testing.assert_close(gaussian_kl_per_unit(q, p).sum(-1), kl_divergence(q, p))
    torch.testing.assert_close(kl_divergence(q, q), torch.zeros(7))
    assert (gaussian_kl_per_unit(q, p) >= 0).all()


def test_bernoulli_probabilities_sum_to_one():
    p = Bernoulli(torch.randn(4))
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
    assert p.log_prob(bits).exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_bernoulli_equals_torchs_also_at_extreme_logits():
    logits = torch.tensor([[-90.0, 0.0, 90.0]])
    x = torch.tensor([[1.0, 1.0, 0.0]])
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(Bernoulli(logits).log_prob(x), expected)
    assert torch.isfinite(Bernoulli(logits).entropy()).all()


def test_bernoulli_draws_are_bits_with_its_mean():
    torch.manual_seed(0)
    p = Bernoulli(torch.tensor([-1.0, 2.0]))
    x = p.sample((20_000,))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(x.mean(0), p.mean, atol=0.02, rtol=0)


@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 2.0])
@pytest.mark.parametrize("location", [-0.5, 0.0, 0.37, 1.0, 1.7])
def test_discretised_logistic_sums_to_one(location, log_scale):
    p = DiscretisedLogistic(torch.tensor([location]), torch.tensor([log_scale]))
    values = (torch.arange(256) / 255)[:, None]
    log_p = p.log_prob(values)
    assert torch.isfinite(log_p).all()
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("log_scale", [-7.0, -5.0, -2.0, 0.0, 3.0])
def test_the_mean_of_a_discretised_logistic_is_that_of_its_256_probabilities(log_scale):
    location = torch.tensor([-3.0, -0.2, 0.0, 0.0021, 0.37, 0.999, 1.0, 1.4])
    p = DiscretisedLogistic(location, torch.tensor(log_scale))
    values = (torch.arange(256, dtype=torch.float64) / 255)[:, None]
    exact = (p.log_prob_per_unit(values).exp() * values).sum(0)
    torch.testing.assert_close(p.mean.double(), exact, atol=0.1 / 255, rtol=0)


def test_discretised_logistic_draws_are_its_values():
    torch.manual_seed(0)
    p = DiscretisedLogistic(torch.full((1,), 0.4), torch.full((1,), -2.5))
    x = p.sample((50_000,))
    values = torch.arange(256) / 255
    expected = (p.log_prob(values[:, None]).exp() * values).sum()
    torch.testing.assert_close(x * 255, (x * 255).round(), atol=1e-4, rtol=0)
    assert x.mean().item() == pytest.approx(expected.item(), abs=0.004)


def test_a_point_against_a_flat_prior_costs_nothing():
    q, p = Point(torch.randn(5, 2)), Flat(2, torch.zeros(()))
    assert (kl_divergence(q, p) == 0).all()
    assert (rate_per_unit(q, p) == 0).all()
    assert torch.equal(q.rsample((3,))[2], q.mean)


def test_a_flat_prior_cannot_draw():
    with pytest.raises(UsageError, match="train a vae"):
        Flat(2, torch.zeros(())).sample()


def test_units_have_no_rate_where_the_family_does_not_factorise():
    with pytest.raises(NotImplementedError, match="factorise"):
        rate_per_unit(Point(torch.zeros(1, 2)), gaussian((1, 2)))


@pytest.mark.parametrize(
    "p", [gaussian((1, 3)), Bernoulli(torch.randn(1, 3)), DiscretisedLogistic(torch.rand(1, 3), torch.zeros(1, 3))]
)
def test_expanding_repeats_the_density(p):
    x = torch.full((3,), 1.0)
    torch.testing.assert_close(p.expand(torch.Size([4])).log_prob(x), p.log_prob(x).expand(4))
