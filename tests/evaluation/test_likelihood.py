"""log p(x) against models whose evidence is known, and the laws of the bounds."""

import itertools
import math

import pytest
import torch
from torch import nn

from zatlas.distributions import Bernoulli, DiagonalGaussian
from zatlas.errors import UsageError
from zatlas.evaluation.likelihood import (
    amortisation_gap,
    importance_weighted,
    integrated,
    prior_sampled,
    rate_parts,
)
from zatlas.evaluation.likelihood.weights import Running, curve_points
from zatlas.models import LatentVariableModel
from zatlas.models.linear import LinearGaussian
from zatlas.networks import ConditionalNormal, StandardNormal
from zatlas.objectives.bounds import negative_elbo
from zatlas.types import Batch

CPU = torch.device("cpu")


class Held:
    """Examples in batches of a given size."""

    def __init__(self, x, y=None, batch_size=7):
        self.x, self.y, self.size = x, y, batch_size

    def __len__(self):
        return len(self.x)

    def epoch(self, number, start=0):
        for i in range(0, len(self.x), self.size):
            piece = slice(i, i + self.size)
            yield Batch(self.x[piece], None if self.y is None else self.y[piece])


class Wrong(LinearGaussian):
    """The linear model with a diagonal posterior that is shifted and too wide: its bounds are loose."""

    def __init__(self, *args, shift=0.3, widen=1.4, **keywords):
        super().__init__(*args, **keywords)
        self.shift, self.widen = shift, widen

    def encode(self, x, y=None):
        q = super().encode(x)
        mean, log_variance = q.mean + self.shift * q.stddev, q.variance.log() + 2 * math.log(self.widen)
        return DiagonalGaussian(mean.float(), log_variance.float().expand_as(mean))


def linear(kind=Wrong, features=6, units=2, seed=0, **keywords):
    torch.manual_seed(seed)
    model = kind((features,), units, **keywords)
    with torch.no_grad():
        model.weight.mul_(1.5)
        model.mean.normal_()
    return model


def draws(model, n=20, seed=1):
    torch.manual_seed(seed)
    with torch.no_grad():
        return model.generate(n).px.sample()[0].float()


def close(found, exact, atol):
    torch.testing.assert_close(found.double(), exact.detach().double(), atol=atol, rtol=0)


@pytest.mark.parametrize("samples", [1, 30])
def test_the_bound_of_an_exact_posterior_is_log_p_at_every_k(samples):
    model = linear(LinearGaussian)
    x = draws(model)
    curve = importance_weighted(model, Held(x), samples=samples, device=CPU)
    for value in curve.at.values():
        close(value, model.log_marginal(x), 1e-4)
    close(curve.effective_sample_size, torch.full((20,), samples), 1e-2 * samples)


@pytest.mark.slow
def test_bounds_rise_with_k_to_log_p_and_do_not_pass_it():
    model = linear(shift=1.0)
    x = draws(model, 400)
    exact = model.log_marginal(x).detach()
    curve = importance_weighted(model, Held(x, batch_size=100), samples=1000, device=CPU, seed=3)
    assert list(curve.at) == [1, 10, 100, 1000]
    means = [value.mean() for value in curve.at.values()]
    assert all(a < b for a, b in itertools.pairwise(means))
    for value in curve.at.values():
        excess = (value - exact).double()
        assert excess.mean() < 4 * excess.std() / math.sqrt(len(x))
    assert exact.mean() - curve.at[1].mean() > 0.5
    assert abs(exact.mean() - curve.log_likelihood.mean()) < 0.02
    with torch.no_grad():
        elbo = -torch.stack([negative_elbo(model.infer(x, samples=50), x) for _ in range(4)]).mean(0)
    gap = (curve.at[1] - elbo).double()
    assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(len(x))


def test_iwae_5000_is_exact_to_a_twentieth_of_a_nat():
    model = linear()
    x = draws(model, 8)
    curve = importance_weighted(model, Held(x), samples=5000, device=CPU)
    close(curve.log_likelihood, model.log_marginal(x), 0.05)


class Misled(LinearGaussian):
    """The linear model with an encoder that is sure of the wrong place for every third example."""

    def encode(self, x, y=None):
        q = super().encode(x)
        wrong = torch.arange(len(x), device=x.device) % 3 == 0
        mean = torch.where(wrong[:, None], q.mean + 4.0, q.mean)
        return DiagonalGaussian(mean.float(), (q.variance.log() - 1.0).float().expand_as(mean))


@pytest.mark.slow
def test_draws_of_the_prior_find_what_the_encoder_missed():
    model = linear(Misled)
    x = draws(model, 30)
    exact = model.log_marginal(x).detach()
    plain = importance_weighted(model, Held(x, batch_size=30), samples=5000, device=CPU)
    assert (exact - plain.log_likelihood)[::3].mean() > 1.0
    defended = importance_weighted(model, Held(x, batch_size=30), samples=5000, device=CPU, prior_share=0.5)
    close(defended.log_likelihood, exact, 0.5)
    assert defended.estimator.endswith("50% of the draws from the prior")


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_defended_bound_is_as_good_a_bound_whatever_the_share(share):
    model = linear(LinearGaussian)
    x = draws(model, 20)
    curve = importance_weighted(model, Held(x, batch_size=20), samples=5000, device=CPU, prior_share=share)
    close(curve.log_likelihood, model.log_marginal(x), 0.06)
    assert curve.effective_sample_size.mean() > 0.95 * (1 - share) * 5000


@pytest.mark.parametrize("share", [1.0, -0.1, math.nan])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(UsageError, match="prior_share"):
        importance_weighted(linear(), Held(draws(linear())), device=CPU, prior_share=share)


def test_draws_of_the_exact_posterior_leave_no_sampling_error():
    model = linear(LinearGaussian)
    curve = importance_weighted(model, Held(draws(model)), samples=50, device=CPU)
    assert curve.figures()["sampling_error"].value < 1e-3


def test_running_sums_are_those_of_all_weights_together():
    torch.manual_seed(0)
    log_w = 30 * torch.randn(57, 3) - 400
    running = Running(57)
    for piece in log_w.split(8):
        running.add(piece)
    assert tuple(running.curve) == curve_points(57) == (1, 10, 57)
    for k, value in running.curve.items():
        torch.testing.assert_close(value, log_w[:k].logsumexp(0) - math.log(k))
    w = (log_w - log_w.amax(0)).double().exp()
    torch.testing.assert_close(
        running.effective_sample_size().double(), w.sum(0) ** 2 / (w**2).sum(0), rtol=1e-3, atol=0
    )
    assert curve_points(1) == (1,)
    assert curve_points(100) == (1, 10, 100)


class Counting(nn.Module):
    """A model that remembers how many rows were decoded at once, and how often each example was encoded."""

    def __init__(self, model):
        super().__init__()
        self.model, self.rows, self.encoded = model, [], 0
        self.latent_dims = model.latent_dims

    def infer(self, x, y=None, *, samples=1, noise=None):
        self.rows.append(samples * len(x))
        self.encoded += len(x)
        return self.model.infer(x, y, samples=samples)

    def generate(self, n=None, y=None, *, z=()):
        generation = self.model.generate(n, y, z=z)
        self.rows.append(generation.z[0].shape[:2].numel())
        return generation


@pytest.mark.parametrize(("rows_at_once", "encodings"), [(60, 20), (30, 20), (7, 100)])
def test_memory_is_bounded_and_each_image_is_encoded_once_where_its_samples_fit(rows_at_once, encodings):
    model = Counting(linear())
    x = draws(model.model)
    importance_weighted(model, Held(x), samples=30, device=CPU, rows_at_once=rows_at_once)
    assert max(model.rows) <= rows_at_once
    assert sum(model.rows) == 30 * len(x)
    assert model.encoded == encodings


@pytest.mark.parametrize(
    ("estimate", "keywords"),
    [(integrated, {"most_points": 1}), (prior_sampled, {"samples": 100})],
    ids=["grid", "prior"],
)
def test_the_other_estimators_bound_their_memory_too(estimate, keywords):
    model = Counting(linear(units=1))
    estimate(model, Held(draws(model.model)), device=CPU, rows_at_once=50, **keywords)
    assert max(model.rows) <= 50


@pytest.mark.parametrize("units", [1, 2])
def test_quadrature_is_exact_and_knows_it(units):
    model = linear(units=units, shift=0.5)
    x = draws(model)
    x[0] += 12  # an outlier, beyond the prior's bulk
    found = integrated(model, Held(x), device=CPU)
    close(found.log_likelihood, model.log_marginal(x), 1e-3)
    assert found.error.max() < 1e-3
    assert not found.figures()["log_likelihood"].caution


def test_quadrature_finds_what_the_encoder_missed():
    model = linear(units=2, shift=30.0, widen=0.5)
    x = draws(model, 6)
    found = integrated(model, Held(x), device=CPU)
    close(found.log_likelihood, model.log_marginal(x), 2e-3)


def test_too_narrow_a_posterior_is_admitted():
    model = linear(units=1, shift=3e4, widen=0.01)
    with torch.no_grad():
        model.log_noise.fill_(-9.0)
    x = draws(model, 6)
    found = integrated(model, Held(x), device=CPU, most_points=1)
    off = (found.log_likelihood - model.log_marginal(x)).abs() > 0.1
    assert off.any()
    assert (found.error[off] > 0.01).all()
    assert "the grid did not settle for" in found.figures()["log_likelihood"].caution


def test_a_grid_over_three_units_is_refused():
    with pytest.raises(UsageError, match="3 latent units"):
        integrated(linear(units=3), Held(draws(linear(units=3))), device=CPU)


def test_draws_from_the_prior_approach_log_p_from_below():
    model = linear(units=1)
    x = draws(model, 200)
    exact = model.log_marginal(x).detach()
    curve = prior_sampled(model, Held(x, batch_size=10), samples=10_000, device=CPU)
    means = [value.mean().item() for value in curve.at.values()]
    assert all(a < b for a, b in itertools.pairwise(means))
    assert means[-1] == pytest.approx(exact.mean().item(), abs=0.02)


class Labelled(nn.Module):
    """N(2 z + 3 y, 0.2), over vectors of bits' logits or of reals."""

    def __init__(self, bits):
        super().__init__()
        self.bits = bits
        self.spread = nn.Parameter(torch.linspace(-2, 2, 5))

    def forward(self, z, y=None):
        shift = 3 * y.expand(*z.shape[:-1], y.shape[-1])[..., 1:] if y is not None else 0
        mean = (2 * z + shift) * self.spread
        return Bernoulli(mean) if self.bits else DiagonalGaussian(mean, torch.full_like(mean, -1.6))


class Guess(nn.Module):
    def forward(self, x, y=None):
        mean = x @ torch.linspace(-2, 2, 5)[:, None] / 20
        return DiagonalGaussian(mean, torch.zeros_like(mean))


def labelled(bits):
    torch.manual_seed(0)
    prior = ConditionalNormal(1, 2)
    nn.init.normal_(prior.net.weight, std=0.5)
    return LatentVariableModel(Guess(), Labelled(bits), prior, 1).requires_grad_(False)


@pytest.mark.parametrize("bits", [True, False])
def test_all_estimators_agree_on_a_conditional_model(bits):
    model = labelled(bits)
    y = torch.eye(2)[torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 0, 1])]
    torch.manual_seed(5)
    x = model.generate(y=y).px.sample()[0]
    held = Held(x, y)
    exact = integrated(model, held, device=CPU).log_likelihood
    assert not torch.allclose(integrated(model, Held(x, y.flip(1)), device=CPU).log_likelihood, exact, atol=0.1)
    close(importance_weighted(model, held, samples=5000, device=CPU).log_likelihood, exact, 0.1)
    close(prior_sampled(model, held, samples=20_000, device=CPU).log_likelihood, exact, 0.2)


def test_probabilities_of_all_vectors_of_bits_sum_to_one():
    model = labelled(bits=True)
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 5)
    y = torch.eye(2)[:1].expand(32, 2)
    found = integrated(model, Held(x, y, batch_size=32), device=CPU)
    assert found.log_likelihood.exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_pairs_of_bits_and_logits_have_the_density_of_each():
    torch.manual_seed(0)
    logits, x = 5 * torch.randn(4, 1, 28, 28), (torch.rand(3, 1, 28, 28) < 0.3).float()
    each = torch.stack([torch.stack([Bernoulli(row, 3).log_prob(image) for row in logits]) for image in x])
    pairs = lambda: Bernoulli(logits[None], 3).log_prob(x[:, None])
    torch.testing.assert_close(pairs(), each, atol=1e-3, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(pairs(), each, atol=1e-3, rtol=0)


ESTIMATORS = [
    (importance_weighted, {"samples": 20}),
    (prior_sampled, {"samples": 20}),
    (integrated, {"most_points": 1}),
    (rate_parts, {}),
    (amortisation_gap, {"steps": 3, "final_samples": 5}),
]


@pytest.mark.parametrize(("estimate", "keywords"), ESTIMATORS, ids=lambda v: getattr(v, "__name__", ""))
def test_the_seed_decides_and_chance_is_left_as_it_was(estimate, keywords):
    model, told = linear(units=1), []
    held = Held(draws(model, 10))
    before = torch.get_rng_state()
    run = lambda seed: estimate(model, held, device=CPU, seed=seed, progress=told.append, **keywords).figures()
    one, again, other = run(0), run(0), run(1)
    assert torch.equal(before, torch.get_rng_state())
    assert one == again or all(one[k].value == again[k].value for k in one)
    assert estimate is integrated or any(one[k].value != other[k].value for k in one)
    assert sum(told) == 30
    assert all(figure.count == 10 for figure in one.values())


class Around(nn.Module):
    def __init__(self, variance):
        super().__init__()
        self.log_variance = math.log(variance)

    def forward(self, x, y=None):
        return DiagonalGaussian(x, torch.full_like(x, self.log_variance))


class Aggregate(LatentVariableModel):
    """Posteriors N(x, variance), of a given variance, under N(0, I)."""

    def __init__(self, units, variance):
        super().__init__(Around(variance), Around(1.0), StandardNormal(units), units)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_parts_of_the_rate_of_a_gaussian_aggregate_are_known(rho):
    """Codes N(0, (1 - s)[[1, rho], [rho, 1]]) with posterior variance s make an aggregate of unit variances."""
    torch.manual_seed(0)
    n, s = 4000, 0.05
    base = torch.randn(n, 2)
    codes = math.sqrt(1 - s) * torch.stack([base[:, 0], rho * base[:, 0] + math.sqrt(1 - rho**2) * base[:, 1]], 1)
    model = Aggregate(2, s)
    parts = rate_parts(model, Held(codes, batch_size=500), device=CPU, pairs_at_once=50_000)
    correlation = rho * (1 - s)
    total = -0.5 * math.log(1 - correlation**2)
    information = -math.log(s) - total
    assert len(parts.total_correlation) == 1000
    assert parts.total_correlation.mean().item() == pytest.approx(total, abs=0.08)
    assert parts.mutual_information.mean().item() == pytest.approx(information, abs=0.12)
    assert parts.dimension_wise_kl.mean().item() == pytest.approx(0, abs=0.08)
    assert parts.figures()["active_units"].value == 2


def test_the_parts_add_up_to_the_rate_and_information_has_a_ceiling():
    torch.manual_seed(0)
    n = 40
    model = Aggregate(3, 1e-4)
    x = torch.randn(n, 3)
    parts = rate_parts(model, Held(x), examples=None, device=CPU, pairs_at_once=1)
    together = parts.mutual_information + parts.total_correlation + parts.dimension_wise_kl
    closed = 0.5 * (x.square() + 1e-4 - 1 - math.log(1e-4)).sum(1)
    off = (together - closed).double()
    assert abs(off.mean()) < 4 * off.std() / math.sqrt(n)
    close(parts.information[0], torch.full((n,), math.log(n)), 1e-3)  # no two posteriors overlap
    figure = parts.figures()["mutual_information"]
    assert abs(figure.value - (closed.mean().item() - 0.5)) < figure.standard_error  # the codes are N(0, I)
    assert "40 examples" in figure.caution


@pytest.mark.slow
def test_the_amortisation_gap_is_that_to_the_best_diagonal_posterior():
    """The best diagonal Gaussian under a Gaussian posterior has its mean and its precision's diagonal."""
    model = linear(features=6, units=2, shift=1.0, widen=2.0)
    x = draws(model, 12)
    exact = model.log_marginal(x).detach()
    scale = LinearGaussian.encode(model, x).scale_tril[0].detach()
    precision = torch.linalg.inv(scale @ scale.mT)
    best = exact + 0.5 * (torch.linalg.slogdet(precision)[1] - precision.diagonal().log().sum())
    found = amortisation_gap(model, Held(x), device=CPU, final_samples=2000)
    gap = found.optimised - found.amortised
    close(found.optimised, best, 0.08)
    assert abs((found.optimised - best).mean()) < 0.02
    assert (gap > 0.5).all()
    assert found.figures()["amortisation_gap"].value == pytest.approx(gap.double().mean().item())


def test_the_parts_want_a_diagonal_posterior():
    model = linear(LinearGaussian)
    with pytest.raises(UsageError, match="diagonal Gaussian posterior, and FullGaussian"):
        rate_parts(model, Held(draws(model)), device=CPU)
