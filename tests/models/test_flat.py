"""The laws of every one-layer model, over every kind of network, likelihood and data."""

import pytest
import torch

from tests import family
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.objectives import distortion, importance_bound, negative_elbo, rate
from zatlas.recipes import Statistics, build_game, build_model, data_kind
from zatlas.types import Batch, DataSpec

DIGITS = tuple("0123456789")
GREY = DataSpec((1, 28, 28), "uint8", "class", DIGITS)
ODD = DataSpec((1, 28, 20), "uint8", "class", ("a", "b"))
RGB = DataSpec((3, 37, 50), "uint8", "class", ("a", "b", "c"))
VECTOR = DataSpec((7,), "real", "class", ("a", "b"))


def config(kind="vae", **values):
    model = {"kind": kind, **family.size(kind, values.get("network", "mlp")), **values}
    return make_config(("test", {"model": model}))


def example(spec, n=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, *spec.shape, generator=generator)
    y = torch.eye(spec.label_dim)[torch.arange(n) % spec.label_dim]
    return x if spec.values == "real" else (x * 255).round() / 255, y


CASES = [
    (GREY, "mlp", "bernoulli"),
    (GREY, "conv", "bernoulli"),
    (GREY, "course-conv", "bernoulli"),
    (GREY, "course-mlp", "bernoulli"),
    (ODD, "conv", "logistic"),
    (ODD, "mlp", "gaussian"),
    (RGB, "conv", "gaussian-learned"),
    (RGB, "conv", "gaussian-per-pixel"),
    (RGB, "mlp", "logistic"),
    (VECTOR, "mlp", "gaussian-learned"),
    (VECTOR, "mlp", "gaussian-per-pixel"),
]


@pytest.mark.parametrize("kind", ["ae", "vae", "cvae"])
@pytest.mark.parametrize(("spec", "network", "likelihood"), CASES)
def test_shapes_gradients_and_determinism(spec, network, likelihood, kind):
    torch.manual_seed(0)
    game = build_game(config(kind, network=network, likelihood=likelihood, latent_dim=3), spec, 100)
    x, y = example(spec)
    inference = game.model.infer(x, y, samples=4)
    assert inference.levels[0].z.shape == (4, 6, 3)
    assert inference.px.mean.shape == (4, 6, *spec.shape)
    assert inference.px.sample().shape == (4, 6, *spec.shape)
    assert distortion(inference, x).shape == (4, 6)
    assert rate(inference).shape == (6,)
    terms = game("model", Batch(x, y), 0)
    assert terms.loss.shape == (6,)
    terms.loss.mean().backward()
    # a log-variance of the point posterior or a prior without weights has none; every weight there is gets a gradient
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in game.parameters())
    z = torch.randn(6, 3)
    one, two = (game.model.generate(y=y, z=(z,)).px.mean for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (1, 6, *spec.shape)


@pytest.mark.parametrize("kind", ["vae", "cvae"])
def test_bounds_are_ordered(kind):
    torch.manual_seed(0)
    model = build_model(config(kind, latent_dim=4, likelihood="bernoulli"), GREY)
    x, y = example(GREY, 20)
    with torch.no_grad():
        elbo = -torch.stack([negative_elbo(model.infer(x, y), x) for _ in range(30)]).mean()
        few = torch.stack([importance_bound(model.infer(x, y, samples=5), x) for _ in range(30)]).mean()
        many = torch.stack([importance_bound(model.infer(x, y, samples=50), x) for _ in range(5)]).mean()
    assert elbo < few < many


def test_elbo_equals_log_p_where_the_posterior_is_exact():
    """A linear Gaussian model of one dimension: with q the true posterior the bound is the evidence."""
    from torch import nn

    from zatlas.distributions import DiagonalGaussian
    from zatlas.models import LatentVariableModel
    from zatlas.networks import StandardNormal

    w, s2 = 1.7, 0.3  # x = w z + noise
    variance = 1 / (1 + w * w / s2)

    class Exact(nn.Module):
        def forward(self, x, y=None):
            return DiagonalGaussian(variance * w / s2 * x, torch.full_like(x, variance).log())

    class Linear(nn.Module):
        def forward(self, z, y=None):
            return DiagonalGaussian(w * z, torch.full_like(z, s2).log())

    torch.manual_seed(0)
    model = LatentVariableModel(Exact(), Linear(), StandardNormal(1), 1)
    x = torch.linspace(-2, 2, 9)[:, None]
    evidence = torch.distributions.Normal(0, (w * w + s2) ** 0.5).log_prob(x)[:, 0]
    torch.testing.assert_close(importance_bound(model.infer(x, samples=3), x), evidence, atol=1e-5, rtol=1e-5)
    inference = model.infer(x, samples=20_000)
    torch.testing.assert_close(-negative_elbo(inference, x), evidence, atol=0.03, rtol=0)


def test_an_unconditional_model_ignores_labels_and_a_conditional_one_does_not():
    x, y = example(GREY)
    for kind, same in (("vae", True), ("cvae", False)):
        torch.manual_seed(0)
        model = build_model(config(kind), GREY)
        assert torch.equal(model.encoder(x, y).mean, model.encoder(x, y.roll(1, 0)).mean) is same
        z = torch.randn(1, 6, 2)
        assert torch.equal(model.decoder(z, y).mean, model.decoder(z, y.roll(1, 0)).mean) is same


def test_a_conditional_prior_starts_standard_and_learns():
    torch.manual_seed(0)
    game = build_game(config("cvae", prior="conditional", network="mlp"), GREY, 100)
    x, y = example(GREY)
    p = game.model.prior(y)
    assert torch.equal(p.mean, torch.zeros(6, 2))
    game("model", Batch(x, y), 0).loss.mean().backward()
    assert game.model.prior.net.weight.grad.abs().sum() > 0
    assert game.model.generate(y=y).z[0].shape == (1, 6, 2)


def test_an_untrained_decoder_shows_the_mean_image():
    mean = torch.rand(1, 28, 28) * 0.9 + 0.05
    model = build_model(config(), GREY, Statistics(mean, torch.ones(1, 28, 28)))
    torch.nn.init.zeros_(model.decoder.net.layers[-1].weight)
    torch.nn.init.zeros_(model.decoder.net.layers[-1].bias)
    torch.testing.assert_close(model.generate(1).px.mean[0, 0], mean, atol=1e-4, rtol=0)


def test_real_data_keep_their_units():
    """Data of mean 1000 and deviation 50: an untrained model already predicts their mean, with their spread."""
    stats = Statistics(torch.full((7,), 1000.0), torch.full((7,), 50.0))
    model = build_model(config(likelihood="gaussian"), VECTOR, stats)
    px = model.generate(3).px
    assert (px.mean - 1000).abs().max() < 100
    torch.testing.assert_close(px.variance, torch.full((1, 3, 7), 2500.0))


@pytest.mark.parametrize(
    ("spec", "values", "sentence"),
    [
        (GREY, {"network": "course-conv"}, None),
        (ODD, {"network": "course-conv"}, "1x28x28"),
        (VECTOR, {"network": "conv"}, "choose mlp"),
        (VECTOR, {"likelihood": "bernoulli"}, "gaussian-learned"),
        (DataSpec((4,), "unit"), {"likelihood": "logistic"}, "8-bit"),
        (DataSpec((4,), "unit"), {"kind": "cvae"}, "no labels"),
        (DataSpec((4,), "unit", "class", ("a",)), {"kind": "cvae"}, r"only one class \(a\)"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(spec, values, sentence):
    made = make_config(("test", {"model": values}))
    if sentence is None:
        build_model(made, spec)
        return
    with pytest.raises(UsageError, match=sentence):
        build_model(made, spec)


def test_data_kinds_are_named():
    kind = lambda spec, likelihood="auto", binarise="none": data_kind(
        make_config(("test", {"model": {"likelihood": likelihood}, "data": {"binarise": binarise}})), spec
    )
    assert kind(GREY) == "grey"
    assert kind(GREY, binarise="static") == "static"
    assert kind(GREY, binarise="dynamic") == "dynamic"
    assert kind(GREY, "logistic") == "uint8"
    assert kind(RGB) == kind(VECTOR) == "real"
    with pytest.raises(UsageError, match="without binarisation"):
        kind(GREY, "logistic", "static")


def test_posteriors_start_narrow_except_the_courses():
    x, _ = example(GREY)
    for values, width in (({}, -4.0), ({"network": "course-conv"}, 0.0), ({"start_log_variance": -2.0}, -2.0)):
        torch.manual_seed(0)
        q = build_model(config(**values), GREY).encoder(x)
        assert q.log_variance.mean().item() == pytest.approx(width, abs=0.6)
