"""Laws of tiling: every tile is its image, and all the rest is background."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from zatlas.errors import UsageError
from zatlas.figures import png_uri, save_png, tile
from zatlas.figures.tiles import as_pixels, default_columns

SHAPES = [(7, 5, 9), (7, 1, 5, 9), (6, 3, 4, 8), (5, 4, 3, 3), (1, 1, 8, 8), (10, 28, 28)]


def images(shape):
    return np.random.default_rng(0).integers(1, 255, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gap", [0, 1, 3])
@pytest.mark.parametrize("columns", [1, 3, 20, None])
@pytest.mark.parametrize("background", [255, 0])
def test_every_tile_is_its_image_and_the_rest_is_background(shape, gap, columns, background):
    array = images(shape)
    picture = tile(array, columns, gap, background)
    pixels = as_pixels(array)
    count, height, width = pixels.shape[:3]
    across = min(default_columns(count) if columns is None else columns, count)
    covered = np.zeros(picture.shape[:2], bool)
    for i in range(count):
        rows = slice((i // across) * (height + gap), (i // across) * (height + gap) + height)
        cells = slice((i % across) * (width + gap), (i % across) * (width + gap) + width)
        np.testing.assert_array_equal(picture[rows, cells], pixels[i])
        assert not covered[rows, cells].any()
        covered[rows, cells] = True
    assert covered.sum() == count * height * width
    assert (picture[~covered] == background).all()
    assert covered[0].any()
    assert covered[-1].any()


def test_transparent_gaps_are_transparent_and_tiles_are_opaque():
    picture = tile(images((3, 1, 4, 6)), 2, 2, background=None)
    assert picture.shape == (10, 14, 4)
    assert (picture[:4, :6, 3] == 255).all()
    assert (picture[4:6, :, 3] == 0).all()
    assert (picture[6:, 8:, 3] == 0).all()


def test_floats_are_rounded_and_clipped():
    row = np.array([[[0.0, 0.5, 1.0, -3.0, 7.0, np.nan, np.inf]]])
    assert as_pixels(row).ravel().tolist() == [0, 128, 255, 0, 255, 0, 255]


@pytest.mark.parametrize("shape", [(4,), (2, 2, 5, 5), (0, 1, 4, 4), (1, 1, 1, 4, 4)])
def test_what_is_no_image_is_named(shape):
    with pytest.raises(UsageError):
        tile(np.zeros(shape))


def test_png_holds_the_same_pixels(tmp_path):
    picture = tile(images((4, 3, 5, 7)), 2)
    path = save_png(picture, tmp_path / "grid.png", upscale=3)
    with Image.open(path) as file:
        np.testing.assert_array_equal(np.asarray(file), picture.repeat(3, 0).repeat(3, 1))
    with Image.open(io.BytesIO(base64.b64decode(png_uri(picture).partition(",")[2]))) as file:
        np.testing.assert_array_equal(np.asarray(file), picture)
    save_png(picture, path)  # small pictures are enlarged unless told otherwise
    with Image.open(path) as file:
        assert 400 < max(file.size) <= 800
