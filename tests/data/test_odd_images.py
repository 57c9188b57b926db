"""What cameras, scanners and people make of images: each is shown as it should be, or refused in a sentence."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from zatlas.data import open_source, remarks
from zatlas.errors import ZatlasError

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def first(folder, **options):
    """The first image of a folder as the model would see it, ``[C, H, W]``."""
    return open_source(str(folder), **options).read(np.array([0]))[0]


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path


def test_mixed_sizes_want_a_size_and_then_go(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.repeat(2, 0).repeat(3, 1)).save(tmp_path / "b.png")
    with pytest.raises(ZatlasError, match=r"a\.png would have 6x8 pixels and b\.png 12x24: give --resize 6"):
        open_source(str(tmp_path))
    source = open_source(str(tmp_path), resize=6, crop=6)
    assert source.spec.shape == (1, 6, 6)
    assert "shapes: 2, from 6x8 to 12x24 pixels" in remarks(source)


def test_mixed_colours_become_rgb_and_grey_ones_stay_grey(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.new("RGB", (8, 6), "red").save(tmp_path / "b.png")
    source = open_source(str(tmp_path))
    x = source.read(np.arange(2))
    assert source.spec.shape == (3, 6, 8)
    assert (x[0] == RAMP).all()
    assert x[1, :, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_keep_their_range(tmp_path, suffix):
    deep = RAMP.astype(np.uint16) * 257
    assert (first(saved(tmp_path, Image.fromarray(deep), f"a.{suffix}"))[0] == RAMP).all()


def test_cmyk_is_rgb(tmp_path):
    x = first(saved(tmp_path, Image.new("RGB", (8, 6), (200, 40, 90)).convert("CMYK"), "a.jpg", quality=100))
    assert np.abs(x[:, 3, 4].astype(int) - [200, 40, 90]).max() < 6


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_counts(tmp_path, suffix):
    frames = [Image.new("L", (8, 6), 200), Image.new("L", (8, 6), 9)]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert (first(tmp_path) == 200).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_camera_that_was_turned(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 100}, "webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(RAMP).save(tmp_path / f"a.{suffix}", exif=exif, **options)
    upright = {
        1: RAMP, 2: RAMP[:, ::-1], 3: RAMP[::-1, ::-1], 4: RAMP[::-1],
        5: RAMP.T, 6: RAMP.T[:, ::-1], 7: RAMP.T[::-1, ::-1], 8: RAMP.T[::-1],
    }[orientation]  # fmt: skip
    x = first(tmp_path)[0]
    assert x.shape == upright.shape
    assert np.abs(x.astype(int) - upright).max() < 12


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_see_through_lies_on_white(tmp_path, mode):
    image = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    image.putpixel((2, 1), (10, 10, 10, 255))
    options = {"transparency": 0} if mode == "P" else {}
    if mode == "P":
        image = Image.new("P", (8, 6), 0)
        image.putpalette([0, 0, 0, 10, 10, 10])
        image.putpixel((2, 1), 1)
    else:
        image = image.convert(mode)
    source = open_source(str(saved(tmp_path, image, "a.png", **options)))
    x = source.read(np.array([0]))[0]
    assert (x[:, 1, 2] == 10).all()
    assert (x[:, 0] == 255).all()
    assert source.about["transparency"] == "laid on white"


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_1_bit_is_black_and_white(tmp_path, suffix):
    x = first(saved(tmp_path, Image.fromarray(RAMP > 100), f"a.{suffix}"))
    assert (x[0] == (RAMP > 100) * 255).all()


def bomb(side):
    """A PNG of so many pixels a side whose pixels take few bytes."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    packed = zlib.compress(bytes(1 + side // 8) * 100, 9)
    header = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("options", [{}, {"resize": 8, "crop": 8}])
def test_20000_by_20000_is_refused_by_its_header_or_left_out(tmp_path, options):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(bomb(20_000))
    with pytest.raises(ZatlasError, match=r"b\.png has more than 50,000,000 pixels: mend or remove it, or go on"):
        open_source(str(tmp_path), **options)
    source = open_source(str(tmp_path), skip_damaged=True, **options)
    assert len(source) == 1
    assert source.about["left_out"] == {"b.png": "has more than 50,000,000 pixels"}


def test_a_single_file_is_data(tmp_path):
    source = open_source(str(saved(tmp_path, Image.fromarray(RAMP), "a.png") / "a.png"))
    assert (source.spec.shape, source.names, source.spec.label_kind) == ((1, 6, 8), ["a.png"], "none")
