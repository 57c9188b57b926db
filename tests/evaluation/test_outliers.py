import numpy as np
import pytest

from zatlas.evaluation.outliers import DEFAULT, SCORES, Explained, auroc, explained


def test_auroc_is_the_share_of_pairs():
    rng = np.random.default_rng(0)
    score, outlier = rng.integers(0, 9, 200), rng.random(200) < 0.3
    pairs = score[outlier][:, None] - score[~outlier][None]
    assert auroc(score, outlier) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def usual(n=400, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n)  # what contrast does: all four move together
    return [100 + 20 * size + rng.normal(size=n), 20 + 3 * size + rng.normal(size=n),
            300 + 23 * size + 3 * rng.normal(size=n), 500 + 23 * size + 3 * rng.normal(size=n)]  # fmt: skip


@pytest.mark.parametrize(
    ("odd", "found_by"),
    [
        ([160, 29, 369, 569], {"bound"}),  # only of high contrast
        ([160, 29, 300, 500], {"background", "complexity", "states"}),  # costs what its texture does not say
        ([20, 8, 208, 408], {"typicality", "ranks"}),  # blank: cheap
        ([100, 40, 300, 500], {"states", "background", "complexity"}),
    ],
)
def test_what_each_score_is_about(odd, found_by):
    known = Explained(*(np.append(values, value) for values, value in zip(usual(), odd, strict=True)))
    for name in found_by:
        score = SCORES[name].of(known)
        assert np.isfinite(score).all()
        assert (score >= score[-1]).mean() < 0.02, name


def test_outliers_among_the_sample_do_not_hide_themselves():
    rng = np.random.default_rng(1)
    values = [np.append(x, x.mean() + d * rng.normal(1, 0.1, 80)) for x, d in zip(usual(), (60, 30, 0, 0), strict=True)]
    score = SCORES[DEFAULT].of(Explained(*values))
    assert auroc(score, np.arange(480) >= 400) > 0.99


@pytest.mark.parametrize("values", ["grey", "bits", "levels", "real"])
def test_the_background_is_a_model_of_every_pixel(values):
    rng = np.random.default_rng(2)
    x = (rng.random((300, 1, 6, 5)) * np.linspace(0.1, 1, 30).reshape(6, 5)).astype(np.float32)
    if values == "bits":
        x = (x > 0.3).astype(np.float32)
    known = explained(np.zeros(300), np.zeros(300), lambda: iter(np.split(x, 3)), values)
    odd = explained(np.zeros(301), np.zeros(301), lambda: iter([np.concatenate([x, 1 - x[:1, :, ::-1]])]), values)
    assert odd.pixels[-1] > np.quantile(odd.pixels, 0.97)
    if values in ("bits", "grey"):
        p = x.mean(0).clip(1e-3, 1 - 1e-3)
        expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum((1, 2, 3))
        np.testing.assert_allclose(known.pixels, expected, rtol=0.02, atol=0.05)


def test_what_is_blank_compresses_and_noise_does_not():
    x = np.stack([np.zeros((1, 16, 16)), np.random.default_rng(0).random((1, 16, 16))]).astype(np.float32)
    blank, noise = explained(np.zeros(2), np.zeros(2), lambda: iter([x]), "grey").compressed
    assert noise > 256 * 8 * np.log(2) > 4 * blank  # as many nats as its bytes at least


def test_examples_that_are_all_alike_are_no_fault():
    known = Explained(*(np.full(5, 3.0) for _ in range(4)))
    for score in SCORES.values():
        assert np.isfinite(score.of(known)).all()
