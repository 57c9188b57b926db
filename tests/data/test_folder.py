import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from zatlas.data import open_source
from zatlas.errors import UsageError, ZatlasError


@pytest.fixture
def folder(tmp_path, rng):
    """Six grey 8x10 PNGs in two nested folders."""
    root = tmp_path / "images"
    for label in ("cats/black", "dogs"):
        (root / label).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (8, 10), dtype=np.uint8)).save(root / label / f"{i}.png")
    return root


def all_of(source):
    return source.read(np.arange(len(source)))


def test_folders_are_labels(folder):
    source = open_source(str(folder))
    assert (len(source), source.spec.shape, source.spec.labels) == (6, (1, 8, 10), ("cats", "dogs"))
    assert source.read_labels(np.arange(6)).tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(source.read(np.array([4]))[0, 0], np.asarray(Image.open(folder / "dogs/1.png")))
    one = open_source(str(folder / "cats"))
    assert one.spec.label_kind == "none"  # the only folder there is says nothing
    (folder / "labels.txt").write_text("a\nb\n" * 3)
    assert open_source(str(folder), labels=str(folder / "labels.txt")).spec.labels == ("a", "b")


def test_fingerprints(folder):
    one = open_source(str(folder)).fingerprint()
    assert one == open_source(str(folder)).fingerprint() != open_source(str(folder), resize=4).fingerprint()
    (folder / "dogs/1.png").rename(folder / "dogs/7.png")
    assert open_source(str(folder)).fingerprint() != one


def test_colour_is_found(folder):
    grey = Image.open(folder / "dogs/0.png").convert("RGB")
    grey.save(folder / "dogs/0.png")
    assert open_source(str(folder)).spec.shape[0] == 1  # stored as RGB, yet grey
    assert open_source(str(folder), channels=3).spec.shape[0] == 3
    grey.putpixel((3, 2), (255, 0, 0))
    grey.save(folder / "dogs/0.png")
    source = open_source(str(folder))
    assert (source.spec.shape[0], source.about["colour"]) == (3, "RGB")
    assert source.read(np.array([3]))[0, :, 2, 3].tolist() == [255, 0, 0]
    assert open_source(str(folder), channels=1).read(np.array([3]))[0, 0, 2, 3] == 76


def test_modes_and_formats(tmp_path):
    ramp = np.arange(80, dtype=np.uint8).reshape(8, 10)
    Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / "a.png")
    Image.fromarray(ramp > 40).save(tmp_path / "b.tif")
    Image.merge("LA", (Image.fromarray(ramp), Image.new("L", (10, 8), 0))).save(tmp_path / "c.png")
    Image.fromarray(ramp).save(tmp_path / "d.gif", save_all=True, append_images=[Image.new("L", (10, 8))])
    Image.fromarray(ramp).save(tmp_path / "e.webp", lossless=True)
    Image.fromarray(ramp).save(tmp_path / "f.BMP")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(ramp.T.copy()).save(tmp_path / "g.jpg", exif=exif, quality=100)
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    x = all_of(open_source(str(tmp_path)))[:, 0]
    assert x.shape == (7, 8, 10)
    for row in (0, 3, 4, 5):
        np.testing.assert_array_equal(x[row], ramp)
    np.testing.assert_array_equal(x[1], (ramp > 40) * 255)
    assert (x[2] == 255).all()  # quite see-through, on white
    assert np.abs(x[6].astype(int) - ramp[:, ::-1]).max() < 12  # orientation 6 turns it clockwise


def test_sizes(folder):
    Image.new("L", (20, 8), 7).save(folder / "dogs/2.png")
    for geometry in ({}, {"resize": 4}):
        with pytest.raises(ZatlasError, match=r"cats/black/0.png would have .* dogs/2.png .*: give --resize 8 .or ano"):
            open_source(str(folder), **geometry)
    assert open_source(str(folder), resize=4, crop=4).spec.shape == (1, 4, 4)
    assert open_source(str(folder), resize=(6, 5)).spec.shape == (1, 6, 5)
    assert all_of(open_source(str(folder), crop=(8, 6))).shape == (6, 1, 8, 6)
    with pytest.raises(UsageError, match="larger than an image of 8x10"):
        open_source(str(folder), crop=9)
    with pytest.raises(UsageError, match="at least 1"):
        open_source(str(folder), resize=0)


def test_damage_is_named_when_opening(folder):
    (folder / "dogs/1.png").write_bytes(b"not an image")
    with pytest.raises(ZatlasError, match=r"dogs/1\.png is not an image"):
        open_source(str(folder))


def test_damage_is_named_when_reading(folder):
    path = folder / "dogs/1.png"
    content = path.read_bytes()
    path.write_bytes(content[:60])
    source = open_source(str(folder))
    with pytest.raises(ZatlasError, match=r"dogs/1\.png is damaged"):
        all_of(source)


def huge_png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 11_000, 60_000])
def test_decompression_bombs_are_refused_by_their_header(folder, side):
    (folder / "dogs/bomb.png").write_bytes(huge_png(side, side))
    with pytest.raises(ZatlasError, match=r"dogs/bomb\.png has more than 50,000,000 pixels"):
        open_source(str(folder))


def test_links_out_of_the_folder_are_ignored(folder, tmp_path):
    Image.new("L", (10, 8), 9).save(tmp_path / "secret.png")
    os.symlink(tmp_path / "secret.png", folder / "dogs/link.png")
    os.symlink(tmp_path, folder / "loop")
    os.symlink(folder / "dogs/0.png", folder / "dogs/inside.png")
    source = open_source(str(folder))
    assert len(source) == 7
    assert source.about["left_out"] == {"dogs/link.png": "it leads outside", "loop": "a link to a folder"}


def test_empty_folders_are_refused(tmp_path):
    with pytest.raises(ZatlasError, match="holds no images"):
        open_source(str(tmp_path))


def pack(folder, path, extra=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
        for name, content in extra:
            archive.writestr(name, content)


def test_a_zip_reads_as_its_folder(folder, tmp_path):
    evil = (folder / "dogs/0.png").read_bytes()
    extra = [("../evil.png", evil), ("/root.png", evil), ("__MACOSX/dogs/._0.png", b"x"), (".hid/a.png", b"x")]
    pack(folder, tmp_path / "a.zip", extra)
    one, two = open_source(str(folder)), open_source(str(tmp_path / "a.zip"))
    np.testing.assert_array_equal(all_of(one), all_of(two))
    assert one.fingerprint() == two.fingerprint()
    assert two.about["left_out"] == dict.fromkeys(("../evil.png", "/root.png"), "it leads outside")


def test_bad_zips(folder, tmp_path):
    pack(folder, tmp_path / "bomb.zip", [("dogs/bomb.png", b"\0" * (8 << 20))])
    with pytest.raises(ZatlasError, match=r"dogs/bomb.png cannot be read \(it unpacks to 8,388,608 bytes"):
        open_source(str(tmp_path / "bomb.zip"))
    pack(folder, tmp_path / "a.zip")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(ZatlasError, match=r"cut\.zip cannot be read"):
        open_source(str(tmp_path / "cut.zip"))
    (tmp_path / "flip.zip").write_bytes(content[:100] + bytes([content[100] ^ 255]) + content[101:])
    with pytest.raises(ZatlasError, match=r"cats/black/0\.png"):
        all_of(open_source(str(tmp_path / "flip.zip")))


@pytest.mark.slow
def test_omniglot(shared, tmp_path):
    packed = open_source(str(shared / "omniglot_background_small1.zip"), label_level="path")
    assert (len(packed), packed.spec.shape, packed.spec.label_dim) == (2720, (1, 105, 105), 136)
    assert packed.spec.labels[0] == "Balinese/character01"
    with zipfile.ZipFile(shared / "omniglot_background_small1.zip") as archive:
        archive.extractall(tmp_path)
    unpacked = open_source(str(tmp_path), resize=28)
    assert unpacked.spec.shape == (1, 28, 28)
    assert abs(all_of(unpacked).mean() - packed.read(np.arange(2720)).mean()) < 0.5
