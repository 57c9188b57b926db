"""Posteriors richer than a diagonal Gaussian: what they start as, and that members stack."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from zatlas.distributions import DiagonalGaussian, closed_kl, stopped
from zatlas.models import LatentVariableModel
from zatlas.networks import GaussianEncoder, MLPEncoder, Standardise
from zatlas.networks.posteriors import FlowEncoder, FullGaussianEncoder

D = 3
X = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))


def make_full(**settings):
    return FullGaussianEncoder(D, MLPEncoder(4, (8,), FullGaussianEncoder.outputs(D)), **settings)


def make_flow(**settings):
    net = MLPEncoder(4, (8,), FlowEncoder.outputs(D, 5))
    return FlowEncoder(D, net, context_dim=5, layers=4, hidden=8, **settings)


def stir(module):
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return module


ENCODERS = {"full": make_full, "flow": make_flow}


def test_a_full_posterior_has_the_layout_that_its_docstring_gives():
    encoder = make_full(log_variance=-4.0)
    numbers = encoder.net(X, None)
    q = encoder(X)
    torch.testing.assert_close(q.mean, numbers[:, :D])
    sigma = (0.5 * (numbers[:, D : 2 * D] - 4)).exp()
    below = numbers[:, 2 * D :]
    for row, column, k in ((1, 0, 0), (2, 0, 1), (2, 1, 2)):
        torch.testing.assert_close(q.scale_tril[:, row, column], sigma[:, row] * below[:, k])
    torch.testing.assert_close(q.scale_tril.diagonal(dim1=1, dim2=2), sigma)
    assert torch.equal(q.scale_tril, q.scale_tril.tril())


def test_a_full_posterior_of_one_unit_is_diagonal():
    net = MLPEncoder(4, (8,), FullGaussianEncoder.outputs(1))
    q, other = FullGaussianEncoder(1, net)(X), GaussianEncoder(net)(X)
    z = torch.randn(6, 1)
    torch.testing.assert_close(q.log_prob(z), other.log_prob(z))


def test_a_flow_posterior_starts_as_the_gaussian_of_its_first_outputs():
    torch.manual_seed(0)
    encoder = make_flow(log_variance=-4.0)
    q, z = encoder(X), torch.randn(2, 6, D)
    mean, log_variance = encoder.net(X, None)[:, : 2 * D].chunk(2, -1)
    gaussian = DiagonalGaussian(mean, log_variance - 4)
    torch.testing.assert_close(q.log_prob(z), gaussian.log_prob(z))
    torch.testing.assert_close(q.mean, gaussian.mean)
    torch.testing.assert_close(q.stddev, gaussian.stddev)


def test_a_flow_posterior_depends_on_its_context():
    torch.manual_seed(0)
    encoder = stir(make_flow())
    q, z = encoder(X), torch.zeros(6, D)
    with torch.no_grad():
        encoder.net.layers[-1].weight[2 * D :] *= -1
    assert not torch.allclose(encoder(X).log_prob(z), q.log_prob(z))


@pytest.mark.parametrize("name", ENCODERS)
def test_the_density_of_a_draw_is_that_of_its_noise(name):
    """log q(z) = log N(noise) - log |det dz/dnoise|, the determinant by automatic differentiation."""
    torch.manual_seed(0)
    encoder = stir(ENCODERS[name]())
    q, noise = encoder(X[:1]), torch.randn(1, D)
    jacobian = torch.autograd.functional.jacobian(q.from_noise, noise).reshape(D, D)
    base = DiagonalGaussian(torch.zeros(D), torch.zeros(D)).log_prob(noise)
    expected = base - torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(q.log_prob(q.from_noise(noise)), expected, atol=1e-4, rtol=0)
    torch.manual_seed(5)
    drawn = q.rsample((2,))
    torch.manual_seed(5)
    assert torch.equal(drawn, q.from_noise(torch.randn(2, 1, D)))


@pytest.mark.parametrize("name", ENCODERS)
def test_the_rate_has_a_finite_gradient_at_extreme_outputs(name):
    encoder = ENCODERS[name]()
    p = DiagonalGaussian(torch.zeros(D), torch.zeros(D))
    for size in (-60.0, 300.0):
        nn.init.constant_(encoder.net.layers[-1].bias, size)
        q = encoder(X)
        z = q.rsample((2,))
        (q.log_prob(z) - p.log_prob(z)).sum().backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_x_is_standardised_first(name):
    torch.manual_seed(0)
    encoder = ENCODERS[name](standardise=Standardise(torch.ones(4), torch.tensor(2.0)))
    plain = copy.deepcopy(encoder)
    plain.standardise = nn.Identity()
    torch.testing.assert_close(encoder(X).mean, plain((X - 1) / 2).mean)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_stopped_posterior_sends_no_gradient_to_the_encoder(name):
    encoder = stir(ENCODERS[name]())
    q = encoder(X)
    z = q.sample().requires_grad_()
    held = stopped(q).log_prob(z)
    torch.testing.assert_close(held, q.log_prob(z))
    held.sum().backward()
    assert (z.grad != 0).all()
    assert all(p.grad is None for p in encoder.parameters())


@pytest.mark.slow
def test_both_learn_a_correlation_that_a_diagonal_posterior_cannot():
    """Against N(0, S) with ones on S's diagonal, the best diagonal Gaussian stays -log|S| / 2 apart."""
    torch.manual_seed(0)
    rho = 0.9
    target = torch.distributions.MultivariateNormal(torch.zeros(2), torch.tensor([[1, rho], [rho, 1.0]]))
    best_diagonal = -0.5 * math.log(1 - rho**2)
    net = MLPEncoder(4, (), FullGaussianEncoder.outputs(2))
    encoder = FullGaussianEncoder(2, net)
    flow = FlowEncoder(2, MLPEncoder(4, (), FlowEncoder.outputs(2, 1)), context_dim=1, layers=2, hidden=16)
    for module in (encoder, flow):
        optimiser = torch.optim.Adam(module.parameters(), 3e-2)
        for _ in range(90):
            q = module(X[:2])
            z = q.rsample((32,))
            loss = (q.log_prob(z) - target.log_prob(z)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        q = module(X[:2])
        z = q.sample((2000,))
        assert (q.log_prob(z) - target.log_prob(z)).mean().item() < 0.1 < best_diagonal


class Rate(nn.Module):
    """The rate of fixed noise, and z."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.register_buffer("zeros", torch.zeros(D))

    def forward(self, x, noise):
        q = self.encoder(x)
        z = q.from_noise(noise) if noise is not None else q.rsample((2,))
        p = DiagonalGaussian(self.zeros, self.zeros)
        closed = closed_kl(q, p)
        return z, closed if closed is not None else q.log_prob(z) - p.log_prob(z), q.mean, q.stddev


@pytest.mark.parametrize("name", ENCODERS)
def test_two_members_stack_and_each_is_itself(name):
    torch.manual_seed(0)
    members = [stir(Rate(ENCODERS[name]())) for _ in range(2)]
    parameters, buffers = stack_module_state(members)
    noise = torch.randn(2, 6, D)
    call = lambda p, b, noise: functional_call(members[0], (p, b), (X, noise))
    together = torch.vmap(call, (0, 0, None))(parameters, buffers, noise)
    for stacked, alone in zip(together, zip(*(m(X, noise) for m in members), strict=True), strict=True):
        torch.testing.assert_close(stacked, torch.stack(alone))
    loss = lambda p, b: call(p, b, noise)[1].mean()
    gradients = torch.vmap(torch.func.grad(loss))(parameters, buffers)
    for i, member in enumerate(members):
        member(X, noise)[1].mean().backward()
        for parameter_name, p in member.named_parameters():
            torch.testing.assert_close(gradients[parameter_name][i], p.grad)


@pytest.mark.parametrize("name", ENCODERS)
def test_equal_members_draw_the_same_or_differ_as_vmap_is_told(name):
    member = Rate(ENCODERS[name]())
    stacked = stack_module_state([member, copy.deepcopy(member)])
    draw = lambda p, b: functional_call(member, (p, b), (X, None))[0]
    same, different = (torch.vmap(draw, randomness=r)(*stacked) for r in ("same", "different"))
    torch.testing.assert_close(same[0], same[1])
    assert not torch.allclose(different[0], different[1])


@pytest.mark.parametrize("name", ENCODERS)
def test_a_model_takes_them_as_it_takes_a_gaussian(name):
    class Same(nn.Module):
        def forward(self, z, y=None):
            return DiagonalGaussian(z, torch.zeros_like(z))

    class Prior(nn.Module):
        def forward(self, y=None):
            return DiagonalGaussian(torch.zeros(D), torch.zeros(D))

    model = LatentVariableModel(ENCODERS[name](), Same(), Prior(), D)
    inference = model.infer(X, samples=4)
    assert inference.levels[0].q.log_prob(inference.levels[0].z).shape == (4, 6)
