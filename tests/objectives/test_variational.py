"""Weights and schedules of the variational objectives."""

import pytest
import torch

from zatlas.config import make_config
from zatlas.objectives import Capacity, Variational, distortion, rate
from zatlas.objectives.schedules import ramp
from zatlas.recipes import build_model
from zatlas.types import Batch, DataSpec

SPEC = DataSpec((6,), "unit")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model(make_config(("test", {"model": {"size": "xs"}})), SPEC)


@pytest.fixture
def batch():
    return Batch(torch.rand(8, 6, generator=torch.Generator().manual_seed(1)), None)


def terms(objective, model, batch, step=0):
    torch.manual_seed(2)
    return objective("model", model, batch, step)


def parts(model, batch):
    torch.manual_seed(2)
    inference = model.infer(*batch)
    return distortion(inference, batch.x).mean(0), rate(inference)


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
def test_the_loss_is_distortion_plus_beta_rate(model, batch, beta):
    d, r = parts(model, batch)
    found = terms(Variational(beta), model, batch)
    torch.testing.assert_close(found.loss, d + beta * r)
    torch.testing.assert_close(found.parts["distortion"], d)
    torch.testing.assert_close(found.parts["rate"], r)


def test_warmup_rises_linearly_and_stays(model, batch):
    d, r = parts(model, batch)
    objective = Variational(2.0, warmup_steps=10)
    for step, weight in ((0, 0.0), (5, 1.0), (10, 2.0), (99, 2.0)):
        torch.testing.assert_close(terms(objective, model, batch, step).loss, d + weight * r)


def test_capacity_charges_the_deviation_of_the_mean_rate(model, batch):
    d, r = parts(model, batch)
    objective = Capacity(5.0, steps=100, gamma=30.0)
    for step, capacity in ((0, 0.0), (50, 2.5), (1000, 5.0)):
        expected = d + 30 * (r.mean() - capacity).abs()
        torch.testing.assert_close(terms(objective, model, batch, step).loss, expected)


def test_the_ramp_of_tensors_is_the_ramp_of_numbers():
    for step, steps in ((0, 0), (0, 5), (3, 5), (5, 5), (9, 5)):
        assert float(ramp(torch.tensor(step), torch.tensor(steps))) == pytest.approx(float(ramp(step, steps)))


def test_weights_are_buffers_so_that_objectives_can_be_stacked():
    assert {name for name, _ in Variational().named_buffers()} == {"beta", "warmup_steps", "free_bits_nats"}
    assert not list(Variational().parameters())


def test_the_analytic_gaussian_autoencoder_gradient(model, batch):
    """The gradient of the rate with respect to the mean is the mean itself (KL to N(0, I))."""
    q = model.encoder(batch.x)
    mean = q.mean.detach().requires_grad_()
    from zatlas.distributions import DiagonalGaussian, kl_divergence

    kl_divergence(DiagonalGaussian(mean, q.log_variance.detach()), model.prior()).sum().backward()
    torch.testing.assert_close(mean.grad, mean.detach())
