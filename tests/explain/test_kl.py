"""Divergences agree with torch's, with one another, and with draws."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence

from zatlas.errors import UsageError
from zatlas.explain import discrete_kl, gaussian_kl, kl_curves, kl_fit
from zatlas.explain.kl_fit import kl, normal
from zatlas.figures import save

rng = np.random.default_rng(0)


def covariance(dims):
    half = rng.normal(size=(dims, dims))
    return half @ half.T + 0.1 * np.eye(dims)


@pytest.mark.parametrize("outcomes", [1, 2, 3, 50])
def test_discrete_kl_is_torchs_and_its_terms_sum_to_it(outcomes, undrawn):
    p, q = rng.dirichlet(np.ones(outcomes), 2)
    view = discrete_kl(p, q)
    theirs = [kl_divergence(Categorical(torch.tensor(a)), Categorical(torch.tensor(b))) for a, b in ((p, q), (q, p))]
    np.testing.assert_allclose([view.facts["kl_pq_nats"], view.facts["kl_qp_nats"]], theirs, atol=1e-12)
    np.testing.assert_allclose([view["forward"].sum(), view["reverse"].sum()], theirs, atol=1e-12)
    assert min(theirs) >= -1e-12
    assert discrete_kl(p, p).facts["kl_pq_nats"] == 0


@pytest.mark.slow
def test_discrete_kl_is_infinite_where_q_alone_is_zero_and_says_where(tmp_path):
    view = discrete_kl([0.1, 0.4, 0.5], [0.8, 0.2, 0.0])
    assert view.facts["kl_pq_nats"] is None
    assert view.facts["kl_qp_nats"] == pytest.approx(0.8 * np.log(8) + 0.2 * np.log(0.5))
    assert "infinite: outcome 3 has probability 0.5 under P and 0 under Q" in view.sentences[0]
    save(view.figure, tmp_path / "kl.png")
    both = discrete_kl([0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5])
    assert both.facts["kl_pq_nats"] is both.facts["kl_qp_nats"] is None
    save(both.figure, tmp_path / "kl.png")
    assert discrete_kl([0.5, 0.5, 0], [0.25, 0.75, 0]).facts["kl_pq_nats"] == pytest.approx(np.log(4 / 3) / 2)


def test_discrete_kl_normalises_when_asked(undrawn):
    view = discrete_kl([1, 2, 3], [3, 2, 1], normalise=True)
    np.testing.assert_allclose(view["p"], [1 / 6, 2 / 6, 3 / 6])
    with pytest.raises(UsageError, match=r"the probabilities of P sum to 6, not to 1: .*--normalise"):
        discrete_kl([1, 2, 3], [3, 2, 1])


@pytest.mark.parametrize(
    ("p", "says"),
    [
        ([0.5, float("nan")], "P holds nan"),
        ([1.5, -0.5], "P holds -0.5"),
        ([0.5, float("inf")], "P holds inf"),
        ([0.2, 0.3, 0.5], "P has 3 outcomes and Q 2"),
        ([[0.5, 0.5]], "P is no list"),
        ([], "P is no list"),
        ([0.0, 0.0], "sum to 0"),
        ([0.3, 0.3], "sum to 0.6"),
    ],
)
def test_what_is_no_distribution_is_refused(p, says, undrawn):
    with pytest.raises(UsageError, match=says):
        discrete_kl(p, [0.5, 0.5])


@pytest.mark.parametrize("dims", [1, 2, 3, 6])
def test_gaussian_kl_is_torchs_for_any_covariances(dims, undrawn):
    mean1, mean2 = rng.normal(size=(2, dims))
    cov1, cov2 = covariance(dims), covariance(dims)
    view = gaussian_kl(mean1, cov1, mean2, cov2, draws=20_000)
    one, two = (MultivariateNormal(torch.tensor(m), torch.tensor(c)) for m, c in ((mean1, cov1), (mean2, cov2)))
    assert view.facts["kl_nats"] == pytest.approx(float(kl_divergence(one, two)), rel=1e-9)
    assert view.facts["reverse_kl_nats"] == pytest.approx(float(kl_divergence(two, one)), rel=1e-9)
    one, two = (Normal(torch.tensor(m), torch.tensor(np.diag(c)).sqrt()) for m, c in ((mean1, cov1), (mean2, cov2)))
    assert view.facts["diagonal_nats"] == pytest.approx(float(kl_divergence(one, two).sum()), rel=1e-9)
    assert abs(view.facts["monte_carlo"]["z"]) < 4


def test_against_a_diagonal_the_simplification_lacks_the_total_correlation(undrawn):
    cov1, cov2 = covariance(4), np.diag(rng.uniform(0.5, 2, 4))
    facts = gaussian_kl(np.ones(4), cov1, np.zeros(4), cov2, draws=10).facts
    total_correlation = 0.5 * (np.log(np.diag(cov1)).sum() - np.linalg.slogdet(cov1)[1])
    assert facts["kl_nats"] - facts["diagonal_nats"] == pytest.approx(total_correlation)


def test_the_estimates_error_is_honest_and_its_last_is_the_one_that_is_said(undrawn):
    truth = gaussian_kl([0.5, 0], [[1, 0.3], [0.3, 0.5]], draws=10).facts["kl_nats"]
    z = []
    for seed in range(60):
        view = gaussian_kl([0.5, 0], [[1, 0.3], [0.3, 0.5]], draws=400, seed=seed)
        facts = view.facts["monte_carlo"]
        z.append((facts["value"] - truth) / facts["standard_error"])
        assert z[-1] == pytest.approx(facts["z"])
        assert view["estimate"][-1] == pytest.approx(facts["value"])
        assert view["standard_error"][-1] == pytest.approx(facts["standard_error"])
    assert abs(np.mean(z)) < 0.5
    assert 0.75 < np.std(z) < 1.3


@pytest.mark.slow
def test_curves_and_fits_are_drawn(tmp_path):
    for view in (kl_curves(), kl_fit(), kl_fit(means=(0.5, 0.5), sigmas=(0.7, 0.7))):
        save(view.figure, tmp_path / "kl.png")


@pytest.mark.slow
def test_gaussians_of_any_dimension_are_drawn(tmp_path):
    for dims in (1, 2, 5):
        save(gaussian_kl(np.ones(dims), covariance(dims), draws=50).figure, tmp_path / "kl.png")
    save(gaussian_kl([0.0], [[1.0]], draws=2).figure, tmp_path / "kl.png")  # the divergence of a Gaussian from itself


@pytest.mark.parametrize(
    ("mean", "cov", "says"),
    [
        ([0, 0], [[1, 0.5], [0.4, 1]], "covariance 1 is not symmetric"),
        ([0, 0], [[1, 2], [2, 1]], "covariance 1 is not positive definite: its lowest eigenvalue is -1"),
        ([0], [[0.0]], "not positive definite"),
        ([0, 0], [[1.0]], "do not fit"),
        ([0, 0], [1.0, 1.0], "do not fit"),
        ([], [], "do not fit"),
        ([np.nan], [[1.0]], "holds NaN"),
        ([0, 0, 0], np.eye(3), "3 dimensions and the second 2"),
    ],
)
def test_what_is_no_gaussian_is_refused(mean, cov, says, undrawn):
    with pytest.raises(UsageError, match=says):
        gaussian_kl(mean, cov, [0, 0], np.eye(2))


def test_the_cases_of_the_lecture_and_the_curves(undrawn):
    view = kl_curves()
    small, huge = view.facts["cases"]
    assert small["kl_nats"] == pytest.approx(0.3181, abs=1e-4)
    assert huge["kl_nats"] == pytest.approx(5001.8076, abs=1e-4)
    for name, mu, sigma in (
        ("over_mu", view["mu"], view["sigmas"][:, None]),
        ("over_sigma", view["mus"][:, None], view["sigma"]),
        ("map", view["wide_mu"], view["sigma"][:, None]),
    ):
        mu, sigma = (torch.tensor(a) for a in np.broadcast_arrays(mu, sigma))
        theirs = kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0))
        np.testing.assert_allclose(view[name], theirs, rtol=1e-9, atol=1e-12)


def test_covering_and_seeking_are_minima_each_of_its_own_direction(undrawn):
    view = kl_fit()
    x, p = view["x"], view["p"]
    covers = lambda at: kl(x, p, normal(x, *at))
    seeks = lambda at: kl(x, normal(x, *at), p)
    for cost, fit in ((covers, view["covering"]), *((seeks, one) for one in view["seeking"])):
        here = cost(fit)
        around = [cost(np.array(fit) + step) for step in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02))]
        assert here < min(around)
    assert len(view["seeking"]) == 2
    values = [one["kl_nats"] for one in view.facts["seeking"]]
    assert values == sorted(values)
    assert seeks(view["seeking"][0]) < seeks(view["covering"])
    assert covers(view["covering"]) < covers(view["seeking"][0])


def test_two_bumps_that_are_one_have_one_fit_and_it_is_exact(undrawn):
    view = kl_fit(means=(0.5, 0.5), sigmas=(0.7, 0.7))
    np.testing.assert_allclose(view["covering"], [0.5, 0.7])
    np.testing.assert_allclose(view["seeking"], [[0.5, 0.7]], atol=1e-4)
    with pytest.raises(UsageError):
        kl_fit(weight=1.0)
