"""The bound over a data set: its parts, its errors, and what it leaves alone."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.evaluation import estimate_elbo, mean_figure, mean_terms, term_figures
from zatlas.objectives import distortion, rate
from zatlas.recipes import build_game
from zatlas.types import Terms

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    return ArraySource("noise", np.random.default_rng(0).integers(0, 256, (50, 5, 4), dtype=np.uint8))


def game(beta=1.0, kind="vae"):
    torch.manual_seed(0)
    values = {"model": {"size": "xs", "latent_dim": 3, "kind": kind}}
    if kind != "ae":
        values["objective"] = {"beta": beta}
    return build_game(
        make_config(("test", values)), ArraySource("s", np.arange(40, dtype=np.uint8).reshape(2, 5, 4)).spec, 50
    )


def test_its_parts_are_those_of_the_inference(data):
    g, batches = game(), Batches(data, np.arange(50), batch_size=50, shuffle=False)
    elbo = estimate_elbo(g.model, batches, device=CPU, seed=7)
    batch = next(iter(batches.epoch(0)))
    torch.manual_seed(7)
    with torch.no_grad():
        inference = g.model.infer(*batch)
    torch.testing.assert_close(elbo.distortion, distortion(inference, batch.x)[0])
    torch.testing.assert_close(elbo.rate, rate(inference))
    assert elbo.unit_rates.sum().item() == pytest.approx(elbo.rate.mean().item(), rel=1e-5)
    assert elbo.figures()["elbo"].value == pytest.approx(-(elbo.distortion + elbo.rate).mean().item(), rel=1e-6)
    torch.testing.assert_close(elbo.mean_variance, inference.levels[0].q.mean.double().var(0))


def test_batch_size_does_not_change_the_exact_parts(data):
    g = game()
    one, two = (
        estimate_elbo(g.model, Batches(data, np.arange(50), batch_size=b, shuffle=False), device=CPU) for b in (50, 7)
    )
    torch.testing.assert_close(one.rate, two.rate)
    torch.testing.assert_close(one.unit_rates, two.unit_rates)
    assert mean_terms(g, Batches(data, np.arange(50), batch_size=7), device=CPU)["rate"] == pytest.approx(
        one.rate.mean().item(), rel=1e-5
    )


def test_chance_is_left_as_it_was(data):
    before = torch.get_rng_state()
    estimate_elbo(game().model, Batches(data, np.arange(50), batch_size=10), device=CPU)
    assert torch.equal(before, torch.get_rng_state())


def test_the_standard_error_is_that_of_a_mean():
    torch.manual_seed(0)
    means = torch.stack([torch.randn(100).mean() for _ in range(2000)])
    figure = mean_figure(torch.randn(100), "test")
    assert figure.standard_error == pytest.approx(means.std().item(), rel=0.25)
    assert mean_figure(torch.ones(1), "test").to_json()["standard_error"] is None


def test_a_weighted_loss_is_named_where_beta_is_not_one(data):
    elbo = estimate_elbo(game(4.0).model, Batches(data, np.arange(50), batch_size=50), device=CPU)
    figures = elbo.figures(4.0)
    expected = (elbo.distortion + 4 * elbo.rate).double().mean().item()
    assert figures["loss"].value == pytest.approx(expected)
    assert "4 rate" in figures["loss"].estimator
    assert "loss" not in elbo.figures(1.0)


def test_active_units_are_those_whose_means_vary(data):
    g = game()
    with torch.no_grad():
        last = g.model.encoder.net.layers[-1]
        last.weight[1] = 0  # the mean of the second unit no longer depends on x
        last.weight[:1] *= 20
    elbo = estimate_elbo(g.model, Batches(data, np.arange(50), batch_size=50), device=CPU)
    assert elbo.mean_variance[1] == pytest.approx(0, abs=1e-10)
    assert elbo.active_units() == int((elbo.mean_variance > 0.01).sum()) < 3


def test_an_autoencoder_has_no_rate(data):
    elbo = estimate_elbo(game(kind="ae").model, Batches(data, np.arange(50), batch_size=50), device=CPU)
    assert (elbo.rate == 0).all()
    assert math.isfinite(elbo.figures()["distortion"].value)


def test_terms_that_are_no_nats_do_not_say_so():
    class Played:
        players = ("critic", "model")

        def __init__(self, unit):
            self.objective = SimpleNamespace(unit=unit)

        def eval(self): ...

        def __call__(self, player, batch, step):
            return Terms(torch.ones(len(batch.x)), {"d_real": torch.ones(()), "value": torch.ones(())})

    batches = Batches(
        ArraySource("x", np.arange(16, dtype=np.uint8).reshape(4, 2, 2)), np.arange(4), batch_size=4, shuffle=False
    )
    units = lambda unit: {
        name: figure.unit
        for name, figure in term_figures(Played(unit), batches, players=("critic", "model"), device=CPU).items()
    }
    assert units("nats") == {"loss": "nats", "model_loss": "nats", "d_real": "", "value": "nats"}
    assert units("")["model_loss"] == ""
