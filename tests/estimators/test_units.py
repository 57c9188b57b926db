"""What goes in comes out in the same shape and the same units, and densities are those of X."""

from __future__ import annotations

import numpy as np
import pytest

from zatlas import VAE, AutoEncoder, ConditionalVAE

from .conftest import TINY

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "shape", [(7,), (6, 9), (1, 6, 9), (6, 9, 1), (3, 6, 9), (6, 9, 3)], ids=lambda s: "x".join(map(str, s))
)
@pytest.mark.parametrize("kind", ["uint8", "bits", "unit", "real", "int"])
def test_shapes_and_units(shape, kind):
    uniform = RNG.random((40, *shape))
    x = {
        "uint8": (uniform * 256).astype(np.uint8),
        "bits": uniform > 0.5,
        "unit": uniform,
        "real": uniform * 1e4 - 3e3,
        "int": (uniform * 255).astype(np.int64),
    }[kind]
    vae = VAE(**TINY).fit(x)
    back = vae.inverse_transform(vae.transform(x))
    assert back.shape == x.shape == vae.reconstruct(x).shape
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, vae.reconstruct(x), rtol=1e-5)
    layout = vae._trained.layout
    np.testing.assert_allclose(layout.restored(layout.shown(x, "VAE")), x, rtol=1e-5, atol=1e-5)
    # 40 noise images teach little but their mean
    assert abs(back.mean() - x.mean()) < 0.1 * x.std()
    assert vae.sample(3, draws=True).shape == (3, *shape)
    assert vae.n_features_in_ == x[0].size


def test_floats_in_the_unit_interval(digits):
    short = TINY | {"steps": 2}
    columns = digits[0].reshape(500, -1) / 255
    assert VAE(**short).fit(columns)._trained.layout.spec.values == "real"
    assert VAE(**short, likelihood="bernoulli").fit(columns)._trained.layout.spec.values == "unit"
    assert VAE(**short, binarise="dynamic").fit(columns)._trained.layout.spec.values == "unit"
    assert VAE(**short).fit(columns.reshape(-1, 8, 8))._trained.layout.spec.values == "unit"
    with pytest.raises(ValueError, match="bernoulli likelihood wants"):
        VAE(**short, likelihood="bernoulli").fit(columns - 1)


def test_other_types_of_the_same_numbers(vae, digits):
    x = digits[0][:20]
    for same in (x.astype(np.float64), x.astype(np.int32), x.tolist(), x[:, None], x[..., None]):
        np.testing.assert_allclose(vae.transform(same), vae.transform(x), rtol=1e-5, atol=1e-6)


def test_intensities_in_another_unit_are_refused(vae, digits):
    """Floats in [0, 1] are black to a model of 0..255, which answered -57,733 nats without a word."""
    x = digits[0][400:]
    for ask in (vae.transform, vae.score_samples, vae.reconstruct):
        for other in (x / 255, (x / 255).astype(np.float32), x > 127):
            with pytest.raises(ValueError, match="from 0 to 1, and VAE was fitted on whole numbers from 0 to 255"):
                ask(other)
    with pytest.raises(ValueError, match="fitted on values from 0 to 1"):
        VAE(**TINY).fit(x / 255).transform(x)
    black = np.zeros_like(x[:1])
    np.testing.assert_array_equal(vae.transform(black.astype(float)), vae.transform(black))


@pytest.mark.slow
def test_density_in_the_units_of_x(digits):
    """p_X(x) = p(x/255) / 255^64 for the same model; grey losses have no units."""
    whole, unit = digits[0][:200], digits[0][:200] / 255
    for likelihood, shift in (
        ("gaussian-learned", 64 * np.log(255)),
        ("gaussian-per-pixel", 64 * np.log(255)),
        ("continuous-bernoulli", 64 * np.log(255)),
        ("bernoulli", 0),
    ):
        first = VAE(**TINY, likelihood=likelihood).fit(whole).score(whole)
        second = VAE(**TINY, likelihood=likelihood).fit(unit).score(unit)
        assert second - first == pytest.approx(shift, abs=1e-2)


def test_density_of_real_values_scales(digits):
    """Standardisation makes the fit the same in any unit, and the density smaller by the unit's volume."""
    x = digits[0].reshape(500, -1)[:, 20:30].astype(float)
    one, thousand = (AutoEncoder(**TINY).fit(x * unit).score(x * unit) for unit in (1.0, 1000.0))
    assert one - thousand == pytest.approx(10 * np.log(1000), abs=1e-2)


def test_conv_network_on_colour_images():
    x = (RNG.random((40, 8, 12, 3)) * 255).astype(np.uint8)
    vae = VAE(**TINY, network="conv").fit(x)
    assert vae.reconstruct(x[:2]).shape == (2, 8, 12, 3)
    assert vae.config_.network_kind == "conv"


@pytest.mark.slow
def test_labels_of_every_kind(digits):
    x, y = digits
    words = np.array(["zero", "one", "two"])[y % 3]
    x, y, words = x[:100], y[:100], words[:100]
    for labels in (
        words,
        words.astype(object),
        words.tolist(),
        y % 3,
        (y % 3).astype(str),
        y % 2 == 0,
        (y % 3)[:, None],
    ):
        cvae = ConditionalVAE(**TINY | {"steps": 3}).fit(x, labels)
        assert cvae.classes_.tolist() == sorted(set(np.ravel(labels).tolist()))
        assert cvae.transform(x, labels).shape == (100, 2)
        assert cvae.sample(2, y=cvae.classes_[1]).shape == (2, 8, 8)
    with pytest.raises(ValueError, match=r"no class 'tow'; did you mean two\?"):
        ConditionalVAE(**TINY | {"steps": 3}).fit(x, words).sample(2, y="tow")


def test_real_labels_must_be_given(digits):
    x, y = digits[0], np.stack([digits[1] / 10, RNG.random(500)], 1)
    cvae = ConditionalVAE(**TINY).fit(x, y)
    assert not hasattr(cvae, "classes_")
    assert cvae.transform(x, y).shape == (500, 2)
    assert cvae.sample(3, y=[0.1, 0.2]).shape == (3, 8, 8)
    np.testing.assert_allclose(cvae.reconstruct(x, y), cvae.inverse_transform(cvae.transform(x, y), y), rtol=1e-5)
    for ask in (cvae.transform, cvae.score, cvae.reconstruct):
        with pytest.raises(ValueError, match="real labels: give y"):
            ask(x)
    with pytest.raises(ValueError, match="real labels: give y"):
        cvae.sample(3)
    with pytest.raises(ValueError, match="1 columns, and this estimator wants 2"):
        cvae.transform(x, y[:, :1])


def test_a_conditional_code_needs_a_label(cvae):
    with pytest.raises(ValueError, match="give y"):
        cvae.inverse_transform(np.zeros((3, 2)))
    means = cvae.inverse_transform(np.zeros((2, 2)), [0, 1])
    np.testing.assert_allclose(cvae.inverse_transform(np.zeros((1, 2)), [0])[0], means[0], rtol=1e-5)
    assert np.abs(means[0] - means[1]).max() > 50


def test_samples_repeat_and_differ(vae):
    np.testing.assert_array_equal(vae.sample(4), vae.sample(4))
    np.testing.assert_array_equal(vae.sample(4, random_state=3), vae.sample(4, random_state=3))
    assert not np.array_equal(vae.sample(4, random_state=3), vae.sample(4, random_state=4))
    assert set(np.unique(vae.sample(4, draws=True))) == {0.0, 255.0}
