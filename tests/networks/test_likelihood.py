"""Likelihoods: how a decoder's numbers are laid out, and that an untrained decoder starts at the data's mean."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from zatlas.networks import BernoulliLikelihood, Decoder, GaussianLikelihood, LogisticLikelihood, MLPDecoder
from zatlas.networks.likelihood import (
    CategoricalLikelihood,
    ColourMixtureLikelihood,
    ContinuousBernoulliLikelihood,
    LogisticMixtureLikelihood,
    tilt_to,
)

SHAPE = (2, 3, 4)
MEAN = torch.linspace(0.06, 0.94, 24).view(SHAPE)
LIKELIHOODS = {
    "bernoulli": BernoulliLikelihood,
    "continuous bernoulli": ContinuousBernoulliLikelihood,
    "categorical": CategoricalLikelihood,
    "logistic": LogisticLikelihood,
    "logistic mixture": lambda dims: LogisticMixtureLikelihood(dims, 3),
    "one logistic": lambda dims: LogisticMixtureLikelihood(dims, 1),
    "gaussian": lambda dims: GaussianLikelihood(dims, torch.tensor(0.5), torch.tensor(2.0), sigma=1.0, learned=True),
}
# What starts at the data's mean where it is not the distribution's own.
START = {
    "logistic": lambda px: px.location,
    "logistic mixture": lambda px: px.components.location.select(px.dim, 0),
    "one logistic": lambda px: px.components.location.select(px.dim, 0),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("shape", [SHAPE, (24,)])
def test_an_untrained_decoder_starts_at_the_mean_of_the_data(name, shape):
    likelihood = LIKELIHOODS[name](len(shape))
    net = MLPDecoder(2, (4,), (likelihood.per_value * shape[0], *shape[1:]))
    for p in net.parameters():
        nn.init.zeros_(p)
    px = Decoder(net, likelihood, MEAN.view(shape))(torch.zeros(5, 7, 2))
    assert px.batch_shape == (5, 7)
    assert px.event_shape == shape
    torch.testing.assert_close(START.get(name, lambda px: px.mean)(px)[0, 0], MEAN.view(shape), atol=1e-3, rtol=0)
    x = px.sample()
    assert x.shape == (5, 7, *shape)
    assert px.log_prob(x).shape == px.log_prob(x[0, 0]).shape == (5, 7)


@pytest.mark.parametrize("name", ["continuous bernoulli", "categorical"])
def test_a_pixel_that_was_never_on_starts_within_reach(name):
    link = LIKELIHOODS[name](1).link(torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(link, torch.tensor([-20.0, 0.0, 20.0]), atol=1e-4, rtol=0)


def test_the_tilt_is_the_inverse_of_the_mean():
    t = torch.linspace(-15, 15, 31)
    torch.testing.assert_close(tilt_to(t.tanh() + t, lambda s: s.tanh() + s), t, atol=1e-5, rtol=0)


def test_the_categorical_has_its_numbers_where_it_says():
    likelihood = CategoricalLikelihood(3)
    numbers = torch.randn(5, 256 * 2, 3, 4)
    px = likelihood(numbers)
    tilt, *logits = numbers.unflatten(1, (256, 2)).unbind(1)
    torch.testing.assert_close(px.logits[:, 0], torch.zeros_like(tilt), atol=1e-6, rtol=0)
    torch.testing.assert_close(px.logits[:, 51], logits[50] + 0.2 * tilt)


def test_the_mixture_has_its_numbers_where_it_says():
    likelihood = LogisticMixtureLikelihood(3, 4)
    assert likelihood.per_value == 12
    numbers = torch.randn(5, 12 * 2, 3, 4)
    px = likelihood(numbers)
    parts = numbers.unflatten(1, (12, 2))
    torch.testing.assert_close(px.components.location, parts[:, :1] + parts[:, 4:8])
    assert torch.equal(px.logits[:, 1:], parts[:, 1:4])
    assert (px.logits[:, 0] == 0).all()
    torch.testing.assert_close(px.components.log_scale, parts[:, 8:] - 2)


@pytest.mark.parametrize("name", ["categorical", "logistic mixture"])
def test_the_256_probabilities_sum_to_one(name):
    torch.manual_seed(0)
    likelihood = LIKELIHOODS[name](1)
    px = likelihood(2 * torch.randn(likelihood.per_value * 3))
    values = (torch.arange(256) / 255)[:, None].expand(256, 3)
    torch.testing.assert_close(px.log_prob_per_unit(values).exp().sum(0), torch.ones(3), atol=2e-4, rtol=0)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("size", [-1e3, 0.0, 1e3])
def test_gradients_are_finite_at_extreme_outputs(name, size):
    likelihood = LIKELIHOODS[name](1)
    numbers = torch.full((likelihood.per_value * 3,), size, requires_grad=True)
    log_prob = likelihood(numbers).log_prob(torch.tensor([0.0, 0.4, 1.0]))
    log_prob.backward()
    assert torch.isfinite(log_prob)
    assert torch.isfinite(numbers.grad).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_densities_are_computed_in_float32(name):
    likelihood = LIKELIHOODS[name](1)
    px = likelihood(torch.zeros(likelihood.per_value * 3, dtype=torch.bfloat16))
    assert px.mean.dtype == torch.float32


class Scores(nn.Module):
    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z, x):
        px = self.decoder(z)
        return px.log_prob(x), px.sample()


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("randomness", ["same", "different"])
def test_two_decoders_stack_and_each_is_itself(name, randomness):
    torch.manual_seed(0)

    def member():
        likelihood = LIKELIHOODS[name](3)
        net = MLPDecoder(2, (4,), (likelihood.per_value * SHAPE[0], *SHAPE[1:]))
        return Scores(Decoder(net, likelihood, MEAN))

    members = [member(), member()]
    z, x = torch.randn(2, 5, 2), (torch.rand(5, *SHAPE) * 255).round() / 255
    call = lambda p, b: functional_call(members[0], (p, b), (z, x))
    log_prob, drawn = torch.vmap(call, randomness=randomness)(*stack_module_state(members))
    torch.testing.assert_close(log_prob, torch.stack([m(z, x)[0] for m in members]))
    assert drawn.shape == (2, 2, 5, *SHAPE)


def test_a_colour_mixture_starts_at_the_mean_of_the_data_and_draws_colours():
    likelihood = ColourMixtureLikelihood(6)
    mean = torch.linspace(0.1, 0.9, 36).view(3, 3, 4)
    net = MLPDecoder(2, (4,), (likelihood.per_value * 3, 3, 4))
    for p in net.parameters():
        nn.init.zeros_(p)
    px = Decoder(net, likelihood, mean)(torch.zeros(5, 7, 2))
    assert (px.batch_shape, px.event_shape) == ((5, 7), (3, 3, 4))
    torch.testing.assert_close(px.location[0, 0], mean.expand(6, 3, 3, 4))
    x = px.sample()
    assert px.log_prob(x).shape == px.log_prob(x[0, 0]).shape == (5, 7)
