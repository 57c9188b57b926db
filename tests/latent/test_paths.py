"""Paths reach what they are told to, and the one of high density is never worse than the straight one."""

import numpy as np
import pytest
import torch

from zatlas.errors import UsageError
from zatlas.latent import fit_flow, fit_mixture, paths

rng = np.random.default_rng(0)
ANCHORS = rng.normal(size=(3, 4))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The laws hold after any number of steps."""
    monkeypatch.setattr(paths, "STEPS", 30)


def normal(z):
    return -z.square().sum(-1) / 2


def ring(z):
    """Codes on a circle of radius 2, of width 0.2."""
    return -((z.norm(dim=-1) - 2) ** 2) / (2 * 0.2**2)


MAKERS = {
    "linear": paths.linear,
    "spherical": paths.spherical,
    "density": lambda anchors, n: paths.densest(anchors, n, normal),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("n", [2, 3, 9])
def test_a_path_passes_through_every_anchor(name, n):
    path = MAKERS[name](ANCHORS, n)
    assert path.shape == (2 * (n - 1) + 1, 4)
    np.testing.assert_array_equal(path[:: n - 1], ANCHORS)


@pytest.mark.parametrize("name", ["linear", "density"])
def test_points_are_evenly_spaced(name, monkeypatch):
    monkeypatch.setattr(paths, "STEPS", 200)
    steps = np.linalg.norm(np.diff(MAKERS[name](ANCHORS[:2], 12), axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.03)


@pytest.mark.parametrize("dim", [2, 50])
def test_the_spherical_path_turns_by_equal_angles_and_keeps_the_norm(dim):
    a, b = rng.normal(size=(2, dim))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    path = paths.spherical(np.stack([a, b]), 7)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), np.linalg.norm(a))
    cosines = (path[1:] * path[:-1]).sum(1) / (a @ a)
    np.testing.assert_allclose(cosines, cosines[0])
    longer = np.linalg.norm(paths.spherical(np.stack([a, 3 * b]), 5), axis=1)
    np.testing.assert_allclose(longer / np.linalg.norm(a), [1, 1.5, 2, 2.5, 3])


@pytest.mark.parametrize("b", [[0.0, 0.0], [-2.0, 0.0], [3.0, 0.0], [1.0, 0.0]])
def test_codes_in_line_with_the_origin_are_joined_straight(b):
    anchors = np.array([[1.0, 0.0], b])
    np.testing.assert_allclose(paths.spherical(anchors, 5), paths.linear(anchors, 5))


@pytest.mark.parametrize("density", [normal, ring])
@pytest.mark.parametrize("n", [3, 9])
def test_the_dense_path_is_never_thinner_than_the_straight_one(density, n):
    codes = 2 * rng.normal(size=(200, 2))
    for anchors in rng.normal(size=(4, 2, 2)):
        for known in (None, codes):
            found, straight = (
                density(torch.from_numpy(path)).mean()
                for path in (paths.densest(anchors, n, density, known), paths.linear(anchors, n))
            )
            assert found >= straight


def test_the_dense_path_goes_round_an_empty_middle(monkeypatch):
    monkeypatch.setattr(paths, "STEPS", 200)
    angle = rng.uniform(0, 2 * np.pi, 300)
    codes = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    path = paths.densest(np.array([[2.0, 0.0], [-2.0, 0.0]]), 15, ring, codes)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 2, atol=0.15)
    np.testing.assert_allclose(np.linalg.norm(np.diff(path, axis=0), axis=1).sum(), 2 * np.pi, rtol=0.03)


def test_a_code_to_itself_stays_where_it_is():
    for make in MAKERS.values():
        np.testing.assert_allclose(make(np.ones((2, 3)), 4), np.ones((4, 3)))


@pytest.mark.parametrize("dim", [2, 40])  # full covariances, and diagonal ones
def test_the_mixtures_density_is_the_fitted_one_and_has_its_gradient(dim):
    codes = rng.normal(size=(400, dim)) * np.linspace(0.5, 2, dim) + 3 * (rng.random((400, 1)) < 0.5)
    prior = fit_mixture(codes, components=2)
    density = paths.log_density(prior)
    z = torch.from_numpy(codes[:20]).requires_grad_()
    np.testing.assert_allclose(density(z).detach(), prior.log_prob(codes[:20]))
    density(z).sum().backward()
    step = 1e-5 * rng.normal(size=z.shape)
    change = prior.log_prob(codes[:20] + step) - prior.log_prob(codes[:20] - step)
    np.testing.assert_allclose((z.grad.numpy() * 2 * step).sum(1), change, rtol=1e-3, atol=1e-9)


def test_what_is_no_path():
    with pytest.raises(UsageError, match="at least two"):
        paths.linear(ANCHORS[:1], 9)
    with pytest.raises(UsageError, match="does not reach its end"):
        paths.spherical(ANCHORS, 1)
    with pytest.raises(UsageError, match="along a mixture"):
        paths.log_density(fit_flow(ANCHORS.repeat(9, 0) + rng.normal(size=(27, 4)), steps=1, layers=2, hidden=4))
