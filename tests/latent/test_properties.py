"""Simple properties of images obey the laws of what they are called."""

import numpy as np
import pytest

from zatlas.latent.properties import COLOUR, FIGURE, PROPERTIES, SCENE, ground_of, properties

BLACK = np.zeros(1)


def bar(width, height, *, side=48, angle=0.0, shear=0.0, at=(0.0, 0.0)):
    """An anti-aliased bar ``[1, 1, side, side]``, leaning to the right by ``angle`` degrees or by ``shear``."""
    fine = (np.arange(side * 8) + 0.5) / 8 - side / 2
    u, v = fine - at[0], fine[:, None] + at[1]
    lean = np.radians(angle)
    along, across = u * np.sin(lean) - v * np.cos(lean), u * np.cos(lean) + v * np.sin(lean) + shear * v
    inside = (np.abs(along) <= height / 2) & (np.abs(across) <= width / 2)
    return inside.reshape(side, 8, side, 8).mean(axis=(1, 3))[None, None]


def blob(seed=0, side=24):
    """A smooth figure of no particular shape, far from the border."""
    rng = np.random.default_rng(seed)
    image = np.zeros((1, 1, side, side))
    image[:, :, 8:16, 8:16] = rng.uniform(0.3, 1, (8, 8))
    return image


def of(image, ground=BLACK):
    return {name: float(value[0]) for name, value in properties(image, ground).items()}


@pytest.mark.parametrize(("right", "up"), [(3, 0), (-2, 5), (4, -4)])
def test_translation_moves_the_centre_by_exactly_that_and_leaves_the_shape(right, up):
    before, after = of(blob()), of(np.roll(blob(), (-up, right), axis=(2, 3)))
    moved = {"centre x": right, "centre y": up}
    for name, value in after.items():
        assert value == pytest.approx(before[name] + moved.get(name, 0), abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("angle", [-30, -10, 15, 40])
def test_a_shear_changes_the_slant_by_its_angle(angle):
    found = of(bar(5, 24, side=64, shear=np.tan(np.radians(angle))))
    assert found["slant"] == pytest.approx(angle, abs=0.3)
    assert found["height"] == pytest.approx(24, abs=0.1)


@pytest.mark.parametrize("angle", [-60, -20, 0, 35, 80])
def test_orientation_is_the_angle_of_the_long_axis(angle):
    found = of(bar(4, 24, angle=angle))
    assert found["orientation"] == pytest.approx(angle, abs=0.3)
    assert found["elongation"] == pytest.approx(1 - 4 / 24, abs=0.02)


@pytest.mark.parametrize("width", [2, 3, 5, 8])
@pytest.mark.parametrize("angle", [0, 20, 45, 90])
def test_the_stroke_of_a_bar_is_as_wide_as_the_bar(width, angle):
    assert of(bar(width, 34, angle=angle))["stroke width"] == pytest.approx(width, rel=0.06, abs=0.1)
    upright = of(bar(width, 34, at=(width % 2 / 2, 0)))  # whole pixels: half ones would widen its moments
    assert (upright["width"], upright["height"]) == (pytest.approx(width, abs=0.02), pytest.approx(34, abs=0.02))


@pytest.mark.parametrize("k", [2, 3])
def test_enlarging_scales_lengths_by_k_the_area_by_k_squared_and_keeps_shares(k):
    shape = {"angle": 25, "side": 64}
    before, after = of(bar(4, 12, at=(2, -1), **shape)), of(bar(4 * k, 12 * k, at=(2 * k, -k), **shape))
    small = bar(4, 12, side=24)
    alone = np.pad(small, ((0, 0), (0, 0), (0, 24 * (k - 1)), (0, 24 * (k - 1))))
    assert of(small.repeat(k, axis=2).repeat(k, axis=3))["area"] == pytest.approx(k**2 * of(alone)["area"])
    for name in ("slant", "elongation", "orientation"):
        assert after[name] == pytest.approx(before[name], rel=0.06), name
    for name in ("centre x", "centre y", "width", "height"):
        assert after[name] == pytest.approx(k * before[name], rel=0.03), name
    assert after["stroke width"] == pytest.approx(k * before["stroke width"], rel=0.1)


def test_fainter_ink_changes_its_strength_alone_and_the_polarity_nothing():
    image = bar(4, 20, angle=15)
    full, faint = of(image), of(0.6 * image)
    for name, value in faint.items():
        factor = 0.6 if name == "ink strength" else 1
        assert value == pytest.approx(factor * full[name], rel=0.02, abs=1e-3), name
    assert of(1 - image, np.ones(1)) == pytest.approx(full)
    grey = of(0.5 + 0.5 * image, np.full(1, 0.5))
    assert grey == pytest.approx(full)


def test_the_ground_is_the_colour_of_a_plain_border():
    rng = np.random.default_rng(0)
    assert ground_of(bar(4, 20).repeat(3, axis=0)) == pytest.approx([0])
    assert ground_of(1 - bar(4, 20)) == pytest.approx([1])
    red = np.concatenate([1 - 0 * bar(4, 20), bar(4, 20), bar(4, 20)], axis=1)
    assert ground_of(red) == pytest.approx([1, 0, 0])
    assert ground_of(rng.random((5, 1, 16, 16))) is None


def test_nothing_in_an_image_is_not_a_number_and_no_warning():
    blank = properties(np.zeros((2, 1, 9, 8)), BLACK)
    assert np.array_equal(blank["area"], [0, 0])
    assert all(np.isnan(blank[name]).all() for name in FIGURE if name != "area")
    flat = properties(np.full((2, 3, 9, 8), 0.4))
    undefined = {name for name, value in flat.items() if np.isnan(value).any()}
    assert undefined == {"sharpness", "detail centre x", "detail centre y", "symmetry"}
    assert flat["brightness"] == pytest.approx([0.4, 0.4])
    round_ = of(bar(9, 9, side=32))
    assert np.isnan(round_["orientation"])


def test_light_counts_from_the_side_that_it_comes_from_and_mirrors_change_its_sign():
    rng = np.random.default_rng(1)
    scene = rng.random((1, 3, 12, 10))
    found, mirrored, turned = of(scene, None), of(scene[:, :, :, ::-1], None), of(scene[:, :, ::-1], None)
    for name in ("light from the right", "detail centre x"):
        assert mirrored[name] == pytest.approx(-found[name])
        assert turned[name] == pytest.approx(found[name])
    for name in ("light from the top", "detail centre y"):
        assert turned[name] == pytest.approx(-found[name])
    half = np.zeros((1, 1, 8, 8))
    half[..., 4:] = 1
    assert of(half, None)["light from the right"] == 1
    half = half.swapaxes(2, 3)[:, :, ::-1]
    assert of(half, None)["light from the top"] == 1
    assert of(np.concatenate([half, half[..., ::-1]], axis=3), None)["symmetry"] == pytest.approx(1)


def test_light_added_or_scaled_changes_what_it_should():
    scene = np.random.default_rng(2).uniform(0.2, 0.5, (1, 3, 12, 12))
    before, brighter, stronger = of(scene, None), of(scene + 0.2, None), of(1.5 * scene, None)
    added = {"brightness": 0.2, "background light": 0.2}
    for name, value in before.items():
        assert brighter[name] == pytest.approx(value + added.get(name, 0)), name
        scaled = 1 if name in ("sharpness", "detail centre x", "detail centre y", "symmetry") else 1.5
        assert stronger[name] == pytest.approx(scaled * value), name


def test_grey_has_no_colour_and_the_axes_are_opponents():
    grey = np.random.default_rng(3).random((1, 1, 6, 6)).repeat(3, axis=1)
    assert [of(grey, None)[name] for name in COLOUR] == pytest.approx([0, 0, 0])
    orange, teal = (np.ones((1, 3, 4, 4)) * np.array(c)[:, None, None] for c in ((1, 0.5, 0), (0, 0.5, 1)))
    assert of(orange, None)["warmth"] == -of(teal, None)["warmth"] == 1
    assert of(orange, None)["saturation"] == 1


def test_every_property_says_how_it_is_written():
    grey, colour = np.random.default_rng(4).random((1, 1, 6, 6)), np.random.default_rng(4).random((1, 3, 6, 6))
    assert set(properties(grey, BLACK)) == set(FIGURE)
    assert set(properties(grey)) == set(SCENE)
    assert set(properties(colour, np.zeros(3))) == {*FIGURE, *COLOUR}
    assert set(PROPERTIES) == {*FIGURE, *SCENE, *COLOUR}
