"""Groups by their words, centroids, directions of attributes, and images moved along them."""

import json
import shutil

import numpy as np
import pytest

from tests import family
from zatlas.config import make_config
from zatlas.errors import UsageError
from zatlas.latent.directions import Direction
from zatlas.runs.opened import Run
from zatlas.runs.training import train
from zatlas.walks.attributes import attribute as attribute_of
from zatlas.walks.attributes import group
from zatlas.walks.centroids import centroid
from zatlas.walks.directions import apply, attribute, load, saved

FEW = (-1.0, 0.0, 1.0)


def trained(folder, source, kind="vae", steps=3, **model):
    values = {
        "data": {"source": str(source)},
        "model": {"kind": kind, **family.size(kind), "latent_dim": 3, **model},
        "training": {"steps": steps, "precision": "fp32", "threads": 1},
    }
    return train(make_config(("test", values)), out=folder / kind)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits"), "digits", "ppca")


@pytest.fixture(scope="module")
def sprites(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("sprites"), "sprites:300")


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    """Vectors with two real labels."""
    folder = tmp_path_factory.mktemp("columns")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=x[:, :2] + 0.1 * rng.normal(size=(200, 2)).astype(np.float32))
    return trained(folder, folder / "data.npz", "ppca")


def labels_of(run, rows):
    return run.source.read_labels(rows)


def test_groups_are_the_examples_that_their_words_name(digits, sprites, columns, tmp_path):
    rows = digits.rows("train")
    assert set(labels_of(digits, group(digits, "3, 8").among(rows))) == {3, 8}
    inside = group(digits, "7")
    outside = inside.others()
    assert len(inside.among(rows)) + len(outside.among(rows)) == len(rows)
    assert set(labels_of(digits, outside.among(rows))) == set(range(10)) - {7}

    every, factors = sprites.rows("all"), sprites.source.factors
    for words, column, holds in (
        ("scale>=3", 1, lambda v: v >= 3),
        ("scale <= 3", 1, lambda v: v <= 3),
        ("x<9", 3, lambda v: v < 9),
        ("x>9", 3, lambda v: v > 9),
        ("scale=2", 1, lambda v: v == 2),
        ("scale!=2", 1, lambda v: v != 2),
        ("shape=heart", 0, lambda v: v == 2),
        ("heart", 0, lambda v: v == 2),
    ):
        np.testing.assert_array_equal(group(sprites, words).among(every), every[holds(factors[:, column])])
    big = group(columns, "y1>0.5").among(every := columns.rows("all"))
    np.testing.assert_array_equal(big, every[labels_of(columns, every)[:, 1] > 0.5])

    (tmp_path / "rows.txt").write_text("5 3\n9, 3\n")
    np.save(tmp_path / "rows.npy", [5, 9, 3])
    for words in ("rows:5,3,9", f"rows:{tmp_path / 'rows.txt'}", f"rows:{tmp_path / 'rows.npy'}"):
        np.testing.assert_array_equal(group(digits, words).among(rows[:2]), [3, 5, 9])


@pytest.mark.parametrize(
    ("data", "words", "sentence"),
    [
        ("digits", "sevn", "digits has no class 'sevn'; known are 0, 1"),
        ("digits", "3,sevn", "no class 'sevn'"),
        ("digits", "scale>=3", "digits has no factors or real labels, so 'scale' names nothing: choose examples by"),
        ("digits", "rows:3,x", "rows:3,x is neither row numbers, as rows:12,15,18, nor a file"),
        ("digits", "rows:99999", "there is no row 99999"),
        ("digits", "rows:", "no rows are given"),
        ("sprites", "hart", "sprites:300 has no class or factor 'hart'; did you mean heart?"),
        ("sprites", "scal=3", "no factor or real label 'scal'; did you mean scale?"),
        ("sprites", "shape=hart", "the factor shape is never 'hart'; did you mean heart?"),
        ("sprites", "scale=heart", "scale is compared with a number, and 'heart' is none"),
        ("columns", "yes", "has no classes, so 'yes' is none: compare one of y0, y1, as y0>0"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_nearest(data, words, sentence, request):
    with pytest.raises(UsageError) as error:
        group(request.getfixturevalue(data), words)
    assert sentence in str(error.value)


def test_a_file_that_holds_no_rows_is_named(digits, tmp_path):
    (tmp_path / "rows.txt").write_text("one\n")
    with pytest.raises(UsageError, match=r"rows.txt does not hold row numbers alone"):
        group(digits, f"rows:{tmp_path / 'rows.txt'}")


def test_groups_that_are_empty_overlap_or_have_one_example_are_refused(digits, sprites):
    with pytest.raises(UsageError, match=r"no train row of sprites:300 is in the group 'scale>=9'"):
        attribute(sprites, "scale>=9")
    with pytest.raises(UsageError, match=r"row \d+ is in both groups, '3' and '3,8'"):
        attribute(digits, "3", "3,8")
    with pytest.raises(UsageError, match="the group with the attribute has one example"):
        attribute(digits, "rows:4")
    assert saved(digits.folder.path) == []


def test_the_bare_name_of_a_factor_is_a_real_attribute(sprites, columns):
    what = attribute_of(sprites, "scale")
    rows = what.rows(sprites, "train", 1000)
    np.testing.assert_array_equal(what.y(rows), sprites.source.factors[np.concatenate(rows), 1])
    assert not set(rows[0]) & set(rows[1])
    assert sorted(np.concatenate(rows)) == sprites.rows("train").tolist()
    view = attribute(columns, "y0")
    assert view.figure is None
    assert view.facts["correlation"]["value"] > 0.3
    assert view.facts["method"] == "cca"
    with pytest.raises(UsageError, match="the logistic method wants two groups"):
        attribute(columns, "y0", method="logistic")


@pytest.mark.slow
def test_a_direction_is_saved_under_its_name_and_applied_to_other_images(digits):
    view = attribute(digits, "3,8", "1,7", strengths=FEW, n=6)
    folder = digits.folder.path
    assert view.facts["name"] == "3+8-not-1+7"
    assert (folder / "directions" / "3+8-not-1+7.json").is_file()
    assert view["mean"].shape == (6, 3, 1, 8, 8)
    assert set(labels_of(digits, view["rows"][:3])) <= {1, 7}
    assert set(labels_of(digits, view["rows"][3:])) <= {3, 8}
    assert set(view["rows"]) <= set(digits.rows("test"))
    assert view.facts["accuracy"]["value"] > 0.8
    assert view.facts["held_out_accuracy"]["count"] == len(view["with"]) + len(view["without"])
    assert abs(view["without"].mean()) < 0.15
    assert abs(view["with"].mean() - 1) < 0.15
    json.dumps(view.facts)

    moved = apply(digits, "3+8-not-1+7", rows=[5, 2], strengths=FEW)
    np.testing.assert_allclose(moved["mean"][:, 1], digits.reconstruct(np.array([5, 2]))[2].mean, atol=1e-6)
    further = moved["z"] + view["vector"] * view["scale"]
    np.testing.assert_allclose(moved["mean"][:, 2], digits.decode(further.astype(np.float32)).mean, atol=1e-5)
    assert moved.frames.shape[0] > 10

    other = attribute(digits, "0", orthogonal_to=["3+8-not-1+7"], method="centroid", name="zero")
    np.testing.assert_allclose(other["vector"] @ view["vector"], 0, atol=1e-12)
    assert [direction.name for direction in saved(folder)] == ["3+8-not-1+7", "zero"]
    again = attribute(digits, "0", method="cca", name="zero")
    assert "in place of another" in again.sentences[-1]
    assert load(digits, "zero").method == "cca"


def test_groups_chosen_by_hand_are_taken_as_they_are(digits):
    view = attribute(digits, "rows:0,10,20,30", "rows:1,11,21,42", name="hand", n=8)
    assert sorted(view["rows"]) == [0, 1, 10, 11, 20, 21, 30, 42]
    assert "held_out_accuracy" not in view.facts
    assert view.facts["accuracy"]["count"] == 8


@pytest.mark.slow
def test_a_direction_that_is_not_there_or_of_other_weights_is_refused(digits, sprites):
    with pytest.raises(UsageError, match=r"has no direction 'x'; `zatlas direction attribute` makes one"):
        apply(sprites, "x")
    Direction("old", "cca", np.ones(3), 1.0, 0.0, {"checkpoint": "step-00000099"}).save(
        digits.folder.path / "directions"
    )
    with pytest.raises(UsageError, match="did you mean old"):
        apply(digits, "odl")
    with pytest.raises(UsageError, match="was fitted to the weights of step-00000099, not of step-00000000: fit it"):
        apply(digits, "old")
    with pytest.raises(UsageError, match="cannot be called"):
        apply(digits, "../old")
    for strengths in ((), (np.nan,)):
        with pytest.raises(UsageError, match="at least one finite number"):
            attribute(digits, "3", strengths=strengths)


def test_a_centroid_is_the_mean_code_and_samples_lie_around_it_as_they_should(digits):
    codes = digits.encode(group(digits, "7").among(digits.rows("train")))
    view = centroid(digits, "7", n=2000)
    np.testing.assert_allclose(view["mean"][0], codes.mean.mean(0), atol=1e-5)
    np.testing.assert_allclose(view["posterior_std"][0], codes.std.mean(0), atol=1e-5)
    np.testing.assert_allclose(view["code_std"][0], codes.mean.std(0), atol=1e-5)
    np.testing.assert_allclose(view["archetype"][0], digits.decode(codes.mean.mean(0)[None]).mean[0], atol=1e-5)
    np.testing.assert_allclose(view["z"][0].mean(0), view["mean"][0], atol=0.1)
    np.testing.assert_allclose(view["z"][0].std(0), view["posterior_std"][0], rtol=0.07)
    wide = centroid(digits, "7", n=2000, spread="class")
    np.testing.assert_allclose(wide["z"][0].var(0), codes.mean.var(0) + (codes.std**2).mean(0), rtol=0.12)
    assert set(labels_of(digits, view["rows"][0])) == {7}
    assert (centroid(digits, "7", seed=1)["z"] != centroid(digits, "7")["z"]).any()


def test_the_classs_own_spread_stands_beside_that_of_one_code(digits, tmp_path):
    """Where posteriors are narrow, samples of their spread alone are all the same picture."""
    codes = digits.encode(group(digits, "0,1").among(digits.rows("train")))
    view = centroid(digits, "0,1", n=4000)
    wanted = np.cov(codes.mean.T, bias=True) + np.diag((codes.std**2).mean(0))
    assert abs(wanted[0, 1]) > 0.2 * wanted.max()  # units that go together within the group
    np.testing.assert_allclose(np.cov(view["class_z"][0].T), wanted, atol=0.08 * wanted.max())
    apart = [view[name][0].std(0).mean() for name in ("samples", "class_samples")]
    assert apart[1] > 1.5 * apart[0]
    assert view.facts["spreads"] == ["posterior", "class"]
    for spread in ("posterior", "class"):
        alone = centroid(digits, "7", spread=spread)
        assert "class_z" not in alone.arrays
        assert alone.facts["spreads"] == [spread]


def test_every_class_has_an_archetype(digits, columns):
    view = centroid(digits)
    assert view["archetype"].shape == (10, 1, 8, 8)
    assert view["samples"].shape == (10, 8, 1, 8, 8)
    np.testing.assert_array_equal([set(labels_of(digits, rows)) for rows in view["rows"]], [{k} for k in range(10)])
    with pytest.raises(UsageError, match="has no classes: name a group of examples, as y0>0"):
        centroid(columns)
    assert centroid(columns, "y0>0").figure is None
    with pytest.raises(UsageError, match="posterior or class, not 'wide'"):
        centroid(digits, spread="wide")


def test_a_conditional_model_is_given_the_groups_label(digits_run):
    run = Run(digits_run)
    view = centroid(run, "4", n=3)
    y = run.labels_for(3, "4")
    np.testing.assert_allclose(view["archetype"][0], run.decode(view["mean"], y[:1]).mean[0], atol=1e-6)
    np.testing.assert_allclose(view["samples"][0], run.decode(view["z"][0], y).mean, atol=1e-6)


def test_images_of_a_conditional_model_keep_their_own_labels_as_they_move(digits_run, tmp_path):
    run = Run(shutil.copytree(digits_run, tmp_path / "run"))
    attribute(run, "3", "8", name="bend")
    moved = apply(run, "bend", rows=[1, 2, 3], strengths=FEW)
    np.testing.assert_allclose(moved["mean"][:, 1], run.reconstruct(np.arange(1, 4))[2].mean, atol=1e-6)


def test_points_are_spread_as_their_class_is(plain_ae):
    view = centroid(plain_ae, "3", n=400)
    np.testing.assert_allclose(view["z"][0].std(0), view["code_std"][0], rtol=0.15)


@pytest.fixture(scope="module")
def plain_ae(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain"), "digits", "ae")


@pytest.mark.parametrize(("kind", "sentence"), [("gan", "has no directions"), ("vqvae", "are words of a codebook")])
def test_models_without_a_space_of_codes_are_refused(kind, sentence, tmp_path):
    run = trained(tmp_path, "digits", kind)
    for ask in (lambda: attribute(run, "3"), lambda: apply(run, "x")):
        with pytest.raises(UsageError, match=sentence):
            ask()
    with pytest.raises(UsageError, match=sentence.replace("directions", "centroids")):
        centroid(run)
