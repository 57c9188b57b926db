"""The bounds: ordered, functions of each row alone, and independent between rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from zatlas import VAE, AutoEncoder
from zatlas.estimators.bounds import class_posterior, content_bits, content_noise

from .conftest import TINY


def test_bounds_are_ordered(vae, digits):
    held_out = digits[0][400:]
    elbo, *tighter = (vae.score_samples(held_out, samples=k).mean() for k in (1, 5, 50))
    assert elbo < tighter[0] < tighter[1]
    assert vae.score(held_out) == pytest.approx(elbo)


def test_score_is_what_evaluation_measures(vae, digits):
    """The same ELBO as the trainer's own estimate, up to their different draws."""
    assert -vae.score(digits[0][:400]) == pytest.approx(vae.loss_, abs=0.5)  # each draw has an error of 0.1


def test_a_row_scores_the_same_in_any_company(vae, cvae, digits):
    x = digits[0][400:]
    for ask in (vae.score_samples, cvae.score_samples, cvae.transform, vae.transform):
        whole = ask(x)
        np.testing.assert_allclose(ask(x[::-1])[::-1], whole, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            np.concatenate([ask(x[i : i + 1]) for i in range(5)]), whole[:5], rtol=1e-4, atol=1e-4
        )
    assert vae.score_samples(np.repeat(x[:1], 2, 0)).std() == 0


def test_noise_is_normal_and_independent(digits):
    x = digits[0].astype(np.float32) / 255
    noise = content_noise(x, 0, 20, 3).numpy()
    assert noise.shape == (20, 500, 3)
    assert kstest(noise.ravel(), "norm").pvalue > 0.01
    across = np.corrcoef(noise.transpose(1, 0, 2).reshape(500, -1)[:60])
    assert np.abs(across[np.triu_indices(60, 1)]).max() < 0.65  # 60 numbers a row: a deviation of 0.13
    np.testing.assert_array_equal(content_noise(x, 0, 5, 3), noise[:5])
    assert not np.array_equal(content_noise(x, 1, 20, 3), noise)
    x = np.ones((1, 1000), np.float32)
    np.testing.assert_array_equal(content_noise(x * 0.0, 0, 1, 3), content_noise(x * -0.0, 0, 1, 3))


def test_bits_have_their_intensities_as_means():
    x = np.random.default_rng(0).random((4000, 3)).astype(np.float32)
    bits = content_bits(x, 0)
    assert set(np.unique(bits)) == {0.0, 1.0}
    assert abs((bits - x).mean()) < 0.01
    np.testing.assert_array_equal(bits[5:9], content_bits(x[5:9], 0))


@pytest.mark.slow
def test_binarised_data_score_as_bits(digits):
    x = digits[0]
    vae = VAE(size="xs", steps=50, binarise="dynamic").fit(x)
    assert vae.score(x) == pytest.approx(-vae.loss_, abs=0.5)
    drawn = content_bits(vae._trained.layout.shown(x, "VAE"), 0)[:, 0] * 255
    np.testing.assert_allclose(vae.score_samples(x), vae.score_samples(drawn), rtol=1e-5)
    bits = (x > 127).astype(np.uint8)
    assert VAE(**TINY).fit(bits).score(bits) == pytest.approx(VAE(**TINY, binarise="static").fit(bits).score(bits))


def test_an_autoencoder_scores_its_distortion(digits):
    ae = AutoEncoder(**TINY).fit(digits[0])
    assert ae.score(digits[0]) == pytest.approx(-ae.loss_, rel=1e-5)
    np.testing.assert_allclose(ae.score_samples(digits[0]), ae.score_samples(digits[0], samples=3), rtol=1e-5)
    with pytest.raises(ValueError, match="samples = 0"):
        ae.score_samples(digits[0], samples=0)


def test_summing_over_classes(cvae, digits):
    """log p(y) p(x|y) <= log p(x) <= max_y log p(x|y), and Bayes' rule finds most labels of unseen digits."""
    x, y = digits[0][400:], digits[1][400:]
    joint = cvae.score_samples(x, y, samples=30) + np.log(cvae._trained.labelling.prior[y])
    marginal = cvae.score_samples(x, samples=30)
    best = np.max([cvae.score_samples(x, np.full(100, c), samples=30) for c in range(10)], axis=0)
    assert (marginal >= joint - 1e-4).all()
    assert (marginal <= best + 1e-4).all()
    trained = cvae._trained
    shown = torch.from_numpy(trained.layout.shown(x, "test"))
    with torch.no_grad():
        posterior = class_posterior(cvae.model_, shown, trained._prior()).numpy()
    np.testing.assert_allclose(posterior.sum(1), 1, rtol=1e-5)
    assert (posterior.argmax(1) == y).mean() > 0.6
    codes = sum(posterior[:, [c]] * cvae.transform(x, np.full(100, c)) for c in range(10))
    np.testing.assert_allclose(cvae.transform(x), codes, rtol=1e-4, atol=1e-5)
