"""The bounds of a linear Gaussian model, where every term is known, and of levels put together by hand."""

import math

import pytest
import torch

from zatlas.distributions import DiagonalGaussian, GaussianMixture
from zatlas.objectives import importance_bound, negative_elbo, rate
from zatlas.objectives.bounds import distortion, level_rate, log_weights, path_rate
from zatlas.types import Inference, Level

from .test_family import EXACT, S2, W, X, linear

EVIDENCE = DiagonalGaussian(torch.zeros(1), torch.tensor([math.log(W * W + S2)])).log_prob(X)


def gaussian(*shape, seed=0, grad=False):
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(*shape, generator=generator), torch.randn(*shape, generator=generator) / 2
    return DiagonalGaussian(mean.requires_grad_(grad), log_variance.requires_grad_(grad))


def levels(samples=3, batch=4, grad=False):
    """Two: the prior of the lower one, and so its posterior, depends on the draw above it."""
    top = Level(gaussian(batch, 2, grad=grad), gaussian(2, seed=1), torch.randn(samples, batch, 2))
    low = Level(gaussian(samples, batch, 1, seed=2, grad=grad), gaussian(1, seed=3), torch.randn(samples, batch, 1))
    return top, low


def test_every_draw_of_the_true_posterior_weighs_the_evidence():
    inference = linear().infer(X, samples=5)
    torch.testing.assert_close(log_weights(inference, X), EVIDENCE.expand(5, -1))
    torch.testing.assert_close(importance_bound(inference, X), EVIDENCE)


def test_the_elbo_is_below_the_evidence_by_the_divergence_from_the_true_posterior():
    gain, variance = 0.3, 0.5
    inference = linear(gain=gain, variance=variance).infer(X, samples=100_000)
    off = (gain - EXACT * W / S2) * X[:, 0]
    gap = 0.5 * (variance / EXACT + off.square() / EXACT - 1 - math.log(variance / EXACT))
    spread = distortion(inference, X).std(0) / math.sqrt(100_000)
    assert ((negative_elbo(inference, X) + EVIDENCE - gap).abs() < 5 * spread).all()
    assert (importance_bound(inference, X) > -negative_elbo(inference, X)).all()


def test_the_rate_of_a_prior_without_closed_form_is_the_mean_over_the_draws():
    q = gaussian(4, 2)
    p = GaussianMixture(torch.zeros(3), torch.randn(3, 2), torch.zeros(3, 2))
    z = q.rsample((7,))
    torch.testing.assert_close(level_rate(Level(q, p, z)), (q.log_prob(z) - p.log_prob(z)).mean(0))


def test_levels_add_up_and_draws_are_averaged():
    top, low = levels()
    x, px = torch.randn(4, 5), gaussian(3, 4, 5, seed=4)
    inference = Inference((top, low), px)
    below = torch.stack([level_rate(Level(DiagonalGaussian(m, v), low.p, low.z)) for m, v in zip(
        low.q.mean, low.q.log_variance, strict=True)]).mean(0)  # fmt: skip
    torch.testing.assert_close(rate(inference), level_rate(top) + below)
    logs = [level.p.log_prob(level.z) - level.q.log_prob(level.z) for level in (top, low)]
    torch.testing.assert_close(log_weights(inference, x), px.log_prob(x) + sum(logs))
    torch.testing.assert_close(path_rate(inference), -sum(log.mean(0) for log in logs))


@pytest.mark.parametrize("samples", [1, 3])
def test_the_rate_of_a_path_has_no_gradient_to_the_parameters_but_through_z(samples):
    top, low = levels(samples, grad=True)
    parameters = [top.q.mean, top.q.log_variance, low.q.mean, low.q.log_variance]
    total = path_rate(Inference((top._replace(z=top.z.requires_grad_()), low), gaussian(1))).sum()
    assert torch.autograd.grad(total, parameters, allow_unused=True, retain_graph=True) == (None,) * 4
    assert torch.autograd.grad(total, top.z)[0].abs().sum() > 0
