"""Three estimators of one gradient: all unbiased, their variances known; and two ways down one slope."""

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.explain import reparameterisation
from zatlas.explain.log_variance import START, STEPS, descend, loss, slope_log_variance, slope_sigma
from zatlas.explain.reparameterisation import TARGET, gradients, moments
from zatlas.figures import save

CASES = [(0.0, 1.0), (1.0, 0.2), (-3.0, 2.0), (2.0, 0.5)]


@pytest.mark.parametrize(("mu", "sigma"), CASES)
def test_every_estimator_is_unbiased(mu, sigma):
    single = gradients(mu, sigma, np.random.default_rng(0).standard_normal(100_000))
    exact = [2 * (mu - TARGET), sigma**2]
    np.testing.assert_allclose(moments(mu, sigma)[0], exact, atol=1e-12)
    error = single.std(-1) / np.sqrt(single.shape[-1])
    assert (np.abs(single.mean(-1) - exact) < 4 * error).all()


@pytest.mark.parametrize(("mu", "sigma"), CASES)
def test_variances_are_those_worked_out_by_hand(mu, sigma):
    d, s = mu - TARGET, sigma
    variance = moments(mu, sigma)[1]
    np.testing.assert_allclose(variance[1], [8 * d**2 + 10 * s**2, 10 * d**2 * s**2 + 14 * s**4], rtol=1e-10)
    np.testing.assert_allclose(variance[2], [4 * s**2, d**2 * s**2 + 2 * s**4], rtol=1e-10)
    # of f (z - mu)/s² alone: E f² u² / s² less the square of the gradient, with f = (d + s u)²
    plain = (d**4 + 18 * d**2 * s**2 + 15 * s**4) / s**2 - 4 * d**2
    np.testing.assert_allclose(variance[0, 0], plain, rtol=1e-10)
    single = gradients(mu, sigma, np.random.default_rng(1).standard_normal(400_000))
    np.testing.assert_allclose(single.var(-1), variance, rtol=0.1)


def test_reparameterised_varies_least_at_every_sigma_and_the_more_so_the_narrower(undrawn):
    view = reparameterisation()
    score, baseline, path = view["variances"]
    assert (path < baseline).all()
    assert (path < score).all()
    factor = score[0] / path[0]
    narrow = view["sigmas"] < 0.5
    assert (np.diff(factor[narrow]) < 0).all()
    rows = view.facts["gradients"]
    assert [row["factor"] for row in rows if row["estimator"] == "reparameterised"] == [1.0, 1.0]
    said = f"{rows[0]['factor']:,.1f} times as many draws"
    assert any(said in sentence for sentence in view.sentences)


def test_slopes_are_those_of_the_loss():
    step = 1e-6
    for sigma in (0.05, 0.2, 1.0, 3.0):
        numeric = (loss(0.3, (sigma + step) ** 2) - loss(0.3, (sigma - step) ** 2)) / (2 * step)
        assert slope_sigma(sigma) == pytest.approx(numeric, rel=1e-5)
        log = 2 * np.log(sigma)
        numeric = (loss(0.3, np.exp(log + step)) - loss(0.3, np.exp(log - step))) / (2 * step)
        assert slope_log_variance(log) == pytest.approx(numeric, rel=1e-5)


def test_curvature_at_the_optimum_is_a_half_in_log_variance():
    _, spread = descend(0.1).optimum
    step = 1e-5
    log = 2 * np.log(spread)
    bend = (slope_log_variance(log + step) - slope_log_variance(log - step)) / (2 * step)
    assert bend == pytest.approx(0.5, rel=1e-6)
    bend = (slope_sigma(spread + step) - slope_sigma(spread - step)) / (2 * step)
    assert bend == pytest.approx(2 / spread**2, rel=1e-6)


def test_in_sigma_descent_leaves_the_positive_numbers_and_in_log_variance_it_arrives():
    paths = descend(0.1)
    assert paths.by_sigma[-1, 1] < 0
    assert len(paths.by_sigma) == 3
    assert len(paths.by_log_variance) == STEPS + 1
    mu, spread = paths.by_log_variance[-1, 0], np.exp(0.5 * paths.by_log_variance[-1, 1])
    assert (mu, spread) == pytest.approx(paths.optimum, rel=0.02)
    heights = loss(paths.by_log_variance[:, 0], np.exp(paths.by_log_variance[:, 1]))
    assert (np.diff(heights) <= 1e-12).all()
    gentle = descend(0.05)
    assert (gentle.by_sigma[:, 1] > 0).all()
    assert tuple(gentle.by_sigma[-1]) == pytest.approx(gentle.optimum, rel=1e-3)
    assert tuple(paths.by_sigma[0]) == START


@pytest.mark.parametrize(
    "rate", [0.1, *(pytest.param(rate, marks=pytest.mark.slow) for rate in (1e-6, 0.05, 0.5, 10.0))]
)
def test_any_rate_gives_finite_facts_and_a_drawing(rate, tmp_path):
    view = reparameterisation(rate=rate, draws=200, mu=1.5, sigma=0.01)
    save(view.figure, tmp_path / "reparameterisation.png")
    assert np.isfinite(list(view.facts["descent"]["last_by_log_variance"].values())).all()


@pytest.mark.parametrize("wrong", [{"sigma": 0}, {"sigma": np.nan}, {"draws": 1}, {"rate": 0}, {"mu": np.inf}])
def test_what_cannot_be_is_refused(wrong, undrawn):
    with pytest.raises(UsageError, match="cannot be shown: give"):
        reparameterisation(**wrong)
