"""Linear Gaussian models: everything about them is known, so everything is checked against it."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from torch.func import functional_call, stack_module_state

from zatlas.errors import UsageError, ZatlasError
from zatlas.models.linear import NOISE_FLOOR, LinearGaussian
from zatlas.objectives import importance_bound, negative_elbo
from zatlas.objectives.bounds import log_weights

KINDS = pytest.mark.parametrize("shared", [True, False], ids=["ppca", "fa"])


def digits(still=True):
    """1,797 digits ``[N, 64]`` in [0, 1]; without the pixels that never change, if not ``still``."""
    x = (load_digits().data / 16).astype(np.float32)
    return x if still else x[:, x.std(0) > 0]


def factors(n=1000, size=12, latent_dim=3, offset=50.0, seed=0):
    """Data of a known factor model, with columns of very different units."""
    rng = np.random.default_rng(seed)
    scale = np.geomspace(0.01, 100, size)
    weight = rng.normal(size=(size, latent_dim)) * scale[:, None]
    noise = rng.uniform(0.1, 1, size) * scale
    x = rng.normal(size=(n, latent_dim)) @ weight.T + noise * rng.normal(size=(n, size)) + offset * scale
    return x.astype(np.float32)


def fitted(x, latent_dim, shared, shape=None):
    shape = shape or x.shape[1:]
    return LinearGaussian(shape, latent_dim, shared_noise=shared).fit(x.reshape(-1, *shape))


@pytest.mark.parametrize("x", [digits(still=False), factors()], ids=["digits", "factors"])
def test_ppca_is_scikit_learns(x):
    wide = x.astype(np.float64)
    model = LinearGaussian(x.shape[1:], 3).double().fit(x)
    found, expected = model.log_marginal(torch.from_numpy(x)).detach(), PCA(3).fit(wide).score_samples(wide)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    rounded = fitted(x, 3, shared=True).log_marginal(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(rounded, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("x", [digits(still=False), factors()], ids=["digits", "factors"])
def test_factor_analysis_is_scikit_learns(x):
    model = LinearGaussian(x.shape[1:], 3, shared_noise=False).double().fit(x)
    found = model.log_marginal(torch.from_numpy(x)).detach().numpy()
    unit = x.astype(np.float64) / x.std(0)
    jacobian = np.log(x.std(0)).sum()
    theirs = FactorAnalysis(3, tol=1e-6 * len(x), svd_method="lapack", max_iter=5000).fit(unit)
    assert found.mean() == pytest.approx(theirs.score(unit) - jacobian, abs=0.002)  # both climb to the same place
    theirs.components_ = model.weight.detach().numpy().T / x.std(0)
    theirs.noise_variance_ = model.log_noise.detach().exp().numpy() / x.std(0).astype(np.float64) ** 2
    theirs.mean_ = model.mean.detach().numpy() / x.std(0)
    np.testing.assert_allclose(found, theirs.score_samples(unit) - jacobian, rtol=1e-6, atol=1e-4)


@KINDS
@pytest.mark.parametrize("shape", [(64,), (1, 8, 8)])
def test_every_bound_is_tight_at_every_draw(shape, shared):
    x = digits()
    model = fitted(x, 20, shared, shape)
    x = torch.from_numpy(x[:50]).reshape(-1, *shape)
    evidence = model.log_marginal(x)
    torch.manual_seed(0)
    for samples in (1, 10):
        torch.testing.assert_close(importance_bound(model.infer(x, samples=samples), x), evidence, atol=1e-6, rtol=0)
    draws = log_weights(model.infer(x, samples=10), x)
    torch.testing.assert_close(draws, evidence.expand_as(draws), atol=1e-6, rtol=0)
    # the mean distortion over a Gaussian is exact at these 2D points, as it is a quadratic in z
    corners = math.sqrt(20) * torch.cat([torch.eye(20), -torch.eye(20)])[:, None].expand(40, 50, 20)
    torch.testing.assert_close(-negative_elbo(model.infer(x, noise=corners), x), evidence, atol=1e-4, rtol=0)


@KINDS
def test_bounds_are_tight_to_a_ten_thousandth_of_a_nat_in_784_values_with_little_noise(shared):
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(784, 16))
    x = (rng.normal(size=(900, 16)) @ basis.T + 0.01 * rng.normal(size=(900, 784))).astype(np.float32)
    model = fitted(x, 16, shared, (1, 28, 28))
    held = torch.from_numpy(x[:20]).reshape(-1, 1, 28, 28)
    draws, evidence = log_weights(model.infer(held, samples=20), held), model.log_marginal(held)
    assert evidence.abs().min() > 1000
    torch.testing.assert_close(draws, evidence.expand_as(draws), atol=1e-4, rtol=0)


@KINDS
def test_posterior_and_evidence_are_those_of_conditioning_the_joint_gaussian(shared):
    x = torch.from_numpy(factors())
    model = fitted(x.numpy(), 3, shared)
    weight, mean, noise = model.weight.double(), model.mean.double(), model.log_noise.double().exp()
    covariance = weight @ weight.T + noise.expand(12).diag()
    gain = torch.linalg.solve(covariance, weight).T  # Cov(z, x) Cov(x)^-1
    q = model.encode(x)
    torch.testing.assert_close(q.mean, (x - mean) @ gain.T)
    found = (q.scale_tril @ q.scale_tril.mT)[0]
    torch.testing.assert_close(found, torch.eye(3, dtype=torch.float64) - gain @ weight, rtol=1e-6, atol=1e-9)
    evidence = torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)
    torch.testing.assert_close(model.log_marginal(x), evidence, rtol=1e-6, atol=1e-4)


@KINDS
def test_what_it_generates_has_the_moments_of_the_model(shared):
    torch.manual_seed(0)
    model = fitted(factors(), 3, shared)
    with torch.no_grad():
        draws = model.generate(200_000).px.sample()[0]
        expected = model.weight @ model.weight.T + model.log_noise.exp().expand(12).diag()
        unit = expected.diagonal().sqrt()
        np.testing.assert_allclose((draws.mean(0) - model.mean) / unit, 0, atol=0.015)
        np.testing.assert_allclose(draws.T.cov() / unit[:, None] / unit, expected / unit[:, None] / unit, atol=0.015)


@pytest.mark.slow
@KINDS
def test_training_by_gradient_approaches_the_fit(shared):
    x = torch.from_numpy(digits(still=False)[:400, 2::6].copy())
    torch.manual_seed(0)
    model = LinearGaussian(x.shape[1:], 2, shared_noise=shared, mean=x.mean(0), scale=x.std(0))
    best = fitted(x.numpy(), 2, shared).log_marginal(x).mean()
    assert model.log_marginal(x).mean() < best - 1
    optimiser = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(300):
        optimiser.zero_grad()
        # one draw will do: at the exact posterior, which this model always has, the bound does not depend on it
        (-importance_bound(model.infer(x), x).mean()).backward()
        optimiser.step()
    assert abs(model.log_marginal(x).mean() - best) < 0.03


def test_stacked_members_equal_themselves_alone_and_learn():
    torch.manual_seed(0)
    x = torch.from_numpy(digits()[:40])
    members = [LinearGaussian((64,), 3, shared_noise=False) for _ in range(3)]
    parameters, buffers = stack_module_state(members)
    noise = torch.randn(2, 40, 3)

    class Loss(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x, noise=None):
            return negative_elbo(self.model.infer(x, samples=2, noise=noise), x).mean()

    named = lambda tensors: {f"model.{name}": value for name, value in tensors.items()}
    loss = lambda p, b, noise: functional_call(Loss(members[0]), (named(p), named(b)), (x, noise))
    together = torch.vmap(loss, (0, 0, None), randomness="different")(parameters, buffers, noise)
    alone = torch.stack([Loss(member)(x, noise) for member in members])
    torch.testing.assert_close(together, alone)
    drawn = torch.vmap(loss, (0, 0, None), randomness="different")(parameters, buffers, None)
    drawn.sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in parameters.values())


@KINDS
def test_values_that_never_change_have_the_floors_noise(shared):
    x = digits()
    still = x.std(0) == 0
    assert still.sum() == 3
    for shape in ((64,), (1, 8, 8)):
        model = fitted(x, 5, shared, shape)
        assert torch.isfinite(model.log_marginal(torch.from_numpy(x).reshape(-1, *shape))).all()
        assert torch.isfinite(model.generate(10).px.sample()).all()
        if not shared:
            floor = NOISE_FLOOR * x.var(0, ddof=1).mean()
            np.testing.assert_allclose(model.log_noise.detach().exp()[still], floor, rtol=1e-5)
            np.testing.assert_allclose(model.weight.detach()[still], 0, atol=1e-6)
            seen = torch.from_numpy(digits() + 1e3 * still)
            assert torch.isfinite(model.log_marginal(seen.reshape(-1, *shape))).all()


def test_exactly_linear_data_stop_at_the_floor():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(100, 2)) @ rng.normal(size=(2, 6))).astype(np.float32)
    for shared in (True, False):
        model = fitted(x, 2, shared)
        bound = torch.tensor(NOISE_FLOOR * x.var(0, ddof=1)).log()
        bound = torch.tensor(NOISE_FLOOR * x.var(0, ddof=1).mean()).log() if shared else bound
        assert (model.log_noise >= bound - 1e-5).all()
        with torch.no_grad():
            model.log_noise.fill_(-50.0)  # as training may come to wish
        variance = model.generate(1).px.variance[0, 0]
        torch.testing.assert_close(variance.log().float(), bound.expand(6), atol=1e-5, rtol=0)


def test_fewer_examples_than_values_have_tippings_noise():
    """sigma^2 is the mean of all P - D eigenvalues left over, the zeros among them."""
    x = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T.astype(np.float64)))[::-1]
    found = fitted(x, 4, shared=True).log_noise.exp().item()
    assert found == pytest.approx(eigenvalues[4:].sum() / 46, rel=1e-5)


@KINDS
def test_its_shapes_are_those_of_every_model(shared):
    torch.manual_seed(0)
    model = LinearGaussian((3, 4, 5), 7, shared_noise=shared)
    x, y = torch.rand(6, 3, 4, 5), torch.eye(6)
    assert model.latent_dims == (7,)
    inference = model.infer(x, y, samples=4)
    assert inference.levels[0].z.shape == (4, 6, 7)
    assert inference.px.mean.shape == inference.px.sample().shape == (4, 6, 3, 4, 5)
    assert model.encode(x, y).mean.shape == model.encode(x).stddev.shape == (6, 7)
    assert model.generate(y=y).z[0].shape == (1, 6, 7)
    z = torch.randn(6, 7)
    one, two = (model.generate(z=(z,)).px.mean for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (1, 6, 3, 4, 5)
    noise = torch.randn(2, 6, 7)
    assert torch.equal(model.infer(x, noise=noise).levels[0].z, model.infer(x, noise=noise).levels[0].z)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model.log_marginal(x), model.log_marginal(x.double()))
        assert model.infer(x).px.mean.dtype == torch.float64


def test_what_cannot_be_is_refused_in_a_sentence():
    for latent_dim in (0, 12, 40):
        with pytest.raises(UsageError, match=f"12 values cannot have {latent_dim} latent units: give 1 to 11"):
            LinearGaussian((3, 4), latent_dim)
    model, x = LinearGaussian((12,), 5), factors(100)
    with pytest.raises(UsageError, match="5 examples cannot tell 5 latent units"):
        model.fit(x[:5])
    with pytest.raises(UsageError, match=r"shape \(12,\) and x has \(3, 4\)"):
        model.fit(x.reshape(-1, 3, 4))
    with pytest.raises(ZatlasError, match="are the same"):
        model.fit(np.repeat(x[:1], 10, 0))
    x[3, 4] = np.nan
    with pytest.raises(ZatlasError, match="NaN"):
        model.fit(x)
