"""The figures of walks: every image where it belongs, every name readable."""

import numpy as np
import pytest

from tests.figures.test_figures import drawn
from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures.scatter import _own_places

rng = np.random.default_rng(0)


def pixels(figure, tmp_path):
    from PIL import Image

    path = figures.save(figure, tmp_path / "plain.png", pixels_per_inch=96, background="white")
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def holds(picture, image, scale):
    """Whether a grey image stands in the picture, every pixel of it a whole square."""
    wanted = np.repeat(np.rint(image * 255).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)[..., None], 3, -1)
    windows = np.lib.stride_tricks.sliding_window_view(picture, wanted.shape)[:, :, 0]
    return bool((windows == wanted).all((-3, -2, -1)).any())


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 4, 4), (7, 7)])
def test_planes_stand_side_by_side_under_their_names(shape, tmp_path):
    panels = [(name, rng.random((3, 3, *shape))) for name in ("cat", "a <dog>", "$x")]
    figure = figures.manifolds(panels, [-1.0, 0.0, 1.0], columns=2, scale=2)
    drawn(figure, tmp_path)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["cat", "a <dog>", "$x"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "z₁"]
    with pytest.raises(UsageError, match="'cat'"):
        figures.manifolds(panels, [0.0, 1.0])
    with pytest.raises(UsageError, match="no plane"):
        figures.manifolds([], [0.0])


def test_a_plane_through_images_shows_them_beside_their_corners(tmp_path):
    square, originals = rng.random((3, 3, 1, 4, 4)), rng.random((3, 1, 4, 4))
    figure = figures.plane_through(square, originals, ("one", "two", "three"), scale=8)
    assert {"one", "two", "three"} <= set(drawn(figure, tmp_path))
    picture = pixels(figure, tmp_path)
    assert all(holds(picture, image[0], 8) for image in (*originals, square[0, 2], square[2, 0]))
    with pytest.raises(UsageError, match="does not fit"):
        figures.plane_through(square, originals[:2], ("one", "two", "three"))


@pytest.mark.parametrize("count", [1, 3])
def test_paths_stand_over_their_log_density(count, tmp_path):
    images, nats = rng.random((count, 5, 1, 4, 4)), rng.normal(size=(count, 5))
    names = ["linear", "spherical", "density"][:count]
    figure = figures.paths(images, names, anchors={0: "row 3", 4: "row 9"}, log_density=nats, typical=(-1, 1))
    assert {"row 3", "row 9", *names} <= set(drawn(figure, tmp_path))
    shown, plot = figure.axes
    assert shown.get_xlim() == plot.get_xlim()
    assert shown.get_position().x0 == plot.get_position().x0
    for line, own in zip(plot.get_lines(), nats, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), own)
    plain = figures.paths(images, names, scale=2)
    assert len(plain.axes) == 1
    assert all(holds(pixels(plain, tmp_path), image[0], 2) for image in images[0])
    with pytest.raises(UsageError, match="do not fit"):
        figures.paths(images, names, log_density=nats[:, :3])


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 4, 4), (6, 6)])
def test_moving_pictures_keep_their_pixels_in_every_frame(shape, tmp_path):
    images = rng.random((4, 3, *shape))
    frames = figures.moving(images, ["a", "a very long name", ""], columns=2, scale=3)
    assert frames.dtype == np.uint8
    assert frames.shape[0] == 4
    assert frames.shape[3] == 3
    if len(shape) == 2 or shape[0] == 1:
        for frame, each in zip(frames, images, strict=True):
            assert all(holds(frame, image.reshape(shape[-2:]), 3) for image in each)
    for ending in ("gif", "webp"):
        assert figures.save_animation(frames, tmp_path / f"a.{ending}").stat().st_size > 200
    with pytest.raises(UsageError, match="do not fit"):
        figures.moving(images, ["a"])


def test_a_grey_gif_keeps_its_greys(tmp_path):
    from PIL import Image

    frames = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
    path = figures.save_animation(np.concatenate([frames, 255 - frames]), tmp_path / "grey.gif", upscale=1)
    with Image.open(path) as file:
        np.testing.assert_array_equal(np.asarray(file.convert("RGB")), frames[0])


def test_a_class_in_two_clouds_is_named_in_one_of_them_and_not_between():
    clouds = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, 0.0]])
    points = clouds.repeat(100, 0) + 0.3 * rng.normal(size=(300, 2))
    values = np.array([0, 0, 1]).repeat(100)
    mixed = rng.permutation(300)
    zero, one = _own_places(points[mixed], values[mixed], np.array([0, 1]))
    assert abs(zero[0]) > 2
    assert abs(one[0]) < 1


def test_ellipses_of_covariances_that_do_not_fit():
    with pytest.raises(UsageError, match=r"give \[N, 2, 2\]"):
        figures.scatter(rng.normal(size=(4, 2)), covariances=np.ones((4, 2)))
