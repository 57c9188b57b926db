"""log p(x) = ELBO + KL to the posterior, each by an integral of its own, and every bound is in its place."""

import numpy as np
import pytest
from scipy.integrate import quad

from zatlas.errors import UsageError
from zatlas.explain import elbo
from zatlas.explain.elbo import GROUPS, Model, expected, mean_of, parts_of
from zatlas.figures import save

CASES = [(1.0, 0.5), (-1.0, 0.5), (3.0, 0.2), (0.0, 2.0), (30.0, 1.0)]


def density(x, mean, sigma):
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


@pytest.mark.parametrize(("x", "noise"), CASES)
def test_log_p_is_the_integral_of_the_joint(x, noise):
    peaks = np.roots([0.5, 0.5, -x]).real
    whole, _ = quad(
        lambda z: density(x, mean_of(z), noise) * density(z, 0, 1), -30, 30, points=sorted(peaks), limit=500,
        epsabs=1e-300,
    )  # fmt: skip
    assert Model(x, noise).log_evidence() == pytest.approx(np.log(whole), abs=1e-6)


@pytest.mark.parametrize(("x", "noise"), CASES)
@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (-1.0, 0.6), (1.0, 0.05), (-3.0, 2.0), (6.0, 0.5)])
def test_elbo_and_gap_sum_to_log_p(x, noise, mu, sigma):
    evidence = Model(x, noise).log_evidence()
    parts = parts_of(Model(x, noise), mu, sigma, evidence)
    assert parts.elbo + parts.gap == pytest.approx(evidence, abs=1e-6, rel=1e-9)
    assert parts.gap >= 0
    assert parts.rate >= 0
    assert parts.elbo == pytest.approx(float(expected(Model(x, noise), mu, sigma)))


def test_the_terms_are_the_expectations_that_they_are_called():
    mu, sigma, model = -0.4, 0.7, Model(1.0, 0.5)
    parts = parts_of(model, mu, sigma, model.log_evidence())
    z = mu + sigma * np.random.default_rng(0).standard_normal(400_000)
    drawn = np.log(density(1.0, mean_of(z), 0.5))
    assert parts.reconstruction == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(len(z)))
    drawn = np.log(density(z, mu, sigma) / density(z, 0, 1))
    assert parts.rate == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(len(z)))


@pytest.mark.parametrize(("x", "noise"), CASES[:4])
def test_no_gaussian_is_better_than_the_best(x, noise, undrawn):
    view = elbo(x=x, noise=noise)
    best = view.facts["best"]
    assert best["elbo"] >= view["map"].max() - 1e-9
    assert best["elbo"] < view.facts["log_px_nats"]
    at = np.array([best["mu"], np.log(best["sigma"])])
    for step in np.array([[0.01, 0], [-0.01, 0], [0, 0.01], [0, -0.01]]):
        mu, log_sigma = at + step
        assert expected(Model(x, noise), mu, np.exp(log_sigma)) < best["elbo"]


def test_bounds_are_ordered_and_the_first_is_the_elbo(undrawn):
    view = elbo()
    assert list(view["samples"]) == list(GROUPS)
    for row, errors, name in zip(view["iwae"], view["iwae_error"], ("q", "best"), strict=True):
        assert (np.diff(row) > 0).all()
        assert abs(row[0] - view.facts[name]["elbo"]) < 4 * errors[0]
        assert (row < view.facts["log_px_nats"] + 4 * errors).all()


def test_densities_are_densities(undrawn):
    view = elbo(mu=0.5)
    for name in ("prior", "posterior", "q", "best"):
        assert np.trapezoid(view[name], view["z"]) == pytest.approx(1, abs=1e-3)


def test_a_second_top_is_told_of_where_there_is_one(undrawn):
    assert any("another top" in sentence for sentence in elbo(x=3, noise=0.2).sentences)
    assert not any("another top" in sentence for sentence in elbo(x=-1).sentences)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"x": 3, "noise": 0.2}, marks=pytest.mark.slow),
        pytest.param({"x": -40, "noise": 0.05, "mu": 20, "sigma": 10}, marks=pytest.mark.slow),
        pytest.param({"noise": 100}, marks=pytest.mark.slow),
    ],
)
def test_it_is_drawn_wherever_q_is(settings, tmp_path):
    view = elbo(**settings)
    save(view.figure, tmp_path / "elbo.png")
    assert np.isfinite(view["map"]).all()


@pytest.mark.parametrize("wrong", [{"sigma": 0}, {"sigma": -1}, {"noise": 0}, {"mu": np.nan}, {"x": 1e9}])
def test_what_no_grid_can_hold_is_refused(wrong, undrawn):
    with pytest.raises(UsageError, match="cannot be integrated on a grid here: give"):
        elbo(**wrong)
