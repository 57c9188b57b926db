"""What units do is found where it is known: on decoders written down by hand."""

import numpy as np
import pytest

from zatlas.latent.effects import LEAST_BASES, associate, normal_quantiles, unit_effects
from zatlas.latent.explained_variance import class_contrasts, explained_by_group, explained_by_number

rng = np.random.default_rng(0)
D, K = 4, 40
WEIGHTS = rng.normal(size=(D, 1, 3, 5))
MARGINAL = rng.normal(size=(3000, D)) * [1, 2, 0.5, 0]
BASE = rng.normal(size=(K, D)) * [1, 2, 0.5, 0]
read = lambda images: {"first": images[:, 0, 0, 0], "second": images[:, 0, 1, 2]}


def linear(z, which):
    return np.einsum("nd,dchw->nchw", z, WEIGHTS)


def test_of_a_linear_decoder_heat_is_its_column_and_slopes_are_its_weights():
    found = unit_effects(linear, BASE, MARGINAL, read, units=[2, 0, 3], steps=5)
    sd = MARGINAL.std(axis=0)
    for row, unit in enumerate([2, 0, 3]):
        np.testing.assert_allclose(found.heat[row], np.abs(WEIGHTS[unit]) * sd[unit], rtol=1e-6, atol=1e-12)
        assert found.size[row] == pytest.approx(np.abs(WEIGHTS[unit]).mean() * sd[unit])
        slopes = [WEIGHTS[unit, 0, 0, 0] * sd[unit], WEIGHTS[unit, 0, 1, 2] * sd[unit]]
        np.testing.assert_allclose(found.moved.slope[row], slopes, rtol=1e-6, atol=1e-12)
    assert np.allclose(found.size_error, 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(found.moved.r[:2]), 1)
    np.testing.assert_allclose(found.moved.r[2], 0)  # it never moves
    assert found.moved.p_value[0].max() < 1e-12
    assert found.moved.p_value[2].min() == 1


def test_shares_of_a_linear_decoder_with_independent_units_sum_to_one():
    base = rng.normal(size=(4000, D)) * [1, 2, 0.5, 0]
    found = unit_effects(linear, base, base, read, units=range(D), steps=3)
    np.testing.assert_allclose(found.share.sum(axis=0), 1, atol=0.06)


def test_numbers_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    from zatlas.latent import effects

    bent = lambda z, which: linear(z, which) ** 3
    one = unit_effects(bent, BASE, MARGINAL, read, units=[1], steps=7)
    monkeypatch.setattr(effects, "_AT_ONCE", 10)
    two = unit_effects(bent, BASE, MARGINAL, read, units=[1], steps=7)
    for name in ("heat", "size", "size_error", "share"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), err_msg=name)
    np.testing.assert_allclose(one.moved.r, two.moved.r)
    assert one.size_error[0] > 0


def test_each_base_is_decoded_as_itself_in_every_part():
    shown = lambda z, which: np.asarray(which, float)[:, None, None, None] * np.ones((1, 1, 3, 5))
    found = unit_effects(shown, BASE, MARGINAL, read, units=[0], steps=7)
    assert found.size[0] == 0
    assert found.moved.r[0].tolist() == [0, 0]


def test_quantiles_of_a_normal_unit_are_its_standard_deviations():
    draws = rng.normal(3, 2, size=(200_000, 1))
    np.testing.assert_allclose(normal_quantiles(draws, 5)[0], [-1, 1, 3, 5, 7], atol=0.05)


T = np.linspace(-1.5, 1.5, 7)


def test_the_sign_and_the_size_of_the_correlation():
    level = rng.normal(size=(500, 1, 1))
    noise = rng.normal(size=(500, 7, 1))
    found = associate(T, level * 100 - 2 * T[None, :, None] + noise)
    spread = 4 * np.mean(T**2)
    assert found.slope[0] == pytest.approx(-2, abs=4 * found.slope_error[0])
    assert found.r[0] == pytest.approx(-np.sqrt(spread / (spread + 6 / 7)), abs=4 * found.r_error[0])
    assert found.slope_error[0] == pytest.approx(1 / np.sqrt(500 * (T @ T)), rel=0.15)


def test_errors_are_as_wide_as_the_scatter_of_repeated_estimates():
    draw = lambda: rng.normal(1, 0.7, size=(40, 1, 1)) * T[None, :, None] + rng.normal(size=(40, 7, 1))
    many = [associate(T, draw()) for _ in range(300)]
    for value, error in (("r", "r_error"), ("slope", "slope_error")):
        scatter = np.std([getattr(found, value)[0] for found in many])
        assert np.mean([getattr(found, error)[0] for found in many]) == pytest.approx(scatter, rel=0.15)


def test_p_values_of_nothing_are_even():
    p = [associate(T, rng.normal(size=(20, 7, 1))).p_value[0] for _ in range(500)]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.05)


def test_what_turns_back_has_a_curve_and_no_correlation_and_what_bends_has_its_rank():
    numbers = np.stack([T**2, np.exp(3 * T), T], axis=-1)[None].repeat(20, axis=0)
    found = associate(T, numbers)
    assert found.r[0] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.curve, 1)
    assert found.rank[1] == found.rank[2] == pytest.approx(1)
    assert found.r[1] < 0.9
    opposed = numbers * np.where(np.arange(20) % 2, 1, -1)[:, None, None]
    np.testing.assert_allclose(associate(T, opposed).curve, 0, atol=1e-12)


def test_bases_without_the_number_are_left_out_and_too_few_say_nothing():
    numbers = np.tile(T[:, None], (20, 1, 1)) + rng.normal(size=(20, 7, 1)) * 0.1
    broken = numbers.copy()
    broken[15:, 3] = np.nan
    kept, whole = associate(T, broken), associate(T, numbers[:15])
    assert kept.bases[0] == 15
    assert kept.r[0] == pytest.approx(whole.r[0])
    assert kept.r_error[0] == pytest.approx(whole.r_error[0])
    broken[LEAST_BASES - 1 :] = np.nan
    assert np.isnan(associate(T, broken).r[0])


def test_angles_are_followed_around():
    turning = lambda z, which: (z[:, 0] * 50 + which * 7)[:, None, None, None] * np.ones((1, 1, 1, 1))
    angle = lambda images: {"angle": (images[:, 0, 0, 0] + 90) % 180 - 90}
    found = unit_effects(turning, BASE, MARGINAL, angle, units=[0], periods={"angle": 180})
    assert found.moved.r[0, 0] == pytest.approx(1)
    lost = unit_effects(turning, BASE, MARGINAL, angle, units=[0])
    assert abs(lost.moved.r[0, 0]) < 0.9


def test_a_factor_accounts_for_its_share_of_a_units_variance():
    factor = rng.integers(0, 6, 4000)
    effect = np.array([0, 5, -3, 1, 2, -4.0])[factor]
    codes = np.stack([effect + rng.normal(size=4000) * effect.std(), rng.normal(size=4000), effect], axis=1)
    share, error = explained_by_group(codes, factor)
    assert share[0] == pytest.approx(0.5, abs=4 * error[0])
    assert share[1] == pytest.approx(0, abs=0.005)
    assert share[2] == pytest.approx(1)
    squared, error = explained_by_number(codes, effect)
    assert squared[0] == pytest.approx(0.5, abs=4 * error[0])


def test_a_factor_that_says_nothing_accounts_for_nothing_in_the_mean():
    shares = [explained_by_group(rng.normal(size=(100, 5)), rng.integers(0, 20, 100))[0] for _ in range(60)]
    assert np.mean(shares) == pytest.approx(0, abs=0.02)  # unadjusted it would be 0.19


def test_d_prime_of_a_class():
    labels = rng.integers(0, 3, 6000)
    codes = rng.normal(size=(6000, 1)) + 2.0 * (labels == 1)[:, None]
    contrast, error = class_contrasts(codes, labels, 4)
    assert contrast[0, 1] == pytest.approx(2, abs=4 * error[0, 1])
    assert contrast[0, 0] < 0
    assert np.isnan(contrast[0, 3])
