"""The laws of sample quality."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from zatlas.errors import UsageError
from zatlas.evaluation.quality import (
    Extractor,
    copying,
    frechet_distance,
    kernel_distance,
    mode_coverage,
    module_extractor,
    nearest,
    overlap,
    quality,
    raw_values,
    stacked_classes,
)


def gaussian(n, width, seed=0):
    return np.random.default_rng(seed).standard_normal((n, width))


def with_moments(n, mean, covariance, seed=0):
    """Examples whose mean and covariance are these exactly."""
    x = gaussian(n, len(mean), seed)
    x = x - x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def spread(width, seed):
    root = gaussian(2 * width, width, seed)
    return root.T @ root / (2 * width)


def rotation(width, seed=0):
    return np.linalg.qr(gaussian(width, width, seed))[0]


def test_frechet_distance_of_a_set_and_itself_is_nothing():
    x = gaussian(200, 8)
    assert frechet_distance(x, x).value == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x[::-1]).value == pytest.approx(0, abs=1e-9)


def test_frechet_distance_is_the_formula():
    from scipy.linalg import sqrtm

    a, b = spread(6, 1), spread(6, 2)
    shift = np.arange(6.0)
    score = frechet_distance(with_moments(100, shift, a, 3), with_moments(150, 0 * shift, b, 4))
    exact = shift @ shift + np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(a @ b)).real
    assert score.value == pytest.approx(exact, rel=1e-9)
    assert score.parts["means"] == pytest.approx(shift @ shift)
    assert score.value == pytest.approx(sum(score.parts.values()))


def test_frechet_distance_does_not_turn():
    a, b, turn = gaussian(300, 7), gaussian(300, 7, 1) * np.arange(1, 8) + 1, rotation(7)
    assert frechet_distance(a @ turn, b @ turn).value == pytest.approx(frechet_distance(a, b).value, rel=1e-9)


def test_frechet_distance_of_singular_sets_is_real():
    a, b = gaussian(30, 50), gaussian(30, 50, 1)  # fewer examples than features
    a[:, 0] = b[:, 1] = 0.0
    score = frechet_distance(a, b)
    assert math.isfinite(score.value)
    assert math.isfinite(score.figure.standard_error)
    assert "more than 50 are needed, and 500 are advised" in score.warnings[0]
    assert "500 are advised" in frechet_distance(gaussian(100, 50), gaussian(99, 50)).warnings[0]
    assert not frechet_distance(gaussian(100, 5), gaussian(99, 5)).warnings
    line = np.outer(gaussian(40, 1)[:, 0], np.ones(3))
    line -= line.mean(0)
    assert frechet_distance(line, 3 * line).value == pytest.approx(4 * np.trace(np.cov(line.T)))


def test_the_floor_of_the_frechet_distance_is_the_one_told():
    found = [frechet_distance(gaussian(500, 20, 2 * s), gaussian(1000, 20, 2 * s + 1)).value for s in range(40)]
    assert np.mean(found) == pytest.approx(20 * (20 + 5) / 4 * (1 / 500 + 1 / 1000), rel=0.1)


def test_the_error_of_the_frechet_distance_is_its_spread():
    stretch = np.array([2.0, 1, 0.5])
    scores = [frechet_distance(gaussian(400, 3, s), gaussian(300, 3, s + 999) * stretch + 0.5) for s in range(300)]
    errors = [score.figure.standard_error for score in scores]
    assert np.std([score.value for score in scores]) == pytest.approx(np.mean(errors), rel=0.15)


def test_kernel_distance_is_the_double_sum():
    a, b = gaussian(25, 3), gaussian(31, 3, 1) + 0.5
    kernel = lambda x, y: (x @ y / 3 + 1) ** 3
    mean = lambda x, y, skip: np.mean(
        [kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(y) if i != j or not skip]
    )
    exact = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
    assert kernel_distance(a, b).value == pytest.approx(exact)


def test_kernel_distance_is_unbiased_and_its_error_is_honest():
    found = [kernel_distance(gaussian(60, 4, s), gaussian(90, 4, s + 5000)) for s in range(400)]
    values, errors = (np.array([getattr(f, name) for f in found]) for name in ("value", "standard_error"))
    assert abs(values.mean()) < 4 * values.std() / 20
    assert values.std() * 0.9 < np.sqrt((errors**2).mean()) < values.std() * 1.6
    apart = [kernel_distance(gaussian(60, 4, s), gaussian(90, 4, s + 5000) + 0.7) for s in range(200)]
    values, errors = (np.array([getattr(f, name) for f in apart]) for name in ("value", "standard_error"))
    assert values.std() == pytest.approx(errors.mean(), rel=0.25)
    assert values.mean() > 5 * values.std() / math.sqrt(200)


def test_pieces_do_not_matter(monkeypatch):
    from zatlas.evaluation.quality import kernel, neighbours

    a, b = gaussian(90, 4), gaussian(70, 4, 1)
    whole = kernel_distance(a, b), overlap(a, b), nearest(a, b)
    monkeypatch.setattr(kernel, "ROWS", 16)
    monkeypatch.setattr(neighbours, "PAIRS", 1000)
    parts = kernel_distance(a, b), overlap(a, b), nearest(a, b)
    assert parts[0].value == pytest.approx(whole[0].value)
    assert parts[0].standard_error == pytest.approx(whole[0].standard_error)
    assert parts[1] == whole[1]
    assert (parts[2][0] == whole[2][0]).all()


def test_overlap_of_a_set_and_itself_is_whole():
    x = gaussian(60, 3)
    x = np.concatenate([x, x])  # copies: every example has a neighbour at no distance
    for k in (1, 3):
        figures = overlap(x, x, k=k)
        assert [figures[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]


def test_overlap_is_counted_by_hand():
    real, made = np.zeros((20, 1)), np.zeros((20, 1))
    real[:, 0], made[:, 0] = np.arange(20), np.arange(20) * 2 + 0.25  # a made one in every second real gap
    figures = overlap(real, made, k=1)
    assert figures["precision"].value == 10 / 20  # 0.25, ..., 18.25; the next, 20.25, is 1.25 from the last
    assert figures["recall"].value == 1
    assert figures["density"].value == (9 * 2 + 2) / 20
    assert figures["coverage"].value == 1


@pytest.mark.slow
def test_overlap_of_one_distribution_is_what_its_dimension_makes_it():
    """Density 1 and coverage 1 - 2^-5 of any; but precision and recall fall, with 10,000 of 1000 features to .5."""
    for width, low, high in ((2, 0.9, 1), (64, 0.65, 0.78), (1000, 0.45, 0.68)):
        figures = overlap(gaussian(1500, width), gaussian(1500, width, 1))
        assert figures["density"].value == pytest.approx(1, abs=0.15)
        assert figures["coverage"].value == pytest.approx(1 - 2**-5, abs=0.02)
        assert low < figures["precision"].value < high
        assert low < figures["recall"].value < high


def test_few_modes_are_precise_and_wide_samples_recall():
    real, narrow, wide = gaussian(400, 2), 0.1 * gaussian(400, 2, 1), 3 * gaussian(400, 2, 2)
    few, many = overlap(real, narrow), overlap(real, wide)
    assert few["precision"].value > 0.95
    assert few["recall"].value < 0.3
    assert many["precision"].value < 0.6
    assert many["recall"].value > 0.9
    assert few["coverage"].value < 0.3


def test_the_nearest_is_found_far_from_the_origin():
    points = gaussian(50, 3) + 1e6
    order = np.random.default_rng(0).permutation(50)
    index, distance = nearest(points[order], points)
    assert (index == order).all()
    assert (distance == 0).all()
    real, made = gaussian(60, 3), gaussian(60, 3, 1)
    far = overlap(real + 1e8, made + 1e8)
    assert [f.value for f in far.values()] == [f.value for f in overlap(real, made).values()]


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize(
    "points",
    [
        gaussian(200, 5),
        gaussian(200, 5) * 1e20,  # whose squares float32 does not hold
        gaussian(200, 5) * 1e-20,
        np.round(gaussian(200, 2)),  # ties: the first of them
        np.concatenate([gaussian(100, 3) * 1e-3 + 50, gaussian(100, 3) * 1e-3 - 50]),  # float32 cannot tell them apart
        np.concatenate([gaussian(150, 3), gaussian(50, 3) * 1e-5]),  # and here of some alone
    ],
)
def test_the_nearest_is_that_of_exact_arithmetic(points, others):
    queries = points if others else gaussian(60, points.shape[1], 1) * np.abs(points).max() / 3
    apart = np.square(queries[:, None] - points).sum(-1)
    if others:
        np.fill_diagonal(apart, np.inf)
    index, distance = nearest(queries, points, others=others)
    assert np.allclose(distance, np.sqrt(apart.min(1)), rtol=1e-9)
    assert np.allclose(apart[np.arange(len(index)), index], apart.min(1), rtol=1e-9)


def planted(seed, share, *, samples=300, train=600, test=300, blur=1.0):
    """The score of samples of which a share are training examples, but for a little noise."""
    rng = np.random.default_rng(seed)
    learnt, held, made = (rng.standard_normal((n, 6)) for n in (train, test, samples))
    copied = round(share * samples)
    made[:copied] = learnt[rng.integers(train, size=copied)] + 0.01 * rng.standard_normal((copied, 6))
    made[copied:] *= blur
    return copying(made, learnt, held)


@pytest.mark.parametrize("sizes", [{}, {"test": 60}, {"blur": 0.5}, {"blur": 2.0}])
def test_samples_that_copy_nothing_have_a_half_and_no_verdict(sizes):
    scores = [planted(seed, 0, **sizes) for seed in range(20)]
    assert not any(score.warnings for score in scores)
    assert np.mean([score.value for score in scores]) == pytest.approx(0.5, abs=0.05)
    assert 0.6 < np.std([score.parts["z"] for score in scores]) < 1.5
    assert "There is no sign of copying" in scores[0].figure.caution
    assert "0.5 means no copying" in scores[0].figure.caution


def test_planted_copies_bring_the_verdict_from_the_share_that_is_told():
    least = planted(0, 0).parts["least_seen"]
    assert 0.15 < least < 0.5
    assert all("copy training examples" in planted(seed, least + 0.2).warnings[0] for seed in range(8))
    assert not any(planted(seed, least / 4).warnings for seed in range(8))
    few = planted(0, 0.1, test=60)  # held-out examples are too few to tell, and it says so
    assert not few.warnings
    assert few.parts["least_seen"] > 0.5


def test_what_the_held_out_examples_cannot_tell_is_not_told():
    train, test = gaussian(400, 3), gaussian(200, 3, 1)
    assert "among the training examples" in copying(gaussian(100, 3, 2), train, train[:200]).figure.caution
    alike = copying(np.zeros((100, 3)) + 1e-3 * gaussian(100, 3), train, test).figure
    assert math.isnan(alike.standard_error)
    assert "nothing can be told" in alike.caution
    strangers = copying(train + 0.5 * gaussian(400, 3, 4), train, test + 9)  # test examples of another kind
    assert not strangers.warnings
    assert (copying(train[:200], train, test).matrices["index"] == np.arange(200)).all()


def covers(figures):
    """Whether the mean of repeated estimates lies within a standard error of 55 to 80 in 100 of them."""
    values, errors = (np.array([getattr(f, name) for f in figures]) for name in ("value", "standard_error"))
    return 0.55 <= np.mean(np.abs(values - values.mean()) <= errors) <= 0.80


PAIRS = {
    "one distribution": lambda a, b: (a, b),
    "moved": lambda a, b: (a + 0.5, b),
    "narrow": lambda a, b: (0.7 * a, b),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("distance", [lambda a, b: frechet_distance(a, b).figure, kernel_distance])
def test_errors_of_distances_cover_when_both_sets_are_redrawn(distance, pair):
    drawn = (PAIRS[pair](gaussian(300, 8, s), gaussian(300, 8, s + 7000)) for s in range(100))
    assert covers([distance(*both) for both in drawn])


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_errors_of_overlap_cover_when_both_sets_are_redrawn(pair):
    drawn = (PAIRS[pair](gaussian(300, 4, s), gaussian(300, 4, s + 7000)) for s in range(200))
    found = [overlap(b, a) for a, b in drawn]
    for name in ("precision", "recall", "density", "coverage"):
        figures = [one[name] for one in found]
        if np.mean([f.value for f in figures]) < 0.97:  # else a few of the 300 are missed, and the error is a bound
            assert covers(figures), name


def test_errors_of_overlap_are_more_than_the_counts_alone():
    found = [overlap(gaussian(200, 4, s), gaussian(200, 4, s + 900) + 0.5) for s in range(6)]
    for name in ("precision", "recall", "coverage"):
        values, errors = (np.mean([getattr(f[name], k) for f in found]) for k in ("value", "standard_error"))
        assert 1.2 < errors / math.sqrt(values * (1 - values) / 200) < 3, name


@pytest.mark.slow
def test_errors_of_the_share_cover_with_and_without_copies():
    assert covers([planted(seed, 0).figure for seed in range(100)])
    assert covers([planted(seed, 0.3).figure for seed in range(100)])


def test_modes_are_counted_and_their_frequencies_compared():
    reference = np.repeat(np.arange(4), 100)
    half = mode_coverage(reference[:200], reference)
    assert half.value == 2
    assert half.parts["kl"] == pytest.approx(math.log(2))
    assert half.parts["kl_error"] == pytest.approx(0, abs=1e-9)
    assert mode_coverage(reference, reference).parts["kl"] == pytest.approx(0)
    strange = mode_coverage(np.arange(400) % 5, reference)
    assert strange.parts["outside"] == pytest.approx(0.2)
    assert "the reference lacks" in strange.warnings[0]
    rng = np.random.default_rng(0)
    draws = [mode_coverage(rng.integers(50, size=1000), np.arange(50)).parts for _ in range(100)]
    assert np.mean([d["kl"] for d in draws]) == pytest.approx(draws[0]["kl_floor"], rel=0.1)


def test_three_digits_make_a_thousand_modes():
    rng = np.random.default_rng(0)
    digits = rng.integers(10, size=(30_000, 3))
    x = digits[:, :, None, None] / 10
    predict = lambda images: np.round(images[:, 0, 0, 0] * 10).astype(int)
    modes = stacked_classes(predict, x)
    assert (modes == digits @ [100, 10, 1]).all()
    assert mode_coverage(modes, np.arange(1000)).value == 1000


def test_quality_stands_beside_its_floor():
    images = lambda n, seed, scale=1: (scale * gaussian(n, 16, seed)).reshape(n, 1, 4, 4)
    train, test = images(400, 0), images(300, 1)
    predict = lambda x: (x[:, 0, 0, 0] > 0).astype(int)
    good, bad = (
        quality(s, train, test, extractor=raw_values(), predict=predict, k=3)
        for s in (images(250, 2), images(250, 2, 2))
    )
    floor = good.figures["frechet_distance_floor"]
    assert floor.estimator == "Fréchet distance of 16 features by raw values, N=250, 1x4x4"
    assert good.figures["frechet_distance"].value == pytest.approx(floor.value, rel=0.3)
    assert bad.figures["frechet_distance_floor"] == floor
    assert bad.figures["frechet_distance"].value > 5 * floor.value
    assert bad.figures["kernel_distance"].value > 5 * bad.figures["kernel_distance"].standard_error
    assert bad.figures["precision"].value < bad.figures["precision_floor"].value
    assert good.figures["modes"].value == 2
    assert len(good.nearest) == 250
    json.dumps(good.to_json(), allow_nan=False)
    again = quality(images(250, 2), train, test, extractor=raw_values(), predict=predict, k=3)
    assert again.figures == good.figures


def test_any_module_is_an_extractor():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))
    x = np.random.default_rng(0).integers(256, size=(30, 1, 4, 4)).astype(np.uint8)
    features = module_extractor("three", module)(x)
    exact = module(torch.from_numpy(x / 255).float()).detach().numpy()
    np.testing.assert_allclose(features, exact, rtol=1e-5)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, overlap, nearest])
@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (gaussian(19, 3), gaussian(50, 3), "19 rows, and at least 20"),
        (gaussian(50, 3), gaussian(50, 4), "3 and 4 columns"),
        (gaussian(50, 3), np.full((50, 3), np.nan), "NaN or infinity in 50 of 50"),
        (gaussian(50, 3)[:, 0], gaussian(50, 3), "a table"),
    ],
)
def test_bad_features_are_refused(measure, a, b, sentence):
    with pytest.raises(UsageError, match=sentence):
        measure(a, b)


def test_bad_words_are_refused():
    x = gaussian(30, 16).reshape(30, 1, 4, 4)
    with pytest.raises(UsageError, match="different shapes"):
        quality(x, x, x[:, :, :2], extractor=raw_values())
    with pytest.raises(UsageError, match="features of holes hold NaN"):
        quality(x, x, x, extractor=Extractor("holes", lambda v: v * np.nan))
    with pytest.raises(UsageError, match="of 24 examples none has 30 neighbours"):
        overlap(gaussian(30, 2), gaussian(40, 2), k=30)
    with pytest.raises(UsageError, match="class numbers"):
        mode_coverage(np.array([0.5]), np.array([1]))
    with pytest.raises(UsageError, match="5 classes were announced"):
        mode_coverage(np.array([5]), np.array([1]), classes=5)
    with pytest.raises(UsageError, match="the same classifier"):
        mode_coverage(np.array([5]), np.array([1]))
