"""Draws and log densities of a flow, against a Gaussian whose velocity is known."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from zatlas.latent.probability_flow import EXACT_UP_TO, log_density, times, transported
from zatlas.networks.velocity import velocity


def correlated(dim, seed=0):
    """Mean and covariance of a Gaussian whose axes are none of the units."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return rng.normal(size=dim), (turn * np.geomspace(0.1, 2.0, dim)) @ turn.T


def known_velocity(mean, covariance):
    """E[z - e | u_t = u] for z ~ N(mean, covariance) and e ~ N(0, I), u_t = (1 - t) e + t z."""
    m, s = torch.from_numpy(mean), torch.from_numpy(covariance)
    eye = torch.eye(len(m), dtype=m.dtype)

    def of(t, u):
        both = t**2 * s + (1 - t) ** 2 * eye
        gain = (t * s - (1 - t) * eye) @ torch.linalg.inv(both)
        return m + (u - t * m) @ gain.T

    return of


def drawn(mean, covariance, n, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).multivariate_normal(mean, covariance, n))


def test_the_log_density_of_a_known_gaussian_is_exact_but_for_the_steps():
    mean, covariance = correlated(3)
    z = drawn(mean, covariance, 50)
    truth = multivariate_normal(mean, covariance).logpdf(z.numpy())
    off = {}
    for steps in (8, 16, 32):
        found = log_density(known_velocity(mean, covariance), z, steps=steps)
        off[steps] = np.abs(found.nats - truth)
        assert (found.error_nats == 0).all()
        assert (off[steps] <= found.step_nats).all()  # the error that is stated
    assert off[32].max() < 2e-5
    assert off[16].mean() / off[32].mean() > 10  # of the fourth order: 16 where steps are short enough


def test_the_estimated_trace_is_within_its_stated_error():
    dim = EXACT_UP_TO + 8
    mean, covariance = correlated(dim)
    z = drawn(mean, covariance, 400)
    truth = multivariate_normal(mean, covariance).logpdf(z.numpy())
    options = {"steps": 16, "probes": 16, "generator": torch.Generator().manual_seed(3)}
    found = log_density(known_velocity(mean, covariance), z, **options)
    assert found.error_nats.min() > 0
    off = (found.nats - truth) / np.hypot(found.error_nats, found.step_nats)
    assert (np.abs(off) < 2).mean() > 0.9  # 0.94 of Student's t with 15 degrees of freedom
    whole = np.sqrt(np.square(found.error_nats).sum()) / len(z)
    assert abs((found.nats - truth).mean()) < 4 * whole


def test_draws_have_the_mean_and_the_covariance():
    mean, covariance = correlated(3)
    noise = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draws = transported(known_velocity(mean, covariance), noise, steps=10).numpy()
    np.testing.assert_allclose(draws.mean(0), mean, atol=4 * math.sqrt(2 / 20_000))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.06)


def wild(dim, seed):
    """A network with weights that take N(0, I) somewhere else."""
    torch.manual_seed(seed)
    net = velocity((dim,), width=16, blocks=2).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.4 * torch.randn_like(parameter))
    return lambda t, u: net(t.expand(len(u)), u)


@pytest.mark.parametrize("dim", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_densities_of_any_velocity_integrate_to_one(dim):
    ticks = torch.linspace(-9, 9, 501 if dim == 1 else 41, dtype=torch.float64)
    z = torch.cartesian_prod(*[ticks] * dim).reshape(-1, dim)
    found = log_density(wild(dim, 4), z, steps=16)
    normal = multivariate_normal(np.zeros(dim)).logpdf(z.numpy())
    assert np.abs(found.nats - normal)[normal > -3].max() > 0.2  # it is not where it began
    assert np.exp(found.nats).sum() * float(ticks[1] - ticks[0]) ** dim == pytest.approx(1, abs=5e-3)


@pytest.mark.slow
def test_an_untrained_flow_is_the_standard_normal():
    torch.manual_seed(0)
    for shape in ((5,), (2, 3, 2)):
        dim = math.prod(shape)
        net = velocity(shape, label_dim=3, width=16, blocks=1)
        of = lambda t, u, net=net: net(t.expand(len(u)), u)
        u = torch.randn(7, dim, dtype=torch.float32)
        found = log_density(of, u, steps=6)
        np.testing.assert_allclose(found.nats, multivariate_normal(np.zeros(dim)).logpdf(u.double()), atol=5e-3)
        np.testing.assert_allclose(transported(of, u, steps=6), u, atol=1e-3)


def test_steps_go_from_noise_to_codes():
    ends = times(7)
    assert ends[0] == 0
    assert ends[-1] == pytest.approx(1)
    assert (ends.diff() > 0).all()
    np.testing.assert_allclose(ends + ends.flip(0), 1)
