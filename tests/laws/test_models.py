"""Laws of every model: densities have mass one, bounds are ordered, and what is not drawn is the same twice."""

import math

import pytest
import torch

from tests import family
from zatlas import recipes
from zatlas.config import make_config
from zatlas.distributions import Codeword, DiagonalGaussian, Flat, Flow, FullGaussian, GaussianMixture, Point, closed_kl
from zatlas.objectives import distortion, importance_bound, log_weights, negative_elbo, rate
from zatlas.objectives.bounds import level_rate
from zatlas.objectives.needs import closed_rate
from zatlas.training import checkpoint, load_module
from zatlas.types import DataSpec, Inference, Level

from .cases import (
    FLAT,
    LADDERS,
    LARGE,
    LINEAR,
    MODELS,
    QUANTISED,
    SMALL,
    batch,
    built,
    config,
    labels,
    state,
    stirred,
    trained,
)

BITS = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
FAR = 4.0  # standard errors
INFERRING = [name for name, (_, values) in MODELS.items() if family.MODELS[values["model"]["kind"]].infers]


def over(cases):
    return pytest.mark.parametrize(
        "made",
        [pytest.param(made, id=name, marks=pytest.mark.slow if name in LARGE else ()) for name, made in cases.items()],
    )


def named(names):
    return over({name: MODELS[name] for name in names})


def test_every_kind_has_a_line():
    used = [config(made) for made in MODELS.values()]
    words = lambda section: {part.kind for one in used if (part := getattr(one, section))} - {"auto"}
    assert words("model") == set(family.MODELS)
    assert words("network") == set(family.NETWORKS) - {
        "modules"
    }  # objects, which tests/runs/test_own_parts.py hands over
    assert words("prior") == set(family.PRIORS)
    assert words("posterior") == set(family.POSTERIORS)
    assert words("likelihood") == set(family.LIKELIHOODS)


def plane(q, points=160, widths=9.0):
    """Points over each member of a batch of densities over two units, ``[points^2, B, 2]``, and their area ``[B]``."""
    line = torch.linspace(-widths, widths, points)
    spread = q.stddev.expand(q.mean.shape)
    grid = q.mean + spread * torch.cartesian_prod(line, line)[(slice(None), *[None] * (q.mean.dim() - 1))]
    return grid, spread.prod(-1) * (line[1] - line[0]) ** 2


def mass(p, points=160):
    grid, area = plane(p, points)
    return p.log_prob(grid).double().exp().sum(0) * area


@over(FLAT)
def test_priors_and_posteriors_have_mass_one(made):
    game = stirred(built(made))
    x, y = batch(made, 4)
    with torch.no_grad():
        for p in (game.model.prior(y), game.model.encode(x, y)):
            torch.testing.assert_close(mass(p), torch.ones(p.batch_shape).double(), atol=1e-3, rtol=0)


@over(FLAT | {"ladder": LADDERS["ladder-bits"], "vqvae": QUANTISED["vqvae-gradient"]})
def test_probabilities_of_bits_sum_to_one(made):
    game = stirred(built(made))
    z = game.model.generate(3, labels(made, 3)).z
    px = game.model.generate(y=labels(made, 3), z=z).px
    total = px.log_prob(BITS[:, None, None]).double().exp().sum(0)
    torch.testing.assert_close(total, torch.ones(1, 3).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("likelihood", sorted(set(family.LIKELIHOODS) - {"colour-mixture"}))
def test_likelihoods_have_mass_one(likelihood):
    """Of one value: over 2 or 256 of them, over the unit interval, or over the line.

    A mixture over colours is of three values; its factors are those of logistics, see the tests of distributions.
    """
    values = "real" if likelihood.startswith("gaussian") else "uint8"
    words = {"likelihood": likelihood, "latent_dim": 2, "size": "xs"}
    torch.manual_seed(0)
    model = recipes.build_model(make_config(("law", {"model": words})), DataSpec((1,), values))
    with torch.no_grad():
        px = stirred(model).generate(3).px
        match likelihood:
            case "bernoulli":
                x, step = torch.tensor([0.0, 1.0]), 1.0
            case "logistic" | "logistic-mixture" | "categorical":
                x, step = torch.arange(256) / 255, 1.0
            case "continuous-bernoulli":
                x, step = (torch.arange(4000) + 0.5) / 4000, 1 / 4000
            case _:
                x, step = torch.linspace(-40, 40, 8001), 0.01
        total = px.log_prob(x[:, None, None, None]).double().exp().sum(0) * step
    torch.testing.assert_close(total, torch.ones(1, 3).double(), atol=1e-4, rtol=0)


def log_evidence(model, y, points=160):
    """log p(x|y) of all patterns of four bits ``[16]``, by a sum over the plane."""
    p = model.prior(None if y is None else y[:1])
    grid, area = plane(p, points, widths=8.0)
    log_joint = model.generate(y=None if y is None else y[:1], z=(grid.view(-1, 1, 2),)).px.log_prob(
        BITS[:, None, None]
    )
    return (log_joint.squeeze(-1).double() + p.log_prob(grid).flatten().double()).logsumexp(-1) + area.log().double()


def mean_and_error(values):
    values = values.double()
    return values.mean(0), values.std(0) / len(values) ** 0.5


def bounds_of(model, x, y, groups=150, few=5, many=20):
    """Mean and error ``[B]`` of the ELBO and of the importance-weighted bounds of 5 and 20, from draws of their own."""
    repeated = lambda t: None if t is None else t.repeat(groups, *[1] * (t.dim() - 1))
    x, y, shape = repeated(x), repeated(y), (groups, len(x))
    one = -negative_elbo(model.infer(x, y), x)
    bounds = [one, *(importance_bound(model.infer(x, y, samples=k), x) for k in (few, many))]
    return [mean_and_error(bound.view(shape)) for bound in bounds]


def assert_ordered(lower, upper, *, surely=True):
    """The means are in this order within their errors, and for sure over all examples: no two of them are one."""
    error = (lower[1] ** 2 + upper[1] ** 2).sqrt()
    assert (lower[0] <= upper[0] + FAR * error + 1e-6).all()
    gap = upper[0] - lower[0]
    assert not surely or gap.sum() > FAR * error.square().sum().sqrt()


@over(FLAT)
def test_bounds_are_ordered_below_the_evidence(made):
    model, x = stirred(trained(made, steps=10), 0.5).model, BITS
    y = labels(made, 1).expand(16, -1) if made[1]["model"]["kind"] == "cvae" else None
    torch.manual_seed(1)
    with torch.no_grad():
        evidence = log_evidence(model, y, points=100)
        assert evidence.exp().sum().item() == pytest.approx(1, abs=1e-3)
        elbo, few, many = bounds_of(model, x, y)
        assert_ordered(elbo, few, surely=False)
        assert_ordered(few, many, surely=False)
        assert_ordered(many, (evidence, torch.zeros(16)), surely=False)
        assert_ordered(elbo, (evidence, torch.zeros(16)))
        # Draws are those of q's own density: the weights have the same mean over draws as over the plane. In a bounded
        # form, as the weights themselves may have no variance.
        few = [3, 9]
        x, y, evidence = x[few], None if y is None else y[few], evidence[few]
        share = lambda inference: (log_weights(inference, x) - evidence).sigmoid()
        grid, area = plane(model.encode(x, y), 80, widths=7.0)
        inference = model.infer(x, y, samples=1500)
        ((q, p, _),) = inference.levels
        px = model.generate(y=y, z=(grid,)).px
        exact = (q.log_prob(grid).exp() * share(Inference((Level(q, p, grid),), px))).sum(0) * area
        mean, error = mean_and_error(share(inference))
        assert ((mean - exact).abs() <= FAR * error + 1e-3).all()


@over(LADDERS)
def test_bounds_of_a_hierarchy_are_ordered(made):
    model = stirred(trained(made, steps=6)).model
    torch.manual_seed(1)
    with torch.no_grad():
        elbo, few, many = bounds_of(model, batch(made, 6).x, None, groups=60)
    assert_ordered(elbo, few)
    assert_ordered(few, many)


def test_the_bound_of_a_quantised_model_is_below_its_evidence():
    """6^3 codes can be counted: p(x) is a sum over all of them, and sums to one over x."""
    model = trained(QUANTISED["vqvae-gradient"], steps=25).model
    codes = torch.cartesian_prod(*[torch.arange(6)] * 3)
    with torch.no_grad():
        log_p = model.prior.log_prob(codes)
        assert log_p.double().exp().sum().item() == pytest.approx(1, abs=1e-5)
        px = model.generate(z=(model.codebook.lookup(codes),)).px
        evidence = (px.log_prob(BITS[:, None, None])[:, 0] + log_p).double().logsumexp(-1)
        assert evidence.exp().sum().item() == pytest.approx(1, abs=1e-5)
        bound = -negative_elbo(model.infer(BITS), BITS)
    assert (bound <= evidence + 1e-5).all()
    assert (bound < evidence - 1e-3).any()


@pytest.mark.parametrize("start", ["fitted", "stirred"])
@over(LINEAR)
def test_every_bound_of_a_linear_model_is_the_evidence(made, start):
    model = (trained(made, 0) if start == "fitted" else stirred(built(made))).model
    x = batch(made, 8).x
    # a quadratic has its Gaussian mean at these four points, so the mean distortion is exact
    corners = math.sqrt(2) * torch.cat([torch.eye(2), -torch.eye(2)])[:, None].expand(4, 8, 2)
    with torch.no_grad():
        evidence = model.log_marginal(x)
        close = lambda bound: torch.testing.assert_close(bound, evidence, atol=1e-4, rtol=0)
        close(-negative_elbo(model.infer(x, noise=corners), x))
        for samples in (1, 50):
            close(importance_bound(model.infer(x, samples=samples), x))


@over({name: SMALL[name] for name in FLAT | LADDERS | LINEAR})
def test_a_closed_rate_is_the_mean_of_its_draws(made):
    game = stirred(built(made))
    x, y = batch(made, 4)
    torch.manual_seed(3)
    with torch.no_grad():
        for q, p, _ in game.model.infer(x, y).levels:
            closed = closed_kl(q, p)
            if made in FLAT.values():
                assert (closed is not None) == closed_rate(config(made))
            z = q.rsample((10_000,))
            mean, error = mean_and_error(q.log_prob(z) - p.log_prob(z))
            found = level_rate(Level(q, p, z)) if closed is None else closed
            assert ((found - mean).abs() <= FAR * error + 1e-4).all()


FAMILIES = {
    "diagonal": DiagonalGaussian(torch.tensor([0.3, -1.0]), torch.tensor([-1.0, 0.5])),
    "other": DiagonalGaussian(torch.tensor([-0.2, 0.4]), torch.tensor([0.3, 0.1])),
    "full": FullGaussian(torch.tensor([0.5, 0.1]), torch.tensor([[0.7, 0.0], [-0.4, 1.2]])),
    "skew": FullGaussian(torch.tensor([0.0, -0.3]), torch.tensor([[1.5, 0.0], [0.9, 0.8]])),
    "mixture": GaussianMixture(torch.tensor([0.0, 1.0]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.zeros(2, 2)),
}


@pytest.mark.parametrize("p", FAMILIES.values(), ids=list(FAMILIES))
@pytest.mark.parametrize("q", FAMILIES.values(), ids=list(FAMILIES))
def test_closed_divergences_are_the_means_of_draws(q, p):
    torch.manual_seed(0)
    z = q.sample((40_000,))
    mean, error = mean_and_error(q.log_prob(z) - p.log_prob(z))
    closed = closed_kl(q, p)
    assert (closed is None) == (GaussianMixture in (type(q), type(p)))
    if closed is not None:
        assert abs(closed.item() - mean.item()) <= FAR * error.item() + 1e-6


@named(INFERRING)
def test_inference_from_noise_is_deterministic_and_agrees_with_generation(made):
    game = stirred(built(made), 0.1).eval()
    x, y = batch(made, 3)
    dims = game.model.latent_dims
    noise = torch.randn(2, 3, sum(dims))
    with torch.no_grad():
        one, two = (game.model.infer(x, y, noise=noise) for _ in range(2))
        z = tuple(level.z for level in one.levels)
        assert all(torch.equal(level.z, other.z) for level, other in zip(one.levels, two.levels, strict=True))
        assert torch.equal(one.px.mean, two.px.mean)
        again = game.model.generate(y=y, z=z)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(again.z, z, strict=True))
        torch.testing.assert_close(again.px.mean, one.px.mean)
        torch.testing.assert_close(again.px.log_prob(x), one.px.log_prob(x), rtol=1e-4, atol=1e-4)


@named(INFERRING)
def test_shapes_of_inference(made):
    game = stirred(built(made), 0.1).eval()
    x, y = batch(made, 3)
    dims = game.model.latent_dims
    with torch.no_grad():
        for samples in (1, 4):
            inference = game.model.infer(x, y, samples=samples)
            assert [tuple(level.z.shape) for level in inference.levels] == [(samples, 3, d) for d in dims]
            assert distortion(inference, x).shape == (samples, 3)
            assert inference.px.mean.shape == (samples, *x.shape)
            assert rate(inference).shape == (3,)
            assert not torch.isnan(log_weights(inference, x)).any()
        q = game.model.encode(x, y)
        assert q.mean.shape == q.stddev.shape == (3, sum(dims))
        assert torch.equal(q.mean, game.model.encode(x, y).mean)
        # the code of an example is that of no other
        torch.testing.assert_close(game.model.encode(x[1:2], y[1:2]).mean, q.mean[1:2], rtol=1e-4, atol=1e-4)


@over(MODELS)
def test_generation_is_deterministic_where_z_is_given(made):
    game = stirred(built(made), 0.1).eval()
    y, dims = labels(made, 3), game.model.latent_dims
    with torch.no_grad():
        if made[1]["model"]["kind"] == "ae":
            z = (torch.randn(1, 3, dims[0]),)
        else:
            drawn = game.model.generate(3, y)
            z = drawn.z
            assert [tuple(level.shape) for level in z] == [(1, 3, d) for d in dims]
            assert drawn.px.mean.shape[:2] == (1, 3)
        one, two = (game.model.generate(y=y, z=z).px.mean for _ in range(2))
        assert torch.equal(one, two)
        flat = game.model.generate(y=y, z=tuple(level[0] for level in z)).px.mean
        torch.testing.assert_close(flat, one)
        several = game.model.generate(y=y, z=tuple(level.expand(2, -1, -1) for level in z)).px.mean
        assert several.shape == (2, *one.shape[1:])
        torch.testing.assert_close(several[1:], one, rtol=1e-4, atol=1e-5)


@named(LADDERS)
def test_the_levels_below_those_given_are_drawn(made):
    game = stirred(built(made), 0.1).eval()
    top = torch.randn(1, 3, game.model.latent_dims[0])
    with torch.no_grad():
        one, two = (game.model.generate(3, z=(top,)) for _ in range(2))
    assert torch.equal(one.z[0], top)
    assert torch.equal(two.z[0], top)
    assert not torch.equal(one.z[1], two.z[1])


@over(MODELS)
def test_weights_from_a_file_are_the_weights(made, tmp_path):
    game = stirred(built(made), 0.1)
    checkpoint.save(tmp_path / "step-00000001", state(game), {})
    other = built(made, seed=5)
    load_module(other, checkpoint.load(tmp_path / "step-00000001")[0])
    b = batch(made, 3)
    for player in game.players:
        torch.manual_seed(7)
        one = game.eval()(player, b, 3)
        torch.manual_seed(7)
        two = other.eval()(player, b, 3)
        assert torch.equal(one.loss, two.loss)
        assert all(torch.equal(part, two.parts[name]) for name, part in one.parts.items())


def test_families_without_a_density_say_nothing_false():
    """A point has no rate against a flat prior, and a codeword's is what the prior says of it."""
    assert closed_kl(Point(torch.randn(3, 2)), Flat(2, torch.zeros(()))).tolist() == [0.0] * 3
    game = stirred(built(QUANTISED["vqvae-mlp"]))
    level = game.model.infer(batch(QUANTISED["vqvae-mlp"], 4).x).levels[0]
    assert isinstance(level.q, Codeword)
    torch.testing.assert_close(closed_kl(level.q, level.p), -level.p.log_prob(level.z[0]))
    assert isinstance(built(FLAT["vae-flow-flow"]).model.prior(None), Flow)
