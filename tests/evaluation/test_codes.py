"""The laws of what codes are used for."""

import json
import math

import numpy as np
import pytest

from zatlas.errors import UsageError
from zatlas.evaluation.codes import (
    align,
    baselines,
    bayes_rule,
    calibration_error,
    fit_temperature,
    linear_probe,
    log_posterior,
    neighbour_probe,
    probe_table,
    regression_probe,
    reproducibility,
)


def clusters(n, seed, width=4, classes=3, apart=4.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    centres = apart * np.eye(classes, width)
    return centres[labels] + rng.standard_normal((n, width)), labels


def rotation(width, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


@pytest.mark.parametrize("probe", [linear_probe, neighbour_probe])
def test_probes_separate_what_is_apart_and_guess_what_is_shuffled(probe):
    (z, y), (z_test, y_test) = clusters(800, 0), clusters(600, 1)
    good = probe((z, z_test), y, y_test)
    assert good.value > 0.97
    share = (600 * good.value + 1) / 602  # one more right and one more wrong
    assert good.figure.standard_error == pytest.approx(math.sqrt(share * (1 - share) / 600))
    rng = np.random.default_rng(0)  # a cluster is guessed right or wrong as a whole: one shuffle says little
    shuffled = [probe((z, z_test), rng.permutation(y), y_test).value for _ in range(30)]
    assert abs(np.mean(shuffled) - 1 / 3) < 4 * np.std(shuffled) / math.sqrt(30) < 0.1


def test_neighbours_bend_where_a_line_cannot():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2000, 2))
    y = (z[:, 0] * z[:, 1] > 0).astype(int)
    split = (z[:1000], z[1000:])
    assert linear_probe(split, y[:1000], y[1000:]).value < 0.7
    assert neighbour_probe(split, y[:1000], y[1000:]).value > 0.9


def test_a_linear_probe_is_blind_to_origin_scale_and_turn():
    (z, y), (z_test, y_test) = clusters(500, 0, apart=2), clusters(500, 1, apart=2)
    turn = 30 * rotation(4)
    first, second = (linear_probe(s, y, y_test).value for s in ((z, z_test), (z @ turn - 9, z_test @ turn - 9)))
    assert second == pytest.approx(first, abs=0.01)


def test_the_logits_of_a_probe_go_to_bayes_rule():
    (z, y), (z_test, y_test) = clusters(500, 0, apart=2), clusters(2000, 1, apart=2)
    score = linear_probe((z, z_test), y, y_test)
    found = bayes_rule(score.matrices["log_joint"], y_test)
    assert found["accuracy"].value == pytest.approx(score.value)
    assert found["calibration_error"].value < 0.05
    two = linear_probe((z, z_test), y > 1, y_test > 1)
    assert bayes_rule(two.matrices["log_joint"], y_test > 1)["accuracy"].value == pytest.approx(two.value)


def test_real_labels_are_explained_to_their_share():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((6000, 3))
    y = z @ [[1.0, 0], [1, 0], [0, 2]] + rng.standard_normal((6000, 2)) * [1, 2]
    score = regression_probe((z[:3000], z[3000:]), y[:3000], y[3000:])
    np.testing.assert_allclose(score.matrices["r2"], [2 / 3, 1 / 2], atol=0.04)
    assert abs(score.value - 7 / 12) < 4 * score.figure.standard_error
    assert 0.003 < score.figure.standard_error < 0.02
    chance = regression_probe((z[:3000], z[3000:]), rng.permutation(y[:3000]), y[3000:])
    assert abs(chance.value) < 0.02
    assert chance.figure.standard_error < 0.003  # what is and what is left vary together
    one = regression_probe((z[:3000], z[3000:]), y[:3000, 0], y[3000:, 0])
    assert one.value == pytest.approx(score.matrices["r2"][0])


def test_linear_codes_are_of_the_same_size_and_find_the_same_plane():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    x = ((2 * y - 1)[:, None] + 0.5 * rng.standard_normal((600, 12))).reshape(600, 1, 3, 4)
    codes = baselines(x[:400], x[400:], 2)
    assert list(codes) == ["pca", "ppca", "factor analysis", "raw values"]
    assert [codes[name][1].shape for name in codes] == [(200, 2), (200, 2), (200, 2), (200, 12)]
    assert align(codes["pca"][0], codes["ppca"][0]).canonical.min() > 1 - 1e-6
    table = probe_table(codes, y[:400], y[400:])
    assert min(row["linear"].value for row in table.values()) > 0.97
    real = probe_table(codes, x[:400, 0, 0, 0], x[400:, 0, 0, 0])
    assert real["raw values"]["regression"].value > 0.99 > real["pca"]["regression"].value


def calibrated(n, seed, classes=4):
    """Log probabilities, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    log_p = log_posterior(2 * rng.standard_normal((n, classes)))
    labels = (np.exp(log_p).cumsum(1) < rng.random((n, 1))).sum(1)
    return log_p, labels.clip(max=classes - 1)


@pytest.mark.slow
def test_the_error_of_a_calibrated_predictor_is_its_floor():
    scores = [calibration_error(np.exp(log_p), y) for log_p, y in (calibrated(1000, s) for s in range(25))]
    values = np.array([score.value for score in scores])
    assert values.mean() == pytest.approx(np.mean([s.parts["floor"] for s in scores]), rel=0.1)
    assert values.mean() < 0.05
    log_p, y = calibrated(40_000, 0)
    large = calibration_error(np.exp(log_p), y)
    assert large.value < 0.01
    assert large.matrices["count"].sum() == 40_000
    full = large.matrices["count"] > 1000
    np.testing.assert_allclose(large.matrices["accuracy"][full], large.matrices["confidence"][full], atol=0.04)


def test_the_error_of_a_boaster_is_his_boast():
    p = np.tile([0.9, 0.1], (1000, 1))
    y = (np.arange(1000) % 10 >= 6).astype(int)  # right in six of ten
    score = calibration_error(p, y)
    assert score.value == pytest.approx(0.3)
    assert score.parts["overconfidence"] == pytest.approx(0.3)
    assert score.figure.standard_error == pytest.approx(math.sqrt(0.24 / 1000), rel=0.3)


def test_temperature_mends_confidence_and_nothing_else():
    log_p, y = calibrated(20_000, 1)
    sure = 3 * log_p + np.random.default_rng(0).standard_normal((len(y), 1))  # up to a constant of x
    temperature = fit_temperature(sure[:10_000], y[:10_000])
    assert temperature == pytest.approx(3, rel=0.06)
    before, after = (bayes_rule(sure[10_000:], y[10_000:], temperature=t) for t in (1, temperature))
    assert before["accuracy"].value == after["accuracy"].value
    assert after["log_loss"].value < before["log_loss"].value
    assert after["calibration_error"].value < 0.02 < before["calibration_error"].value


def test_bayes_rule_is_right_about_known_densities():
    rng = np.random.default_rng(0)
    y = (rng.random(20_000) < 0.25).astype(int)  # classes at 0 and 2, of 3 to 1
    x = 2 * y + rng.standard_normal(len(y))
    log_joint = -0.5 * (x[:, None] - [0, 2]) ** 2 + np.log([0.75, 0.25]) - 5000  # as small as a whole image's
    found = bayes_rule(log_joint, y)
    cut = 1 + math.log(3) / 2
    tail = lambda v: 0.5 * math.erfc(v / math.sqrt(2))
    exact = 0.75 * (1 - tail(cut)) + 0.25 * tail(cut - 2)
    assert abs(found["accuracy"].value - exact) < 4 * found["accuracy"].figure.standard_error
    assert found["calibration_error"].value < 0.02


def codes(n=1500, width=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, width)) * np.arange(1, width + 1)


def test_a_rotation_leaves_no_residual_and_turns_the_units():
    z = codes()
    turned = align(z, 5 * z @ rotation(4) + 2)
    assert turned.figures["procrustes_residual"].value == pytest.approx(0, abs=1e-9)
    assert turned.figures["matched_correlation"].value < 0.95
    np.testing.assert_allclose(turned.canonical, 1, atol=1e-6)
    np.testing.assert_allclose(turned.rotation, rotation(4), atol=1e-6)
    assert "axes turned" in turned.sentences()[-1]


def test_canonical_correlations_do_not_see_linear_maps():
    z = codes()
    other = z + 2 * codes(seed=1)
    rng = np.random.default_rng(2)
    first = align(z, other)
    second = align(z @ rng.standard_normal((4, 4)) + 1, other @ rng.standard_normal((4, 4)) - 1)
    np.testing.assert_allclose(second.canonical, first.canonical, atol=1e-6)
    assert 0.2 < first.canonical.mean() < 0.7
    assert first.figures["procrustes_residual"].value != pytest.approx(
        second.figures["procrustes_residual"].value, abs=0.01
    )


def test_procrustes_is_that_of_scipy_and_explains_the_residual():
    from scipy.spatial import procrustes

    z, other = codes(), codes() + codes(seed=1)
    found = align(z, other)
    assert found.figures["procrustes_residual"].value == pytest.approx(procrustes(other, z)[2])


def test_canonical_correlations_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200_000, 2))
    rho = np.array([0.9, 0.4])
    other = rho * z + np.sqrt(1 - rho**2) * rng.standard_normal(z.shape)
    from zatlas.evaluation.codes.alignment import Moments

    found = Moments.of(np.concatenate([z @ rotation(2), other @ rotation(2, 1)], 1), 2).canonical()
    np.testing.assert_allclose(found, rho, atol=0.01)


def test_units_are_matched_whatever_their_order_and_sign():
    z = codes()
    order = np.array([2, 0, 3, 1])
    found = align(z, -z[:, order])
    assert (order[found.matches] == np.arange(4)).all()
    assert found.figures["matched_correlation"].value == pytest.approx(1)
    assert "A single unit of the second code stands for each of units 0, 1, 2, 3" in found.sentences()[2]
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.slow
def test_unrelated_codes_share_what_chance_gives_and_dead_units_nothing():
    found = [align(codes(100), codes(100, seed=s)) for s in range(1, 8)]
    squares = [np.mean(f.canonical**2) for f in found]
    assert math.sqrt(np.mean(squares)) == pytest.approx(found[0].chance, rel=0.1)
    dead = codes(300)
    dead[:, 1] = 7.0
    one = align(dead, codes(300))
    assert one.canonical.shape == (3,)
    assert one.correlations[1].tolist() == [0] * 4
    assert "unit 1 of the first code never change" in one.warnings[0]


def test_codes_of_other_sizes_are_aligned_too():
    z = codes()
    found = align(z[:, :2], z)
    assert found.canonical == pytest.approx([1, 1])
    assert found.rotation.shape == (2, 4)
    back = align(z, z[:, :2])
    assert (back.matches >= 0).sum() == 2
    assert back.figures["matched_correlation"].value == pytest.approx(1)


@pytest.mark.slow
def test_trainings_are_compared_in_pairs():
    z = codes(300)
    runs = [z @ rotation(4, s) for s in range(3)]
    found = reproducibility(runs)
    assert found["procrustes_residual"].value == pytest.approx(0, abs=1e-9)
    assert found["canonical_correlation"].value == pytest.approx(1)
    assert found["matched_correlation"].count == 3
    assert found["matched_correlation"].standard_error > 0
    assert math.isnan(reproducibility(runs[:2])["matched_correlation"].standard_error)


def test_bad_words_are_refused():
    z, y = clusters(100, 0)
    for sentence, work in {
        "19 rows, and at least 20": lambda: linear_probe((z[:19], z), y[:19], y),
        "100 codes have 99 labels": lambda: neighbour_probe((z, z), y, y[:99]),
        "4 units to learn from and 3": lambda: linear_probe((z, z[:, :3]), y, y),
        "one class": lambda: linear_probe((z, z), 0 * y, y),
        "NaN or infinity in 100": lambda: linear_probe((z * np.nan, z), y, y),
        "class numbers": lambda: linear_probe((z, z), y - 0.5, y),
        "have no 101 neighbours": lambda: neighbour_probe((z, z), y, y, k=101),
        "labels of": lambda: regression_probe((z, z), y[:50], y),
        "never changes": lambda: regression_probe((z, z), y, 0.0 * y),
        "labels hold NaN": lambda: regression_probe((z, z), y * np.nan, y),
        "add up to 1": lambda: calibration_error(np.full((20, 2), 0.4), np.zeros(20, int)),
        "two classes or more": lambda: calibration_error(np.ones((20, 1)), np.zeros(20, int)),
        "20 rows and the labels 3": lambda: bayes_rule(np.zeros((20, 2)), np.zeros(3, int)),
        "a label 2": lambda: bayes_rule(np.zeros((20, 2)), np.full(20, 2)),
        "in 20 rows": lambda: fit_temperature(np.full((20, 2), -np.inf), np.zeros(20, int)),
        "encode the same": lambda: align(z, z[:50]),
        "never change: there is nothing": lambda: align(0 * z, z),
        "at least two": lambda: reproducibility([z]),
    }.items():
        with pytest.raises(UsageError, match=sentence):
            work()
