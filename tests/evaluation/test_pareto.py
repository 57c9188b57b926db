"""The Pareto tail of weights, against draws of a known shape and another implementation; and what follows from it."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import genpareto

from tests.evaluation.test_likelihood import CPU, Held, close, draws, linear
from zatlas.evaluation.likelihood import annealed_importance, importance_weighted, integrated
from zatlas.evaluation.likelihood.pareto import pareto_k, tail_size
from zatlas.evaluation.likelihood.weights import Running, settled_by, trust


def largest(log_w):
    return log_w.topk(tail_size(len(log_w)) + 1, 0).values


@pytest.mark.parametrize("k", [-0.3, 0.1, 0.5, 0.7, 1.0, 2.0])
def test_k_is_that_of_the_distribution_that_weights_are_drawn_from(k):
    w = genpareto.rvs(k, size=(5000, 30), random_state=0)
    found = pareto_k(largest(torch.tensor(np.log(w))))
    assert found.mean().item() == pytest.approx(k, abs=0.08, rel=0.08)


@pytest.mark.parametrize(
    ("count", "k", "reference"),
    [(1000, 0.1, 0.1501), (1000, 0.7, 0.6699), (1000, 2.0, 1.7961), (30, 0.5, 0.4402), (30, 2.0, 0.8436)],
)
def test_k_agrees_with_arviz(count, k, reference):
    """psislw of arviz-stats 0.8.0 on the same weights, the quantiles of a generalised Pareto distribution."""
    log_w = np.log(genpareto.ppf((np.arange(count) + 0.5) / count, k))
    assert pareto_k(largest(torch.tensor(log_w)[:, None])).item() == pytest.approx(reference, abs=0.004)


def test_weights_without_a_tail_and_weights_that_vanish_beside_the_largest():
    torch.manual_seed(0)
    rounding = -150 + 1e-5 * torch.randn(96, 2)
    assert pareto_k(torch.zeros(96, 2)).tolist() == [0, 0]
    assert pareto_k(rounding).tolist() == [0, 0]
    assert pareto_k(4000 * torch.randn(96, 2)).tolist() == [math.inf, math.inf]
    ties = torch.cat([torch.zeros(60, 1), torch.rand(36, 1)])
    assert -1 < pareto_k(ties).item() < 1


def test_k_does_not_depend_on_how_the_weights_arrive():
    torch.manual_seed(0)
    log_w = 3 * torch.randn(1000, 4)
    found = []
    for size in (1000, 7):
        running = Running(1000)
        for piece in log_w.split(size):
            running.add(piece)
        found.append(running.table())
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)
    close(found[0][-1], pareto_k(largest(log_w)), 1e-9)


def test_what_a_bad_encoder_missed_is_said_to_be_unknown():
    model = linear(shift=4.0, widen=0.3)
    x = draws(model, 50)
    figures = importance_weighted(model, Held(x, batch_size=50), samples=200, device=CPU).figures()
    truth = integrated(model, Held(x, batch_size=50), device=CPU).figures()["log_likelihood"].value
    heavy = figures["high_khat"]
    assert truth - figures["log_likelihood"].value > 10 * figures["sampling_error"].value
    assert heavy.count == 50
    assert heavy.value > 10
    caution = figures["log_likelihood"].caution
    assert f"{heavy.value} of 50 examples" in caution
    assert "gap is not known" in caution
    assert caution.endswith("quadrature would settle it.")
    assert "too high" in figures["effective_sample_size"].caution


def test_a_good_encoder_has_no_caution():
    model = linear()
    figures = importance_weighted(model, Held(draws(model, 50)), samples=200, device=CPU).figures()
    assert figures["high_khat"].value == 0
    assert not any(figure.caution for figure in figures.values())


def test_few_heavy_tails_among_many_are_let_pass():
    khat = torch.zeros(1000)
    khat[:10] = 2.0
    assert trust(khat, 100, "draws", "")[1] == ""
    khat[:11] = 2.0
    figures, caution = trust(khat, 100, "draws", "more would settle it")
    assert figures["high_khat"].value == 11
    assert "11 of 1,000" in caution


@pytest.mark.parametrize(("samples", "known"), [(1, False), (4, False), (5, True), (24, True)])
def test_too_few_draws_say_what_they_cannot_tell(samples, known):
    model = linear()
    figures = importance_weighted(model, Held(draws(model)), samples=samples, device=CPU).figures()
    caution = figures["log_likelihood"].caution
    assert ("sampling_error" in figures) is known
    assert "high_khat" not in figures
    assert "too few to tell how far below log p(x)" in caution
    assert ("another seed" in caution) is not known
    chains = annealed_importance(model, Held(draws(model, 3)), chains=samples, temperatures=2, leapfrogs=1, device=CPU)
    assert ("sampling_error" in chains.figures()) is known
    assert "chain" in chains.figures()["log_likelihood"].caution


def test_what_would_settle_it_is_what_the_model_allows():
    assert settled_by((2,)).startswith("quadrature")
    assert settled_by((8,)).startswith("annealed")
    assert settled_by((2, 2)).startswith("more samples")
