"""Losses put together again from their parts, and estimates from a batch by plain loops over it."""

import math

import pytest
import torch

from zatlas.distributions import DiagonalGaussian
from zatlas.models import LatentVariableModel
from zatlas.networks import StandardNormal
from zatlas.objectives import Discrepancy, Disentangled, TotalCorrelation
from zatlas.objectives.moments import mmd
from zatlas.objectives.total_correlation import decompose, log_importance
from zatlas.types import Batch

from .test_family import Linear, Posterior, X, linear, posteriors

CPU = torch.device("cpu")


def seeded(objective, model):
    torch.manual_seed(3)
    return objective("model", model, Batch(X, None), 0)


def normal(density, mean, variance):
    return math.exp(-((density - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_the_parts_of_the_rate_are_those_of_a_loop(estimator):
    batch, n = 5, 40
    mean, log_variance = posteriors(batch)
    z = mean + 0.3
    p = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    found = decompose(DiagonalGaussian(mean, log_variance), p, z, n, estimator)
    for i in range(batch):
        weight = [1 / (n * batch)] * batch
        if estimator == "stratified":
            weight = [1 / (batch - 1)] * batch
            weight[(i + 1) % batch] = (n - (batch - 1)) / (n * (batch - 1))
            weight[i] = 1 / n
        q = [
            [normal(z[i, d].item(), mean[j, d].item(), log_variance[j, d].exp().item()) for d in range(2)]
            for j in range(batch)
        ]
        joint = sum(w * a * b for w, (a, b) in zip(weight, q, strict=True))
        apart = math.prod(sum(w * unit[d] for w, unit in zip(weight, q, strict=True)) for d in range(2))
        prior = math.prod(normal(z[i, d].item(), 0, 1) for d in range(2))
        wanted = [math.log(q[i][0] * q[i][1] / joint), math.log(joint / apart), math.log(apart / prior)]
        assert [part[i].item() for part in found] == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_one_example_weighs_as_much_as_it_is_of_the_data():
    for estimator in ("weighted", "stratified"):
        assert log_importance(1, 50, estimator, CPU).item() == pytest.approx(-math.log(50))


def test_the_loss_of_tcvae_weighs_each_part_by_its_own():
    model = LatentVariableModel(Posterior(gain=0.3, variance=0.5), Linear(), StandardNormal(2), 2)
    x = torch.cat([X, X.square()], 1)  # of one unit there is no correlation
    torch.manual_seed(3)
    (level,), px = model.infer(x)
    parts = decompose(level.q, level.p, level.z[0], 64)
    d = -px.log_prob(x)[0]
    assert parts[1].abs().min() > 0
    torch.manual_seed(3)
    found = TotalCorrelation(64, 5.0, alpha=2.0, gamma=3.0)("model", model, Batch(x, None), 0)
    torch.testing.assert_close(found.loss, d + 2 * parts[0] + 5 * parts[1] + 3 * parts[2])
    torch.testing.assert_close(found.parts["rate"], sum(parts))
    torch.testing.assert_close(found.parts["tc"], parts[1])


def test_the_discrepancy_is_that_of_a_loop():
    a, b = torch.randn(4, 2), torch.randn(3, 2) + 1
    kernel = lambda x, y: sum(
        4 * s / (4 * s + (x - y).square().sum().item()) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    )
    pairs = lambda x: sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j)
    wanted = pairs(a) / (4 * 3) + pairs(b) / (3 * 2) - 2 * sum(kernel(x, y) for x in a for y in b) / (4 * 3)
    assert mmd(a, b).item() == pytest.approx(wanted, rel=1e-5)
    assert mmd(a[:1], b).item() == mmd(a, b[:1]).item() == 0


def test_the_loss_of_infovae_charges_what_is_left_of_the_rate():
    found = seeded(Discrepancy(alpha=0.25, weight=10.0), linear(gain=0.3, variance=0.5))
    d, r, apart = (found.parts[name] for name in ("distortion", "rate", "mmd"))
    assert apart.abs().max() > 0
    torch.testing.assert_close(found.loss, d + 0.75 * r + 9.25 * apart)


def test_the_loss_of_dip_has_the_weighted_rate_and_its_penalty_once():
    found = seeded(Disentangled("i", off=3.0, on=2.0, beta=4.0), linear(gain=0.3, variance=0.5))
    d, r, penalty = (found.parts[name] for name in ("distortion", "rate", "penalty"))
    assert penalty.min() > 0
    torch.testing.assert_close(found.loss, d + 4 * r + penalty)
