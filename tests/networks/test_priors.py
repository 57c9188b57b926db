"""Learned priors: where they start, what they share with the model, and that members stack."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from zatlas.distributions import DiagonalGaussian, closed_kl
from zatlas.models import LatentVariableModel
from zatlas.networks import GaussianEncoder, MLPEncoder
from zatlas.networks.flows import CouplingFlow
from zatlas.networks.priors import FlowPrior, MixturePrior, VampPrior


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 3)

    def forward(self, z, y=None):
        mean = self.net(z)
        return DiagonalGaussian(mean, torch.zeros_like(mean))


def encoder():
    return GaussianEncoder(MLPEncoder(3, (4,), 4))


def vamp_model(pseudo=5):
    posterior = encoder()
    return LatentVariableModel(posterior, Decoder(), VampPrior(posterior, torch.rand(pseudo, 3), (0.0, 1.0)), 2)


def flow_model():
    return LatentVariableModel(encoder(), Decoder(), stir(FlowPrior(2, layers=4, hidden=8)), 2)


def mixture_model():
    return LatentVariableModel(encoder(), Decoder(), MixturePrior(2, 7), 2)


def stir(module, size=0.5):
    """Moves every weight from its start, for a flow starts as the identity."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(size * torch.randn_like(p))
    return module


MODELS = {"mixture": mixture_model, "vamp": vamp_model, "flow": flow_model}


@pytest.mark.parametrize(("dim", "context_dim"), [(1, 0), (2, 0), (5, 0), (5, 3)])
def test_couplings_invert_and_know_their_determinant(dim, context_dim):
    torch.manual_seed(0)
    flow = stir(CouplingFlow(dim, layers=5, hidden=(16,), context_dim=context_dim), 0.3)
    u, context = torch.randn(dim), torch.randn(context_dim) if context_dim else None
    z, log_determinant = flow(u, context)
    back, backwards = flow(z, context, inverse=True)
    torch.testing.assert_close(back, u, atol=1e-4, rtol=0)
    torch.testing.assert_close(backwards, -log_determinant, atol=2e-4, rtol=0)
    jacobian = torch.autograd.functional.jacobian(lambda u: flow(u, context)[0], u)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_determinant, atol=1e-4, rtol=0)


def test_couplings_move_every_unit():
    torch.manual_seed(0)
    flow = CouplingFlow(5, layers=2, hidden=(8,))
    assert torch.equal(sum(c.mask for c in flow.couplings), torch.ones(5))


def test_a_flow_prior_starts_at_the_standard_normal_and_integrates_to_one_anywhere():
    torch.manual_seed(0)
    prior = FlowPrior(2, layers=4, hidden=16)
    z = torch.randn(9, 2)
    standard = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    torch.testing.assert_close(prior().log_prob(z), standard.log_prob(z))
    p = stir(prior, 0.15)()
    assert not torch.allclose(p.log_prob(z), standard.log_prob(z), atol=0.1)
    line = torch.linspace(-12, 12, 501)
    mass = p.log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2
    assert mass.item() == pytest.approx(1, abs=2e-3)


def test_a_flow_under_autocast_still_inverts():
    """The nets see rounded units both ways; what they say is applied in float32."""
    torch.manual_seed(0)
    flow, u = stir(CouplingFlow(6, layers=8, hidden=(32,)), 0.1), torch.randn(200, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z, log_determinant = flow(u)
        back, backwards = flow(z, inverse=True)
    assert z.dtype == back.dtype == log_determinant.dtype == torch.float32
    torch.testing.assert_close(back, u, atol=0.02, rtol=0)
    torch.testing.assert_close(backwards, -log_determinant, atol=0.02, rtol=0)


def test_a_conditional_flow_prior_has_a_density_for_every_y():
    torch.manual_seed(0)
    prior, y, z = stir(FlowPrior(2, layers=4, hidden=8, label_dim=3)), torch.eye(3), torch.randn(4, 3, 2)
    p = prior(y)
    assert p.sample((4,)).shape == (4, 3, 2)
    expected = torch.stack([prior(y[i : i + 1]).log_prob(z[:, i : i + 1])[:, 0] for i in range(3)], 1)
    torch.testing.assert_close(p.log_prob(z), expected)
    with pytest.raises(ValueError, match="needs y"):
        prior()


def test_a_mixture_prior_starts_as_wide_as_the_standard_normal():
    torch.manual_seed(0)
    p = MixturePrior(4, 2000)()
    torch.testing.assert_close(p.mean, torch.zeros(4), atol=0.05, rtol=0)
    torch.testing.assert_close(p.variance, torch.ones(4), atol=0.05, rtol=0)


@pytest.mark.slow
def test_a_flow_and_a_mixture_learn_a_density_of_two_peaks():
    torch.manual_seed(0)
    z = 0.3 * torch.randn(300, 2) + torch.tensor([2.0, 0.0]) * torch.randn(300, 1).sign()
    for prior in (FlowPrior(2, layers=4, hidden=32, depth=1), MixturePrior(2, 4)):
        optimiser = torch.optim.Adam(prior.parameters(), 3e-2)
        start = -prior().log_prob(z).mean().item()
        for _ in range(120):
            loss = -prior().log_prob(z).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        # the two peaks' entropy is 1.12 nats: log 2, and 1 + log 2 pi + 2 log 0.3 for one
        assert start > 3
        assert 1 < loss.item() < 1.5
        assert prior().sample((100,))[:, 0].abs().mean().item() == pytest.approx(2, abs=0.25)


def test_the_vamp_prior_is_the_mixture_of_the_posteriors_of_its_pseudo_inputs():
    torch.manual_seed(0)
    model = vamp_model()
    u, z = model.prior.pseudo_inputs.view(5, 3), torch.randn(6, 4, 2)
    expected = model.encoder(u).log_prob(z[..., None, :]).exp().mean(-1).log()
    torch.testing.assert_close(model.prior().log_prob(z), expected)


def test_a_vamp_prior_draws_from_its_mixture_and_not_from_the_standard_normal():
    torch.manual_seed(0)
    model = vamp_model()
    with torch.no_grad():
        model.encoder.net.layers[-1].bias += torch.tensor([9.0, -9.0, -4.0, -4.0])
    (z,), _ = model.generate(500)
    torch.testing.assert_close(z[0].mean(0), model.prior().mean.detach(), atol=0.1, rtol=0)
    assert z[0][:, 0].min() > 5


def test_pseudo_inputs_stay_within_the_limits_of_data_and_learn():
    torch.manual_seed(0)
    posterior = encoder()
    start = torch.tensor([[-3.0, 0.5, 4.0]])
    q = VampPrior(posterior, start, (0.0, 1.0))().components
    torch.testing.assert_close(q.mean, posterior(torch.tensor([[0.0, 0.5, 1.0]])).mean)
    prior = VampPrior(posterior, start)
    torch.testing.assert_close(prior().components.mean, posterior(start).mean)
    prior().log_prob(torch.zeros(2)).backward()
    assert (prior.pseudo_inputs.grad != 0).all()


def test_the_encoder_is_counted_once_and_saved_once():
    model = vamp_model()
    names = set(model.state_dict())
    assert {n for n in names if n.startswith("prior")} == {"prior.pseudo_inputs"}
    assert names == {n for n, _ in model.named_parameters()}
    other = vamp_model()
    other.load_state_dict(model.state_dict())
    z = torch.randn(3, 2)
    assert torch.equal(other.prior().log_prob(z), model.prior().log_prob(z))


def test_a_copied_vamp_prior_refers_to_the_copied_encoder():
    model, z = vamp_model(), torch.randn(3, 2)
    copied = copy.deepcopy(model)
    before = model.prior().log_prob(z)
    stir(copied.encoder)
    assert torch.equal(model.prior().log_prob(z), before)
    u = copied.prior.pseudo_inputs.view(5, 3)
    expected = copied.encoder(u).log_prob(z[:, None]).exp().mean(-1).log()
    torch.testing.assert_close(copied.prior().log_prob(z), expected)


class Rate(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, noise):
        ((q, p, z),), _ = self.model.infer(x, noise=noise)
        assert closed_kl(q, p) is None
        return q.log_prob(z) - p.log_prob(z)


@pytest.mark.parametrize("name", MODELS)
def test_two_members_stack_and_each_is_itself(name):
    torch.manual_seed(0)
    members = [Rate(MODELS[name]()) for _ in range(2)]
    x, noise = torch.rand(6, 3), torch.randn(1, 6, 2)
    stacked = stack_module_state(members)

    def loss(parameters, buffers):
        return functional_call(members[0], (parameters, buffers), (x, noise)).mean()

    together = torch.vmap(loss)(*stacked)
    torch.testing.assert_close(together, torch.stack([member(x, noise).mean() for member in members]))
    gradients = torch.vmap(torch.func.grad(loss))(*stacked)
    for i, member in enumerate(members):
        member(x, noise).mean().backward()
        for parameter_name, p in member.named_parameters():
            if p.grad is not None:
                torch.testing.assert_close(gradients[parameter_name][i], p.grad)


class Draw(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self):
        return self.model.generate(5).z[0]


@pytest.mark.parametrize("name", MODELS)
def test_equal_members_draw_the_same_or_differ_as_vmap_is_told(name):
    torch.manual_seed(0)
    member = Draw(MODELS[name]())
    stacked = stack_module_state([member, copy.deepcopy(member)])
    draw = lambda parameters, buffers: functional_call(member, (parameters, buffers), ())
    same, different = (torch.vmap(draw, randomness=r)(*stacked) for r in ("same", "different"))
    torch.testing.assert_close(same[0], same[1])
    assert not torch.allclose(different[0], different[1])
