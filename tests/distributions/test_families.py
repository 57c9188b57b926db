"""The richer families: densities integrate to one, values agree with torch's, closed forms with draws."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli
from torch.distributions import MixtureSameFamily, MultivariateNormal, kl_divergence

from zatlas.distributions import DiagonalGaussian, DiscretisedLogistic
from zatlas.distributions import logistic_mixture as logistic_mixture_module
from zatlas.distributions.categorical import Categorical
from zatlas.distributions.colour_mixture import ColourMixture
from zatlas.distributions.continuous_bernoulli import ContinuousBernoulli, langevin, langevin_slope, log_sinhc
from zatlas.distributions.flow import Flow
from zatlas.distributions.full import FullGaussian, full
from zatlas.distributions.kl import closed_kl, stopped
from zatlas.distributions.logistic_mixture import LogisticMixture, by_logarithms, mixture_log_prob
from zatlas.distributions.mixture import GaussianMixture

VALUES = torch.arange(256) / 255


def full_gaussian(batch=(5,), d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lower = torch.randn(*batch, d, d, generator=generator).tril(-1)
    diagonal = (0.5 * torch.randn(*batch, d, generator=generator)).exp()
    return FullGaussian(torch.randn(*batch, d, generator=generator), lower + torch.diag_embed(diagonal))


def diagonal(batch=(5,), d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(*batch, d, generator=generator)
    return DiagonalGaussian(draw(), draw())


def as_torch(p):
    p = full(p) if isinstance(p, DiagonalGaussian) else p
    return MultivariateNormal(p.mean, scale_tril=p.scale_tril)


def mixture(m=4, d=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)
    return GaussianMixture(draw(m), 2 * draw(m, d), 0.5 * draw(m, d) - 1)


class Bend(nn.Module):
    """z_0 = u_0, z_1 = u_1 exp(a) + tanh(u_0) + c, with the context as c."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.4))

    def forward(self, value, context=None, *, inverse=False):
        first, second = value[..., 0], value[..., 1]
        shift = first.tanh() + (0 if context is None else context[..., 0])
        second = (second - shift) * (-self.a).exp() if inverse else second * self.a.exp() + shift
        return torch.stack([first, second], -1), (-self.a if inverse else self.a).expand(first.shape)


def flow(batch=(), context=None):
    return Flow(diagonal(batch, 2), Bend(), context)


def mass(p, half=14, points=401):
    line = torch.linspace(-half, half, points)
    return (p.log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2).item()


def monte_carlo(q, p, n=40_000):
    z = q.sample((n,))
    ratio = q.log_prob(z) - p.log_prob(z)
    return ratio.mean(0), ratio.std(0) / math.sqrt(n)


@pytest.mark.parametrize("p", [full_gaussian((), 2), mixture(), flow()], ids=["full", "mixture", "flow"])
def test_densities_integrate_to_one_and_expand(p):
    assert mass(p) == pytest.approx(1, abs=1e-4)
    x = torch.randn(2)
    torch.testing.assert_close(p.expand((3, 4)).log_prob(x), p.log_prob(x).expand(3, 4))
    assert p.expand((3, 4)).sample((2,)).shape == (2, 3, 4, 2)


@pytest.mark.parametrize("q", [full_gaussian(), flow((5,), torch.randn(5, 1))], ids=["full", "flow"])
def test_a_draw_is_a_function_of_its_noise(q):
    torch.manual_seed(1)
    drawn = q.rsample((4,))
    torch.manual_seed(1)
    noise = torch.randn(4, *q.mean.shape)
    assert torch.equal(q.from_noise(noise), drawn)
    torch.testing.assert_close(q.from_noise(noise)[2], q.from_noise(noise[2]))


@pytest.mark.parametrize("q", [full_gaussian(), mixture(), flow((5,), torch.randn(5, 1))], ids=["full", "mix", "flow"])
def test_draws_have_the_moments_said(q):
    torch.manual_seed(0)
    z = q.sample((40_000,))
    tolerance = 4 * q.stddev.max().item() / 200 + (0.1 if isinstance(q, Flow) else 0)  # a flow's are of 64 points
    torch.testing.assert_close(z.mean(0), q.mean, atol=tolerance, rtol=0)
    torch.testing.assert_close(z.var(0), q.variance, atol=tolerance, rtol=0.15 if isinstance(q, Flow) else 0.04)


def test_full_gaussian_equals_torchs():
    q, z = full_gaussian(), torch.randn(7, 5, 3)
    other = as_torch(q)
    torch.testing.assert_close(q.log_prob(z), other.log_prob(z))
    torch.testing.assert_close(q.log_prob(z[0, 0]), other.log_prob(z[0, 0]))
    torch.testing.assert_close(q.entropy(), other.entropy())
    torch.testing.assert_close(q.variance, other.variance)


def test_full_gaussian_scores_every_code_under_every_posterior():
    q, z = full_gaussian(), torch.randn(6, 3)
    aggregate = FullGaussian(q.mean[None], q.scale_tril[None])
    expected = torch.stack([as_torch(q).log_prob(code) for code in z])
    torch.testing.assert_close(aggregate.log_prob(z[:, None]), expected)


@pytest.mark.parametrize("make_q", [full_gaussian, diagonal])
@pytest.mark.parametrize("make_p", [full_gaussian, diagonal])
@pytest.mark.parametrize("batch", [(5,), ()])
def test_closed_kl_of_gaussians_equals_torchs_and_monte_carlo(make_q, make_p, batch):
    torch.manual_seed(0)
    q, p = make_q(seed=1), make_p(batch, seed=2)
    closed = closed_kl(q, p)
    torch.testing.assert_close(closed, kl_divergence(as_torch(q), as_torch(p)))
    estimate, error = monte_carlo(q, p)
    assert ((estimate - closed).abs() < 5 * error).all()


def test_kl_to_the_standard_normal_and_to_itself():
    q = full_gaussian()
    standard = DiagonalGaussian(torch.zeros(3), torch.zeros(3))
    torch.testing.assert_close(closed_kl(q, standard), closed_kl(q, full(standard)))
    torch.testing.assert_close(closed_kl(q, q), torch.zeros(5), atol=1e-5, rtol=0)


def test_there_is_no_closed_kl_to_a_mixture_or_of_a_flow():
    assert closed_kl(diagonal((5,), 2), mixture()) is None
    assert closed_kl(flow(), diagonal((), 2)) is None


@pytest.mark.parametrize("make", [full_gaussian, lambda: flow((5,), torch.randn(5, 1))], ids=["full", "flow"])
def test_a_stopped_posterior_is_the_same_density_with_a_gradient_to_the_value_alone(make):
    q = make()
    z = torch.randn(3, *q.mean.shape, requires_grad=True)
    for parameter in (getattr(q, "scale_tril", None), getattr(q, "context", None)):
        if parameter is not None:
            parameter.requires_grad_()
    held = stopped(q).log_prob(z)
    torch.testing.assert_close(held, q.log_prob(z))
    held.sum().backward()
    assert z.grad is not None
    if isinstance(q, Flow):
        assert q.transform.a.grad is None
        assert q.context.grad is None
    else:
        assert q.scale_tril.grad is None


def test_mixture_equals_torchs():
    p, z = mixture(), torch.randn(7, 5, 2)
    c = p.components
    other = MixtureSameFamily(TorchCategorical(logits=p.logits), as_torch(c))
    torch.testing.assert_close(p.log_prob(z), other.log_prob(z))
    torch.testing.assert_close(p.mean, other.mean)
    torch.testing.assert_close(p.variance, other.variance)


def test_a_mixture_far_away_still_has_a_finite_gradient():
    z = torch.full((1, 2), 1e3, requires_grad=True)
    mixture().log_prob(z).sum().backward()
    assert torch.isfinite(z.grad).all()


def test_flow_equals_the_change_of_variables_by_automatic_differentiation():
    p, noise = flow(), torch.randn(2)
    u = p.base.from_noise(noise)
    jacobian = torch.autograd.functional.jacobian(lambda u: p.transform(u)[0], u)
    expected = p.base.log_prob(u) - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(p.log_prob(p.from_noise(noise)), expected)


def test_a_flow_keeps_the_weights_it_was_made_with():
    bend, z = Bend(), torch.randn(4, 2)
    make = lambda module: Flow(diagonal((), 2), module)
    wrapped = Wrapped(bend, make)
    other = torch.func.functional_call(wrapped, {"transform.a": torch.tensor(-1.0)}, ())
    assert not torch.allclose(other.log_prob(z), make(bend).log_prob(z))
    bend.a.data.fill_(-1.0)
    torch.testing.assert_close(other.log_prob(z), make(bend).log_prob(z))


class Wrapped(nn.Module):
    def __init__(self, transform, make):
        super().__init__()
        self.transform, self.make = transform, make

    def forward(self):
        return self.make(self.transform)


def test_moments_of_a_flow_that_scales_and_shifts_are_exact():
    p = Flow(diagonal((5,), 2), Scale())
    torch.testing.assert_close(p.mean, 3 * p.base.mean + 1)
    torch.testing.assert_close(p.stddev, 3 * p.base.stddev)


class Scale(nn.Module):
    def forward(self, value, context=None, *, inverse=False):
        assert not inverse
        return 3 * value + 1, torch.full(value.shape[:-1], 2 * math.log(3))


LOGITS = torch.tensor([-200.0, -30.0, -3.0, -1.01, -0.99, -0.3, -1e-3, -1e-8, 0.0, 1e-5, 0.02, 0.98, 1.02, 5.0, 80.0])


@pytest.mark.parametrize("logit", LOGITS.tolist())
def test_continuous_bernoulli_integrates_to_one(logit):
    x = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    density = ContinuousBernoulli(torch.tensor([logit])).log_prob(x[:, None].float()).double().exp()
    assert density.mean().item() == pytest.approx(1, abs=3e-5)
    p = ContinuousBernoulli(torch.tensor([logit]))
    assert (density * x).mean().item() == pytest.approx(p.mean.item(), abs=1e-5)
    assert (density * (x - p.mean.item()).square()).mean().item() == pytest.approx(p.variance.item(), rel=1e-3)


def test_continuous_bernoulli_equals_torchs_away_from_a_half():
    logits, x = torch.tensor([-9.0, -2.0, 0.5, 4.0], dtype=torch.float64), torch.rand(6, 4, dtype=torch.float64)
    p, other = ContinuousBernoulli(logits), TorchContinuousBernoulli(logits=logits, lims=(0.4999999, 0.5000001))
    torch.testing.assert_close(p.log_prob(x), other.log_prob(x).sum(-1))
    torch.testing.assert_close(p.mean, other.mean)


def test_continuous_bernoulli_in_float32_and_its_gradients_are_those_of_float64():
    """Each function's gradient is the next; the series of the three are tried at many places inside its border."""
    h = torch.cat([0.5 * LOGITS, torch.linspace(-0.6, 0.6, 101)])
    for function, slope in ((log_sinhc, langevin), (langevin, langevin_slope), (langevin_slope, None)):
        single, double = h.clone().requires_grad_(), h.double().requires_grad_()
        function(single).sum().backward()
        function(double).sum().backward()
        torch.testing.assert_close(function(single).double(), function(double), atol=2e-6, rtol=1e-5)
        assert torch.isfinite(single.grad).all()
        if slope is not None:
            torch.testing.assert_close(single.grad.double(), slope(h.double()), atol=2e-6, rtol=1e-5)
            torch.testing.assert_close(double.grad, slope(h.double()), atol=2e-8, rtol=1e-7)
    exact = (h.double().sinh() / h.double()).log()[h.abs() > 1e-2]
    torch.testing.assert_close(log_sinhc(h.double())[h.abs() > 1e-2], exact, atol=2e-9, rtol=0)


def test_continuous_bernoulli_draws():
    torch.manual_seed(0)
    p = ContinuousBernoulli(LOGITS)
    x = p.sample((20_000,))
    assert ((x >= 0) & (x <= 1)).all()
    assert ((x.mean(0) - p.mean).abs() < 4 * p.stddev / math.sqrt(20_000) + 1e-6).all()
    torch.testing.assert_close(x.std(0), p.stddev, rtol=0.05, atol=1e-6)


def test_categorical_equals_torchs():
    torch.manual_seed(0)
    logits = torch.randn(5, 256, 2, 3)
    p = Categorical(logits, 2)
    index = torch.randint(256, (4, 5, 2, 3))
    expected = TorchCategorical(logits=logits.movedim(1, -1)).log_prob(index).sum((-2, -1))
    torch.testing.assert_close(p.log_prob(index / 255), expected)
    torch.testing.assert_close(p.expand((4, 5)).log_prob(index / 255), expected)
    torch.testing.assert_close(p.log_prob(index[0, 0] / 255)[0], p.log_prob((index[0, 0] / 255).expand(5, 2, 3))[0])


def test_categorical_draws_its_values_as_often_as_it_says():
    torch.manual_seed(0)
    p = Categorical(2 * torch.randn(256, 1))
    x = p.sample((40_000,))
    share = torch.bincount((x[:, 0] * 255).round().long(), minlength=256) / 40_000
    probability = p.log_prob(VALUES[:, None]).exp()
    assert probability.sum().item() == pytest.approx(1, abs=1e-5)
    assert ((share - probability).abs() < 5 * (probability / 40_000).sqrt() + 1e-4).all()
    assert x.mean().item() == pytest.approx(p.mean.item(), abs=0.01)
    assert x.var().item() == pytest.approx(p.variance.item(), rel=0.05)


def logistic_mixture(log_scale=-2.0, spread=1.0):
    generator = torch.Generator().manual_seed(0)
    draw = lambda: torch.randn(4, 3, 2, generator=generator)
    return LogisticMixture(draw(), 0.5 + spread * draw(), log_scale + draw(), 1)


@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 1.0])
@pytest.mark.parametrize("spread", [0.2, 3.0])
def test_logistic_mixture_sums_to_one(log_scale, spread):
    p = logistic_mixture(log_scale, spread)
    log_p = p.log_prob_per_unit(VALUES[:, None, None].expand(256, 4, 2))
    assert torch.isfinite(log_p).all()
    torch.testing.assert_close(log_p.exp().sum(0), torch.ones(4, 2), atol=2e-4, rtol=0)


def test_logistic_mixture_is_the_weighted_sum_of_its_components():
    p, x = logistic_mixture(), VALUES[torch.randint(256, (6, 4, 2))]
    weights = p.logits.softmax(1)
    parts = [
        weights[:, m]
        * DiscretisedLogistic(p.components.location[:, m], p.components.log_scale[:, m]).log_prob_per_unit(x).exp()
        for m in range(3)
    ]
    torch.testing.assert_close(p.log_prob(x), sum(parts).log().sum(-1))
    torch.testing.assert_close(p.expand((6, 4)).log_prob(x), p.log_prob(x))


@pytest.mark.parametrize("log_scale", [-7.0, -2.0, 3.0])
def test_a_logistic_mixtures_gradient_is_that_of_sums_of_logarithms(log_scale):
    parameters = [torch.randn(3, 5, 2, 4, dtype=torch.float64) for _ in range(3)]
    parameters[2] = log_scale + parameters[2]
    parameters[1][0] += 300  # so far off that a product of probabilities is zero
    parameters = [p.requires_grad_() for p in parameters]
    x = (VALUES[torch.randint(256, (6, 1, 2, 4))].double() * 1.4 - 0.2).clamp(0, 1)  # many at both ends
    p = LogisticMixture(*parameters, 2)
    got, wanted = (
        p.log_prob_per_unit(x),
        by_logarithms(parameters[0], *(of.unsqueeze(-3) for of in (*parameters[1:], x.unsqueeze(-3))), -4),
    )
    torch.testing.assert_close(got, wanted)
    weights = torch.randn_like(got)
    slopes = [torch.autograd.grad((of * weights).sum(), parameters, create_graph=True) for of in (got, wanted)]
    torch.testing.assert_close(*slopes)
    second = [torch.autograd.grad(sum((s**2).sum() for s in of), parameters) for of in slopes]
    torch.testing.assert_close(*second)


@pytest.mark.parametrize("log_scale", [-6.9, -3.0, 2.9])
def test_the_products_of_a_logistic_mixture_hold_their_places_in_float32(log_scale, monkeypatch):
    """Also for the first and the last value, whose bins have no end."""
    monkeypatch.setattr(logistic_mixture_module, "_fill_by_logarithms", lambda *given: pytest.fail("no products"))
    generator = torch.Generator().manual_seed(0)
    x = VALUES[torch.randint(256, (6, 1, 3, 40), generator=generator)]
    x[..., :10], x[..., 10:20] = 0, 1
    logits = torch.randn(6, 5, 40, generator=generator)
    location = x + 0.5 * math.exp(log_scale) * torch.randn(6, 5, 3, 40, generator=generator)
    at = [logits, location, torch.full_like(location, log_scale)]
    found = []
    for of, kind in ((mixture_log_prob, torch.float32), (by_logarithms, torch.float64)):
        parameters = [p.detach().to(kind).requires_grad_() for p in at]
        value = of(*parameters, x.to(kind), -3)
        found.append([value, *torch.autograd.grad(value.sum(), parameters)])
    for got, wanted in zip(*found, strict=True):
        assert (got - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_a_logistic_mixture_is_the_same_under_vmap_and_by_pieces(monkeypatch):
    parameters = [torch.randn(4, 5, 3, dtype=torch.float64) for _ in range(3)]
    x = VALUES[torch.randint(256, (4, 3))].double()
    whole = LogisticMixture(*parameters).log_prob_per_unit(x)
    mapped = torch.func.vmap(lambda at, *of: LogisticMixture(*of).log_prob_per_unit(at))
    torch.testing.assert_close(whole, mapped(x, *parameters))
    monkeypatch.setattr(logistic_mixture_module, "AT_ONCE", 1)
    torch.testing.assert_close(whole, LogisticMixture(*parameters).log_prob_per_unit(x))


def test_the_mean_of_a_logistic_mixture_is_that_of_its_256_probabilities():
    p, values = logistic_mixture(), VALUES[:, None, None].expand(256, 4, 2)
    exact = (p.log_prob_per_unit(values).exp() * values).sum(0)
    torch.testing.assert_close(p.mean, exact, atol=0.1 / 255, rtol=0)


def test_logistic_mixture_draws_as_often_as_it_says():
    torch.manual_seed(0)
    p = logistic_mixture(-3.0, 0.3)
    x = p.sample((20_000,))
    assert x.shape == (20_000, 4, 2)
    probability = p.log_prob_per_unit(VALUES[:, None, None].expand(256, 4, 2)).exp()
    at_most = (x <= 0.5).float().mean(0)
    torch.testing.assert_close(at_most, probability[:128].sum(0), atol=0.02, rtol=0)


EXTREME = {
    "categorical": (lambda t: Categorical(t[:, None] * torch.linspace(-1, 1, 256)[:, None]), 0.0),
    "continuous bernoulli": (ContinuousBernoulli, 1.0),
    "mixture": (lambda t: GaussianMixture(t[0, :2], t, t.clamp(-10, 10)), 0.2),
    "full": (lambda t: FullGaussian(t, torch.eye(3)), 0.2),
    "logistic mixture": (lambda t: LogisticMixture(t[:, None], t[:, None], t[:, None].clamp(-7, 3)), 0.4),
}


@pytest.mark.parametrize("name", EXTREME)
@pytest.mark.parametrize("size", [-80.0, -1e-4, 0.0, 1e-4, 80.0])
def test_gradients_are_finite_at_extremes(name, size):
    make, x = EXTREME[name]
    t = torch.full((2, 3), size, requires_grad=True)
    p = make(t)
    p.log_prob(torch.full((2, 3), x)).sum().backward()
    assert torch.isfinite(t.grad).all()


MEMBERS = {
    "categorical": lambda t: Categorical(t * torch.ones(256, 1)),
    "continuous bernoulli": ContinuousBernoulli,
    "mixture": lambda t: GaussianMixture(t[0].expand(3), t.expand(3, 2), torch.zeros(3, 2)),
    "full": lambda t: FullGaussian(t, torch.eye(2)),
    "flow": lambda t: Flow(DiagonalGaussian(t, torch.zeros(2)), Bend()),
    "logistic mixture": lambda t: LogisticMixture(t.expand(3, 2), t.expand(3, 2), t.expand(3, 2)),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_draw_and_score_under_vmap(name):
    t = torch.tensor([[0.3, -0.2], [0.3, -0.2], [1.0, 0.5]])
    make = MEMBERS[name]
    draw = lambda t: make(t).sample((5,))
    same, different = (torch.vmap(draw, randomness=r)(t) for r in ("same", "different"))
    assert torch.equal(same[0], same[1])
    assert not torch.equal(different[0], different[1])
    x = VALUES[torch.tensor([[100, 20]])]
    scored = torch.vmap(lambda t: make(t).log_prob(x))(t)
    torch.testing.assert_close(scored, torch.stack([make(member).log_prob(x) for member in t]))


def colour_mixture(parts=3, side=2, dtype=torch.float64):
    torch.manual_seed(1)
    logits, location, log_scale, slopes = torch.randn(parts, side, side), *torch.randn(3, parts, 3, side, side)
    return ColourMixture(*(of.to(dtype) for of in (logits, 0.5 + 0.2 * location, log_scale - 2.5, slopes.tanh())))


def test_a_colour_mixture_sums_to_one():
    p, values = colour_mixture(side=1), VALUES.double()
    r, g = (of.flatten()[:, None] for of in torch.meshgrid(values[::16], values[::16], indexing="ij"))
    # of blue for some reds and greens, and of a component alone over all three by what each gives the next
    pixel = torch.stack(torch.broadcast_tensors(r, g, values), -1)[..., None, None]
    joint = p.log_prob(pixel).exp().sum(-1)
    weights, location, slopes = p.logits.softmax(0).flatten(), p.location[..., 0, 0], p.slopes[..., 0, 0]
    scale = p.log_scale[..., 0, 0]
    red = DiscretisedLogistic(location[:, 0], scale[:, 0], 1).log_prob_per_unit(r)
    green_at = location[:, 1] + slopes[:, 0] * (r - location[:, 0])
    green = DiscretisedLogistic(green_at, scale[:, 1].expand_as(green_at), 1).log_prob_per_unit(g)
    torch.testing.assert_close(joint, ((red + green).exp() * weights).sum(-1))


def test_a_colour_mixture_of_no_slopes_and_one_component_is_three_logistics():
    p = colour_mixture(parts=1)
    p = ColourMixture(p.logits, p.location, p.log_scale, torch.zeros_like(p.slopes))
    x = VALUES[torch.randint(256, (5, 3, 2, 2))].double()
    alone = DiscretisedLogistic(p.location[0], p.log_scale[0], 3)
    torch.testing.assert_close(p.log_prob(x), alone.log_prob(x))
    torch.testing.assert_close(p.mean, alone.mean)


def test_a_colour_mixture_draws_what_it_says():
    p = colour_mixture(side=1)
    draws = p.sample((200_000,))
    assert draws.shape == (200_000, 3, 1, 1)
    low = lambda x: torch.stack([(x < 0.4).double(), (x[:, :1] < 0.5).double() * (x < 0.5)], 0)
    made = low(draws).mean(1)
    # the same by weighing draws that know nothing
    uniform = VALUES[torch.randint(256, (400_000, 3, 1, 1))].double()
    weights = p.log_prob(uniform).exp() * 256**3
    said = (low(uniform) * weights[:, None, None, None]).mean(1)
    torch.testing.assert_close(made, said, atol=0.02, rtol=0)
    torch.testing.assert_close(p.mean, draws.mean(0), atol=0.02, rtol=0)


def test_a_colour_mixtures_gradient_is_that_of_sums_of_logarithms(monkeypatch):
    p = colour_mixture()
    parameters = [of.requires_grad_() for of in (p.logits, p.location, p.log_scale, p.slopes)]
    x = (VALUES[torch.randint(256, (6, 3, 2, 2))].double() * 1.4 - 0.2).clamp(0, 1)
    slopes = [torch.autograd.grad(ColourMixture(*parameters).log_prob(x).sum(), parameters)]
    monkeypatch.setattr(logistic_mixture_module, "LEAST", 1e9)
    slopes.append(torch.autograd.grad(ColourMixture(*parameters).log_prob(x).sum(), parameters))
    torch.testing.assert_close(*slopes)
    assert ColourMixture(*parameters).expand((6,)).log_prob(x).shape == (6,)
