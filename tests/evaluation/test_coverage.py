"""Of 100 repeated estimates 55 to 80 lie within one stated error of mean or truth, or say what is not known."""

import math

import pytest
import torch

from tests.evaluation.test_likelihood import CPU, Aggregate, Held, draws, linear
from zatlas.evaluation import estimate_elbo, mean_figure
from zatlas.evaluation.likelihood import (
    amortisation_gap,
    annealed_importance,
    bidirectional,
    importance_weighted,
    integrated,
    prior_sampled,
    rate_parts,
)
from zatlas.evaluation.likelihood.weights import sampling_error

REPEATS = 100
LIKELY = range(55, 81)

SHAPES = {"wide": {"shift": 1.0}, "narrow": {"shift": 1.0, "widen": 0.3}}


def held(values, errors, truth=None):
    """How many of the repeated values are within their error of the truth, or of their mean."""
    values, errors = torch.as_tensor(values), torch.as_tensor(errors)
    return int(((values - (values.mean() if truth is None else truth)).abs() <= errors).sum())


def by_repeat(values):
    return values.double().unflatten(0, (REPEATS, -1))


@pytest.mark.parametrize(("samples", "share"), [(5, 0.0), (30, 0.0), (300, 0.0), (60, 0.2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_sampling_error_of_importance_weights(shape, samples, share):
    """Narrow posteriors make weights of heavy tails, of which the delta method says a third of their error."""
    model = linear(**SHAPES[shape])
    x = draws(model, 10).repeat(REPEATS, 1)
    words = {"samples": samples, "prior_share": share, "rows_at_once": 100_000}
    curve = importance_weighted(model, Held(x, batch_size=2000), device=CPU, **words)
    said = [sampling_error(one, "")["sampling_error"].value for one in by_repeat(curve.variance)]
    assert held(by_repeat(curve.log_likelihood).mean(1), said) in LIKELY


def test_sampling_error_of_annealing():
    model = linear()
    x = draws(model, 10).repeat(REPEATS, 1)
    found = annealed_importance(
        model, Held(x, batch_size=1000), chains=8, temperatures=4, leapfrogs=2, device=CPU, rows_at_once=8000
    )
    said = [sampling_error(one, "")["sampling_error"].value for one in by_repeat(found.variance)]
    assert held(by_repeat(found.log_likelihood).mean(1), said) in LIKELY


def test_sampling_error_of_draws_that_examples_share():
    model = linear()
    x = draws(model, 20)
    runs = [prior_sampled(model, Held(x, batch_size=20), samples=100, device=CPU, seed=i) for i in range(REPEATS)]
    said = [run.figures()["sampling_error"].value for run in runs]
    assert held([run.log_likelihood.mean() for run in runs], said) in LIKELY


def elbo(model, batches):
    found = estimate_elbo(model, batches, device=CPU)
    return {"elbo": -found.distortion - found.rate, "distortion": found.distortion, "rate": found.rate}


def weighted(model, batches):
    curve = importance_weighted(model, batches, samples=30, device=CPU, rows_at_once=20_000)
    return {"log_likelihood": curve.log_likelihood, "effective_sample_size": curve.effective_sample_size}


def optimised(model, batches):
    found = amortisation_gap(model, batches, steps=20, final_samples=20, device=CPU, rows_at_once=10_000)
    return {"amortised": found.amortised, "gap": found.optimised - found.amortised}


def both_ways(model, batches):
    found = bidirectional(
        model, len(batches), chains=4, temperatures=4, leapfrogs=2, device=CPU, rows_at_once=8000, seed=7
    )
    return {"lower": found.lower, "upper": found.upper, "gap": found.upper - found.lower}


def on_a_grid(model, batches):
    return {"log_likelihood": integrated(model, batches, device=CPU).log_likelihood}


@pytest.mark.parametrize(
    "estimate",
    [elbo, weighted, pytest.param(optimised, marks=pytest.mark.slow), both_ways, on_a_grid],
    ids=lambda f: f.__name__,
)
def test_standard_errors_over_examples(estimate):
    """New examples and new draws in every repeat."""
    model = linear(units=1)
    values = estimate(model, Held(draws(model, 20 * REPEATS), batch_size=500))
    for name, value in values.items():
        figures = [mean_figure(one, "") for one in by_repeat(value)]
        count = held([figure.value for figure in figures], [figure.standard_error for figure in figures])
        assert count in LIKELY, name


def aggregate(n, rho, s, units, seed):
    """n codes whose posteriors of variance s make a Gaussian of unit variances and covariance rho (1 - s)."""
    generator = torch.Generator().manual_seed(seed)
    covariance = (1 - s) * (rho * torch.ones(units, units) + (1 - rho) * torch.eye(units))
    x = torch.randn(n, units, generator=generator) @ torch.linalg.cholesky(covariance).T
    total = -0.5 * torch.logdet(covariance + s * torch.eye(units)).item()
    information = -0.5 * units * math.log(s) - total
    return x, {"mutual_information": information, "total_correlation": total, "dimension_wise_kl": 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "s", "units"), [(0.8, 0.2, 2), (0.3, 0.1, 6)])
def test_parts_of_the_rate_from_few_examples(rho, s, units):
    """Either the error holds the truth, or the caution says that the bounds are all that is known; and they hold it."""
    figures, bounds = [], []
    for seed in range(REPEATS):
        x, truth = aggregate(100, rho, s, units, seed)
        parts = rate_parts(Aggregate(units, s), Held(x, batch_size=100), device=CPU, seed=1000 + seed)
        figures.append(parts.figures())
        bounds.append(parts.bounds())
    for name, value in truth.items():
        mine = [one[name] for one in figures]
        count = held([one.value for one in mine], [one.standard_error for one in mine], value)
        assert count in LIKELY or sum(bool(one.caution) for one in mine) > REPEATS / 2, name
        inside = [
            low - 2 * f.standard_error <= value <= high + 2 * f.standard_error
            for f, (low, high) in zip(mine, (one[name] for one in bounds), strict=True)
        ]
        assert sum(inside) >= 90, name


@pytest.mark.parametrize(("rho", "s"), [(0.8, 0.05), (0.8, 0.005)])
def test_parts_of_the_rate_do_not_move_with_the_number_of_examples(rho, s):
    found = {}
    for n in (300, 10_000):
        x, truth = aggregate(n, rho, s, 2, seed=3)
        found[n] = rate_parts(
            Aggregate(2, s), Held(x, batch_size=1000), device=CPU, seed=1, examples=300, pairs_at_once=10**6
        )
    few, many = (found[n].figures() for n in (300, 10_000))
    for name, value in truth.items():
        assert abs(few[name].value - many[name].value) <= 2 * few[name].standard_error, name
        for parts in found.values():
            low, high = parts.bounds()[name]
            error = 2 * parts.figures()[name].standard_error
            assert low - error <= value <= high + error, name
    assert few["mutual_information"].estimator.endswith(f"log N = {math.log(300):.2f}")
