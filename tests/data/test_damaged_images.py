"""Files that no camera made: cut short, no files at all, links that lead in circles, names that are no text."""

import io
import lzma
import os
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zatlas.data import describe, open_source, remarks, split
from zatlas.errors import UsageError, ZatlasError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels, *, rows=None, interlace=False):
    """A grey PNG whose IDAT holds the first rows only."""
    height, width = pixels.shape
    if interlace:  # of 2 x 2 pixels: pass 1 is (0, 0), pass 6 is (0, 1), pass 7 is row 1
        assert pixels.shape == (2, 2)
        raw = b"".join(b"\0" + bytes(line) for line in (pixels[0, :1], pixels[0, 1:], pixels[1])[:rows])
    else:
        raw = b"".join(b"\0" + line.tobytes() for line in pixels[:rows])
    header = struct.pack(">2I5B", width, height, 8, 0, 0, 0, int(interlace))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def pixels(rng):
    return rng.integers(1, 256, (24, 24), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, pixels):
    """Four sound images in two classes."""
    root = tmp_path / "photos"
    for i in range(4):
        path = root / f"{'cat' if i < 2 else 'dog'}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(np.roll(pixels, i, 0)))
    return root


def read(source):
    return source.read(np.arange(len(source)))


def cut_files(pixels):
    whole = png(pixels)
    data = whole.index(b"IDAT") - 4
    flipped = bytearray(whole)
    flipped[whole.index(b"IEND") - 8] ^= 1  # the checksum of the IDAT chunk
    photo = encoded(Image.fromarray(np.tile(pixels, (8, 8))), "JPEG", quality=95)
    preview = encoded(Image.fromarray(pixels), "JPEG")
    with_preview = photo[:2] + b"\xff\xe1" + struct.pack(">H", len(preview) + 2) + preview + photo[2:]
    half = len(photo) // 2
    return {
        "rows.png": (png(pixels, rows=12), "pixels end after 300 of 600 bytes"),
        "last_row.png": (png(pixels, rows=23), "pixels end after 575 of 600 bytes"),
        "interlaced.png": (png(pixels[:2, :2], rows=2, interlace=True), "pixels end after 4 of 7 bytes"),
        "file.png": (whole[: len(whole) // 2], "truncated"),
        "no_end.png": (whole[:-12], "before its IEND"),
        "in_chunk.png": (whole[:-6], "before its IEND"),
        "checksum.png": (bytes(flipped), "checksum"),
        "empty_data.png": (whole[:data] + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "truncated"),
        "half.jpg": (photo[:half], "truncated"),
        "zeros.jpg": (photo[:half] + bytes(4 * len(photo)), "end-of-image"),  # room that a download reserved
        "preview.jpg": (with_preview[: len(preview) + half] + bytes(4 * len(photo)), "end-of-image"),
        "half.gif": (encoded(Image.fromarray(pixels), "GIF")[:-200], "truncated"),
        "half.bmp": (encoded(Image.fromarray(pixels), "BMP")[:-200], "truncated"),
        "half.webp": (encoded(Image.fromarray(pixels), "WEBP", lossless=True)[:-200], "decoder"),
    }


@pytest.mark.parametrize("name", cut_files(np.ones((24, 24), np.uint8)))
def test_half_an_image_is_never_read_as_whole(tmp_path, pixels, name):
    content, reason = cut_files(pixels)[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ZatlasError, match=rf"{name} (is damaged|cannot be read) .*{reason}.*--skip-damaged"):
        read(open_source(str(tmp_path), channels=1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_black_images_are_whole(tmp_path, mode):
    """What ends in zeros is looked at twice, and passes."""
    black = Image.new("I;16", (9, 5)) if mode == "I;16" else Image.new("RGBA", (9, 5)).convert(mode)
    black.save(tmp_path / "a.png")
    assert read(open_source(str(tmp_path), channels=1)).shape == (1, 1, 5, 9)
    (tmp_path / "a.png").write_bytes(png(np.zeros((2, 2), np.uint8), interlace=True))
    assert not read(open_source(str(tmp_path))).any()


def test_what_follows_the_end_of_an_image_is_no_damage(tmp_path, pixels):
    """Telephones append films to photographs, and previews come before them."""
    photo = encoded(Image.fromarray(pixels), "JPEG")
    preview = photo[:2] + b"\xff\xe1" + struct.pack(">H", len(photo) + 2) + photo + photo[2:]
    film = b"\xff\xda film " * 50
    for name, content in {"a.jpg": photo + film, "b.jpg": preview + film, "c.png": png(pixels) + film}.items():
        (tmp_path / name).write_bytes(content)
    assert len(read(open_source(str(tmp_path)))) == 3


def test_skip_damaged_goes_on_and_lists_what_it_left_out(folder, pixels):
    whole = open_source(str(folder))
    (folder / "cat/1_half.png").write_bytes(png(pixels, rows=12))
    (folder / "dog/9.jpg").write_bytes(b"no image")
    (folder / "dog/large.png").write_bytes(
        png(np.zeros((1, 1), np.uint8)).replace(b"\0\0\0\x01" * 2, b"\0\0\x40\0" * 2)
    )
    with pytest.raises(ZatlasError, match=r"--skip-damaged"):
        open_source(str(folder))
    source = open_source(str(folder), skip_damaged=True)
    left_out = source.about["left_out"]
    assert list(left_out) == ["cat/1_half.png", "dog/9.jpg", "dog/large.png"]
    assert "300 of 600" in left_out["cat/1_half.png"]
    assert remarks(source)[-1].startswith("left out: 3 of 7 images, as cat/1_half.png: is damaged")
    assert describe(source)["about"]["left_out"] == left_out
    np.testing.assert_array_equal(read(source), read(whole))
    assert source.fingerprint() == whole.fingerprint()  # of what is there, not of how it was found
    np.testing.assert_array_equal(source.read_labels(np.arange(4)), [0, 0, 1, 1])


def test_a_label_file_may_name_what_is_left_out(folder, tmp_path):
    (folder / "cat/1.png").write_bytes(b"")
    (tmp_path / "all.txt").write_text("a\nleft out\nb\nc\n")
    source = open_source(str(folder), labels=str(tmp_path / "all.txt"), skip_damaged=True)
    assert (source.spec.labels, source.read_labels(np.arange(3)).tolist()) == (("a", "b", "c"), [0, 1, 2])


def test_where_nothing_is_left_it_says_why(folder):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(ZatlasError, match=r"none of 4 images can be read; cat/0\.png is not an image"):
        open_source(str(folder), skip_damaged=True)
    with pytest.raises(UsageError, match=r"no folder or \.zip of images"):
        open_source("digits", skip_damaged=True)


def test_only_files_are_read(folder):
    """A FIFO, a socket or a device would be waited for without end."""
    os.mkfifo(folder / "cat/pipe.png")
    os.symlink("pipe.png", folder / "cat/link.png")
    os.symlink("/dev/null", folder / "cat/null.png")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(folder)  # a socket's path is short
        listening.bind("dog/s.png")
        os.chdir(here)
        source = open_source(str(folder))
        assert source.about["left_out"] == {
            "cat/pipe.png": "a FIFO",
            "cat/link.png": "a FIFO",
            "cat/null.png": "it leads outside",
            "dog/s.png": "a socket",
        }
    assert len(read(source)) == 4
    os.mkfifo(folder.parent / "pipe.npz")
    with pytest.raises(ZatlasError, match=r"pipe\.npz is neither a file nor a folder but a pipe"):
        open_source(str(folder.parent / "pipe.npz"))
    os.mkfifo(folder.parent / "pipe.zip")
    with pytest.raises(ZatlasError, match=r"pipe\.zip is neither a file nor a folder but a pipe"):
        open_source(str(folder.parent / "pipe.zip"))


def test_a_folder_of_pipes_alone_says_so(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ZatlasError, match=r"holds no images .*a\.png is left out \(a FIFO\)"):
        open_source(str(tmp_path))


def test_links_that_lead_in_circles(folder):
    os.symlink("loop.png", folder / "cat/loop.png")
    os.symlink("gone.png", folder / "cat/none.png")
    os.symlink("..", folder / "cat/up")
    with pytest.raises(ZatlasError, match=r"cat/loop\.png cannot be read .*symbolic links"):
        open_source(str(folder))
    source = open_source(str(folder), skip_damaged=True)
    assert set(source.about["left_out"]) == {"cat/loop.png", "cat/none.png", "cat/up"}
    assert len(source) == 4


def test_names_that_are_no_text(folder, pixels):
    strange = os.fsencode(folder) + b"/caf\xe9"
    os.mkdir(strange)
    with open(strange + b"/\xff.png", "wb") as file:
        file.write(png(pixels))
    with open(strange + b"/\xfe.png", "wb") as file:
        file.write(b"damage")
    source = open_source(str(folder), skip_damaged=True)
    assert source.spec.labels == ("caf\\udce9", "cat", "dog")
    assert list(source.about["left_out"]) == ["caf\\udce9/\\udcfe.png"]
    assert len(source.fingerprint()) == 64
    assert len(split(source, validation=1, test=1, seed=0).train) == 3


def packed(path, files, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.read_bytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("at", [2, 5, 12, 60])
def test_damaged_members_of_a_zip_are_named(tmp_path, pixels, method, at):
    content = packed(tmp_path / "a.zip", {"cat/0.png": png(pixels), "dog/1.png": png(pixels)}, compression=method)
    start = 30 + len("cat/0.png") + at
    damaged = content[:start] + bytes(byte ^ 0xFF for byte in content[start : start + 8]) + content[start + 8 :]
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(ZatlasError, match=r"cat/0\.png (cannot be read|is damaged|is not an image)"):
        read(open_source(str(tmp_path / "a.zip")))
    assert len(read(open_source(str(tmp_path / "a.zip"), skip_damaged=True))) == 1


def test_encrypted_members_and_links_of_a_zip(tmp_path, pixels):
    content = bytearray(packed(tmp_path / "a.zip", {"cat/0.png": png(pixels), "dog/1.png": png(pixels)}))
    content[6] |= 1  # of the first member, in its own header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ZatlasError, match=r"cat/0\.png cannot be read \(it is encrypted\)"):
        open_source(str(tmp_path / "a.zip"))
    assert len(open_source(str(tmp_path / "a.zip"), skip_damaged=True)) == 1
    link = zipfile.ZipInfo("cat/2.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("dog/1.png", png(pixels))
        archive.writestr(link, "../../etc/passwd")
    assert open_source(str(tmp_path / "b.zip")).about["left_out"] == {"cat/2.png": "a link"}


def test_a_fault_of_lzma_is_a_damaged_member(tmp_path, pixels, monkeypatch):
    packed(tmp_path / "a.zip", {"cat/0.png": png(pixels)}, compression=zipfile.ZIP_LZMA)

    def fail(*_):
        raise lzma.LZMAError("Corrupt input data")

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    with pytest.raises(ZatlasError, match="Corrupt input data"):
        open_source(str(tmp_path / "a.zip"))


def test_the_shape_is_judged_before_the_contents(folder):
    (folder / "cat/0.png").write_bytes(png(np.ones((24, 24), np.uint8), rows=3))  # would be found when it is decoded
    with pytest.raises(UsageError, match=r"100000x100000 pixels and take 30\.0 GB in colour: give a smaller --resize"):
        open_source(str(folder), resize=100_000, crop=100_000, skip_damaged=True)
    with pytest.raises(UsageError, match=r"give a smaller --resize"):
        open_source("digits", resize=100_000)


NESTED = ["cat/day1/0.png", "cat/day1/1.png", "cat/day2/0.png", "dog/day1/0.png", "dog/day1/1.png", "dog/day2/0.png"]


@pytest.fixture
def nested(tmp_path):
    """Classes with a folder for each day; the same bytes under any version of zlib."""
    for i, name in enumerate(NESTED):
        raw = (b"\0" + bytes([20 * i + 1] * 4)) * 4
        stored = b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
        stored += struct.pack(">I", zlib.adler32(raw))
        path = tmp_path / "nested" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = chunk(b"IHDR", struct.pack(">2I5B", 4, 4, 8, 0, 0, 0, 0))
        path.write_bytes(SIGNATURE + header + chunk(b"IDAT", stored) + chunk(b"IEND", b""))
    return tmp_path / "nested"


@pytest.mark.parametrize(
    ("level", "labels"),
    [
        (1, ("cat", "dog")),
        (2, ("day1", "day2")),
        ("path", ("cat/day1", "cat/day2", "dog/day1", "dog/day2")),
        (3, ()),  # nothing lies so deep, and one label says nothing
    ],
)
def test_the_level_of_the_folders_that_are_labels(nested, level, labels):
    source = open_source(str(nested), label_level=level)
    assert source.spec.labels == labels
    if labels:
        names = np.array(source.spec.labels)[source.read_labels(np.arange(6))]
        parts = [str(Path(name).parent) if level == "path" else Path(name).parts[level - 1] for name in NESTED]
        assert names.tolist() == parts
    assert ("--label-level" in source.about.get("labels", "")) == (level in (1, 2))


def test_a_run_of_0_1_finds_its_data_by_their_fingerprint(nested):
    """The figures are those of 0.1.0, which took the whole path as the label."""
    source = open_source(str(nested), label_level="path")
    assert source.fingerprint() == "56953dd2d8252ff40fcb1e5335f5a6608ceb4d200c6bf8e16be9e94f1b230102"
    source = open_source(str(nested), label_level="path", resize=2)
    assert source.fingerprint() == "d451c61e37d7f86c33e5fcaf0fe0f54ac1faf6ce0bbd8ad887fca558754a33dd"
