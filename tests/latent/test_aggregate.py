"""Priors fitted to codes: against densities that are known, and against damage."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from zatlas.errors import UsageError, ZatlasError
from zatlas.latent.aggregate import ExPostPrior, fit_flow, fit_mixture

CENTRES = np.array([[-6.0, 0, 1], [6, 0, 1], [0, 6, -3], [0, -6, 40]])
SHARES = np.array([0.4, 0.3, 0.2, 0.1])
SHAPE = np.array([[1.0, 0.6, 0], [0.6, 1, 0], [0, 0, 0.01]])


def clusters(n, seed=0):
    """Codes of a known mixture of four correlated Gaussians."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(4, n, p=SHARES)
    return (CENTRES[chosen] + rng.multivariate_normal(np.zeros(3), SHAPE, n)).astype(np.float32)


def true_log_prob(z):
    each = [
        np.log(share) + multivariate_normal(centre, SHAPE).logpdf(z)
        for share, centre in zip(SHARES, CENTRES, strict=True)
    ]
    return np.logaddexp.reduce(each)


def ring(n=3000, thickness=0.03, seed=0):
    """Codes about a circle of radius 5 around (2, -1), as of an autoencoder."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, n), 5 + thickness * rng.normal(size=n)
    return np.stack([2 + radius * np.cos(angle), -1 + radius * np.sin(angle)], 1).astype(np.float32)


def off_the_ring(z):
    return np.abs(np.hypot(z[:, 0] - 2, z[:, 1] + 1) - 5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_known_mixture_is_found_with_its_number_and_its_likelihood(seed):
    z = clusters(3000, seed)
    prior = fit_mixture(z, seed=seed)
    assert prior.facts["components"] == 4
    fresh = clusters(4000, seed=100)
    truth = true_log_prob(fresh)
    assert truth.mean() - prior.log_prob(fresh).mean() == pytest.approx(0.01, abs=0.02)
    assert np.abs(prior.log_prob(fresh) - truth).mean() < 0.1
    f = prior.facts
    assert abs(f["held_out_nats"] - truth.mean()) < 4 * math.hypot(f["held_out_error_nats"], truth.std() / 63)
    assert f["standard_normal_nats"] < f["gaussian_nats"] < f["held_out_nats"] - 1
    assert prior.describe().startswith("mixture of 4 Gaussians, held-out -")


def test_one_gaussian_is_enough_for_one_gaussian():
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=(4000, 5)) * np.sqrt(0.75), np.full((4000, 5), 0.5)
    prior = fit_mixture(mean, std)  # the aggregate posterior is N(0, I) itself
    assert prior.facts["components"] == 1
    assert prior.facts["held_out_nats"] == pytest.approx(prior.facts["standard_normal_nats"], abs=0.05)
    np.testing.assert_allclose(np.cov(prior.sample(20_000).T), np.eye(5), atol=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("fit", [fit_mixture, lambda z: fit_flow(z, hidden=32, steps=60)])
def test_densities_integrate_to_one_and_draws_follow_them(fit):
    prior = fit(ring(1500, thickness=0.3))
    ticks = np.linspace(-12, 12, 200)
    plane = np.stack(np.meshgrid(ticks + 2, ticks - 1), -1).reshape(-1, 2)
    density = np.exp(prior.log_prob(plane))
    cell = (ticks[1] - ticks[0]) ** 2
    assert density.sum() * cell == pytest.approx(1, abs=0.02)
    draws = prior.sample(20_000, seed=3)
    mean = (density[:, None] * plane).sum(0) * cell
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.15)
    # E[-log p] over draws is the integral of -p log p
    entropy = -(density * np.log(density.clip(1e-300))).sum() * cell
    assert -prior.log_prob(draws).mean() == pytest.approx(entropy, abs=0.06)


@pytest.mark.slow
def test_samples_of_codes_on_a_ring_lie_on_the_ring():
    prior = fit_mixture(ring())
    draws = prior.sample(2000)
    assert np.median(off_the_ring(draws)) < 0.1
    assert np.quantile(off_the_ring(draws), 0.95) < 0.5
    gaussian = fit_mixture(ring(), components=1)
    assert np.median(off_the_ring(gaussian.sample(2000))) > 1
    assert gaussian.describe().startswith("one Gaussian, ")


@pytest.mark.slow
def test_a_flow_finds_the_ring_too():
    prior = fit_flow(ring(1500), hidden=48, steps=300)
    assert prior.facts["held_out_nats"] > prior.facts["gaussian_nats"] + 0.7
    assert np.median(off_the_ring(prior.sample(2000))) < 0.3


def test_draws_from_the_posterior_are_fitted_and_not_its_means():
    mean, std = np.zeros((4000, 2)) + 3, np.tile([0.1, 2.0], (4000, 1))
    np.testing.assert_allclose(fit_mixture(mean, std).sample(20_000).std(0), [0.1, 2.0], rtol=0.05)


def test_units_that_do_not_vary_have_a_finite_density():
    z = np.concatenate([ring(1000), np.full((1000, 1), 7, np.float32)], 1)
    prior = fit_mixture(z)
    assert np.isfinite(prior.log_prob(z)).all()
    np.testing.assert_allclose(prior.sample(500)[:, 2], 7, atol=0.05)


def test_many_units_have_a_diagonal_mixture_along_the_axes_of_all():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(900, 5)) @ rng.normal(size=(5, 400)) + 0.1 * rng.normal(size=(900, 400))
    prior = fit_mixture(z)
    assert prior.facts["covariance"] == "diagonal"
    draws = prior.sample(900)
    assert np.isfinite(draws).all()
    assert np.isfinite(prior.log_prob(draws)).all()
    unit = np.sqrt(np.outer(z.var(0), z.var(0)))
    assert np.abs((np.cov(draws.T) - np.cov(z.T)) / unit).mean() < 0.1  # correlations, kept by the axes


@pytest.mark.parametrize("fit", [fit_mixture, lambda z: fit_flow(z, hidden=16, steps=20)])
def test_a_saved_prior_is_the_same_bit_for_bit(fit, tmp_path):
    before = torch.get_rng_state()
    prior, again = fit(clusters(500)), fit(clusters(500))
    path = prior.save(tmp_path / "prior.safetensors")
    assert path.read_bytes() == again.save(tmp_path / "again.safetensors").read_bytes()
    loaded = ExPostPrior.load(path)
    assert (loaded.kind, loaded.latent_dim, loaded.facts) == (prior.kind, 3, prior.facts)
    z = prior.sample(100, seed=5)
    assert z.dtype == np.float32
    assert np.array_equal(z, loaded.sample(100, seed=5))
    assert not np.array_equal(z, loaded.sample(100, seed=6))
    assert np.array_equal(prior.log_prob(z), loaded.log_prob(z))
    assert torch.equal(before, torch.get_rng_state())


def test_damage_is_named_in_a_sentence(tmp_path):
    path = fit_mixture(clusters(300), components=2).save(tmp_path / "prior.safetensors")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, 4, 9, len(whole) - 1, *rng.integers(0, len(whole), 40)]:
        altered = bytearray(whole)
        altered[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(altered)
        with pytest.raises(ZatlasError, match=r"prior\.safetensors is (damaged|no prior)"):
            ExPostPrior.load(path)
    for length in (0, 5, 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ZatlasError, match=r"prior\.safetensors is damaged"):
            ExPostPrior.load(path)
    with pytest.raises(ZatlasError, match="is missing"):
        ExPostPrior.load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("fit", [fit_mixture, fit_flow])
def test_codes_that_cannot_be_are_refused(fit):
    z = clusters(100)
    with pytest.raises(ZatlasError, match="all codes are the same"):
        fit(np.full((50, 2), 0.1))
    with pytest.raises(ZatlasError, match="5 codes are too few for a density over 3 units: encode at least 8"):
        fit(z[:5])
    with pytest.raises(UsageError, match=r"\[100, 3\], \[100, 2\]"):
        fit(z, z[:, :2])
    with pytest.raises(UsageError, match=r"\[100\]"):
        fit(z[:, 0])
    for broken in (np.nan, np.inf):
        z[7, 1] = broken
        with pytest.raises(ZatlasError, match="NaN or infinity, first in row 7"):
            fit(z)
        with pytest.raises(ZatlasError, match="NaN or infinity, first in row 7"):
            fit(clusters(100), z)


def test_words_that_are_wrong_are_refused():
    prior = fit_mixture(clusters(100), components=1)
    with pytest.raises(UsageError, match="over 3 units"):
        prior.log_prob(np.zeros((4, 2)))
    with pytest.raises(UsageError, match="give 1 to 80"):
        fit_mixture(clusters(100), components=81)
    assert len(fit_mixture(clusters(8)).sample(0)) == 0
