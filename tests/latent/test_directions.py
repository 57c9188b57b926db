"""Directions of attributes: what each method finds, what is left after others, and how surely."""

import json

import numpy as np
import pytest

from zatlas.errors import UsageError, ZatlasError
from zatlas.latent.directions import Direction, balanced_accuracy
from zatlas.latent.separating import METHODS, fit_direction

rng = np.random.default_rng(0)
GROUPED = ("centroid", "logistic", "cca")


def two_gaussians(n=4000, share=0.3, gap=(1.5, 0.0, 0.5, 0.0)):
    """Two Gaussians of one covariance that is far from round."""
    mix = np.array([[1.0, 0.8, 0, 0], [0, 0.4, 0, 0], [0, 0, 2.0, 0], [0.5, 0, 0, 0.3]])
    y = np.arange(n) < share * n
    return np.random.default_rng(1).normal(size=(n, 4)) @ mix + y[:, None] * np.array(gap), y


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_canonical_correlation_with_two_groups_is_linear_discriminant_analysis():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    z, y = two_gaussians()
    found = fit_direction(z, y, method="cca")
    np.testing.assert_allclose(cosine(found.vector, LinearDiscriminantAnalysis().fit(z, y).coef_[0]), 1, atol=1e-10)
    within = np.cov(z[y].T) * (y.sum() - 1) + np.cov(z[~y].T) * ((~y).sum() - 1)
    fisher = np.linalg.solve(within, z[y].mean(0) - z[~y].mean(0))
    np.testing.assert_allclose(cosine(found.vector, fisher), 1, atol=1e-10)


def test_canonical_correlation_with_a_real_attribute_is_regression():
    z, _ = two_gaussians()
    y = z @ [0.3, -1.0, 0.2, 0.0] + rng.normal(size=len(z))
    found = fit_direction(z, y, method="cca")
    centred = z - z.mean(0)
    slopes = np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0]
    np.testing.assert_allclose(cosine(found.vector, slopes), 1, atol=1e-10)
    best = np.corrcoef(centred @ slopes, y)[0, 1]
    assert abs(found.facts["correlation"]["value"] - best) < 4 * found.facts["correlation"]["standard_error"]
    np.testing.assert_allclose(found.threshold, (z @ found.vector).mean())


def test_the_centroid_method_is_the_difference_of_means():
    z, y = two_gaussians()
    found, difference = fit_direction(z, y, method="centroid"), z[y].mean(0) - z[~y].mean(0)
    np.testing.assert_allclose(found.vector * found.scale, difference, atol=1e-10)


@pytest.mark.parametrize("method", GROUPED)
def test_strength_one_carries_the_mean_of_one_group_to_where_that_of_the_other_projects(method):
    z, y = two_gaussians()
    found = fit_direction(z, y, method=method, others=[np.ones(4)])
    np.testing.assert_allclose(np.linalg.norm(found.vector), 1)
    assert found.scale > 0
    moved = found.move(z[~y].mean(0)[None], [0.0, 0.5, 1.0])[0]
    np.testing.assert_allclose(found.project(moved[0]), found.project(z[~y].mean(0)), atol=1e-6)
    np.testing.assert_allclose(found.project(moved[1]), found.threshold, atol=1e-6)
    np.testing.assert_allclose(found.project(moved[2]), found.project(z[y].mean(0)), atol=1e-6)


def test_strength_one_of_a_real_attribute_is_a_standard_deviation_of_it():
    z = rng.normal(size=(500, 3))
    y = 5.0 * z[:, 1]
    found = fit_direction(z, y, method="cca")
    np.testing.assert_allclose(found.vector, [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(found.scale, z[:, 1].std())


@pytest.mark.parametrize("method", GROUPED)
def test_a_direction_is_orthogonal_to_those_it_is_to_be(method):
    z, y = two_gaussians()
    others = [np.array([1.0, 2.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -3.0]), np.array([2.0, 4.0, 0.0, 0.0])]
    found = fit_direction(z, y, method=method, others=others)
    np.testing.assert_allclose([other @ found.vector for other in others], 0, atol=1e-12)
    with pytest.raises(ZatlasError, match="nothing is left of the direction"):
        fit_direction(z, y, method=method, others=np.eye(4))


@pytest.mark.parametrize("method", GROUPED)
def test_nothing_depends_on_the_order_of_the_rows(method):
    z, y = two_gaussians(600)
    std = rng.random(z.shape)
    order = rng.permutation(len(z))
    one, two = (fit_direction(z[o], y[o], std=std[o], method=method) for o in (slice(None), order))
    assert json.dumps(one.to_json()) == json.dumps(two.to_json())


@pytest.mark.parametrize(
    "method", [pytest.param(one, marks=pytest.mark.slow if one == "logistic" else ()) for one in GROUPED]
)
def test_labels_drawn_by_lot_are_told_apart_half_of_the_time(method):
    figures = []
    for seed in range(6):
        draw = np.random.default_rng(seed)
        figures.append(fit_direction(draw.normal(size=(300, 6)), draw.random(300) < 0.25, method=method).facts)
    accuracy = [f["accuracy"]["value"] for f in figures]
    error = figures[0]["accuracy"]["standard_error"]
    assert abs(np.mean(accuracy) - 0.5) < 3 * error / np.sqrt(len(accuracy)) * 1.3
    assert 0.6 * error < np.std(accuracy) < 2 * error
    assert min(f["angle_degrees"] for f in figures) > 20


def test_accuracy_and_effect_are_those_of_the_gaussians():
    draw = np.random.default_rng(3)
    y = draw.random(8000) < 0.2
    z = draw.normal(size=(8000, 3))
    z[:, 0] += 2.0 * y
    found = fit_direction(z, y, method="logistic")
    figure = found.facts["accuracy"]
    assert abs(figure["value"] - 0.8413) < 4 * figure["standard_error"]  # Φ(1)
    assert abs(found.facts["effect"] - 2.0) < 0.1
    assert found.facts["angle_degrees"] < found.facts["angle_degrees_95"] < 5
    assert found.facts["counts"] == [y.sum(), (~y).sum()]
    new = draw.normal(size=(8000, 3))
    new[4000:, 0] += 2.0
    assert abs(found.accuracy(new, np.arange(8000) >= 4000).value - 0.8413) < 0.015


def test_more_examples_make_it_surer():
    angle = {n: fit_direction(*two_gaussians(n), method="cca").facts["angle_degrees"] for n in (100, 6400)}
    assert 4 < angle[100] / angle[6400] < 16  # the root of 64


@pytest.mark.parametrize("method", GROUPED)
def test_groups_that_never_overlap_give_finite_figures(method):
    y = np.arange(40) < 20
    z = np.where(y[:, None], 1.0, -1.0) * [1.0, 0.0, 2.0]  # no spread at all within a group, and a unit that is dead
    found = fit_direction(z, y, method=method)
    np.testing.assert_allclose(found.vector[1], 0, atol=1e-12)
    assert found.facts["accuracy"]["value"] == 1
    assert found.facts["accuracy"]["standard_error"] > 0
    assert np.isfinite(json.loads(json.dumps(found.to_json()))["effect"])
    few = fit_direction(z[[0, 1, 20, 21]], y[[0, 1, 20, 21]], method=method)  # two on each side is enough
    assert np.isfinite(few.vector).all()


@pytest.mark.parametrize("method", ["logistic", "cca"])
def test_a_unit_whose_posterior_is_wide_has_no_part_however_neatly_its_means_lie(method):
    draw = np.random.default_rng(0)
    y = draw.random(3000) < 0.5
    z = np.stack([2.0 * y + draw.normal(size=3000), 1e-3 * (2.0 * y + draw.normal(size=3000))], 1)
    std = np.array([[0.1, 1.0]]).repeat(3000, 0)
    assert abs(fit_direction(z, y, method=method).vector[1]) > 0.9
    assert abs(fit_direction(z, y, std=std, method=method).vector[1]) < 0.05


def test_what_is_no_question_is_refused():
    z, y = two_gaussians(40)
    lone = np.arange(40) == 7
    for labels, which in ((lone, "with"), (~lone, "without")):
        with pytest.raises(UsageError, match=f"the group {which} the attribute has one example"):
            fit_direction(z, labels)
    with pytest.raises(UsageError, match="did you mean logistic"):
        fit_direction(z, y, method="logistics")
    with pytest.raises(UsageError, match="the centroid method wants two groups"):
        fit_direction(z, z[:, 0], method="centroid")
    with pytest.raises(UsageError, match="values that differ"):
        fit_direction(z, np.ones(40), method="cca")
    with pytest.raises(UsageError, match="one bool or float each"):
        fit_direction(z, y[:30])
    with pytest.raises(ZatlasError, match="NaN"):
        fit_direction(np.where(z > 1, np.nan, z), y)
    with pytest.raises(ZatlasError, match="nothing in the codes"):
        fit_direction(np.ones((40, 4)), y)


def test_a_margin_of_zero_is_half_right():
    assert balanced_accuracy(np.array([0.0, 0.0, -1.0, -1.0]), np.array([True, True, False, False]), "").value == 0.75


def test_a_direction_comes_back_from_its_file_bit_for_bit(tmp_path):
    found = fit_direction(*two_gaussians(200), name="wide+tall", method="cca")
    path = found.save(tmp_path / "directions")
    assert path.name == "wide+tall.json"
    again = Direction.load(path)
    assert again.vector.tobytes() == found.vector.tobytes()
    assert again.to_json() == found.to_json()
    text = path.read_text()
    path.write_text(text.replace('"cca"', '"lda"'))
    with pytest.raises(ZatlasError, match="damaged or was altered"):
        Direction.load(path)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ZatlasError, match="is damaged"):
        Direction.load(path)
    for name in ("", "../x", ".hidden", "a b", "x" * 101):
        with pytest.raises(UsageError, match="cannot be called"):
            Direction(name, "cca", np.ones(2), 1.0, 0.0, {}).save(tmp_path)


def test_every_method_is_one_of_the_words():
    assert tuple(METHODS) == GROUPED
