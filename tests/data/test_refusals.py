"""What cannot be used is refused by what is wrong, where, and what mends it, before memory is taken or time is lost."""

import os
import socket
import struct
import zipfile

import numpy as np
import pytest

from zatlas.data import ArraySource, describe, located, open_source
from zatlas.data.idx import read_idx
from zatlas.data.labels import read_label_file
from zatlas.errors import UsageError, ZatlasError


def header(text, body=b""):
    content = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content + body


def described(descr, shape, body=b""):
    return header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}", body)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_found_in_every_float(rng, dtype, bad):
    x = rng.random((30, 4, 4)).astype(dtype)
    x[7, 1, 2] = bad
    with pytest.raises(ZatlasError, match=r"row 7 holds .* at \[1, 2\]"):
        ArraySource("x", x)
    x[7, 1, 2] = 0
    assert ArraySource("x", x).spec.values == "unit"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (described("<f4", "(64, 1000000, 250000)"), "promises an array of shape .* which takes 64.0 TB, and 0 bytes"),
        (described("<f4", "(8, 8, 8, 8, 8)"), "holds neither images"),  # by its shape, though its contents are missing
        (described("<f4", "(-1, 5)", bytes(20)), r"its header gives the shape \[-1, 5\]"),
        (described("<f4", "(100000000000000000000000000, 2)"), "cut short"),
        (described("<f4", "(2.5, 3)"), "cannot be read"),
        (described("|O", "(2, 3)"), "Python objects"),
        (described("<c8", "(2, 3)", bytes(48)), "complex64 cannot be used"),
        (described("<f4", "(" * 400 + ")" * 400), "cannot be read"),
        (described("<f4", "(2, 3)", bytes(20)), "takes 24 bytes, and 20 bytes are there"),
        (described("<f4", "(2, 3)", bytes(30)), "goes on after its values"),
        (b"\x93NUMPY\2\0\xff\xff\xff\xff", "its header would take 4.3 GB"),
        (b"PK\3\4" + bytes(40), "zip archive under the name .npy: rename it"),
        (b"\x80\x04junk", "it is no .npy file"),
    ],
)
def test_a_header_is_held_against_what_is_there(tmp_path, content, words):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ZatlasError, match=words) as refused:
        open_source(str(tmp_path / "x.npy"))
    assert "x.npy" in str(refused.value)


def test_what_is_larger_than_memory_says_so_and_what_to_do(tmp_path, monkeypatch, rng):
    monkeypatch.setattr("zatlas.data.content.free_bytes", lambda device: 1000)
    x = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez_compressed(tmp_path / "x.npz", images=x)
    with pytest.raises(
        ZatlasError, match=r"images takes 2,560 bytes of memory, and 1,000 bytes are free: save it .*npy"
    ):
        open_source(str(tmp_path / "x.npz"))
    (tmp_path / "x-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 40, 8, 8) + x.tobytes())
    with pytest.raises(ZatlasError, match=r"x-idx3-ubyte takes 2,560 bytes of memory.*save it as an \.npy"):
        read_idx(tmp_path / "x-idx3-ubyte")
    np.save(tmp_path / "x.npy", x)
    assert len(open_source(str(tmp_path / "x.npy"))) == 40


@pytest.mark.parametrize(("size", "words"), [(100_000, "100000x100000 pixels"), (10**26, "at most 50,000,000")])
def test_a_size_that_no_memory_holds(size, words):
    with pytest.raises(UsageError, match=words):
        open_source("digits", resize=size)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_of_every_method_are_read_and_their_damage_is_named(tmp_path, rng, method):
    x = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.write(tmp_path / "x.npy", "images.npy")
    np.testing.assert_array_equal(open_source(str(tmp_path / "x.npz")).read(np.arange(40))[:, 0], x)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    (tmp_path / "flipped.npz").write_bytes(content[:60] + bytes(40) + content[100:])
    with pytest.raises(ZatlasError, match=r"flipped\.npz: the array images"):
        open_source(str(tmp_path / "flipped.npz"))
    content[6] |= 1  # encrypted, as the local and the central header say
    content[content.find(b"PK\1\2") + 8] |= 1
    (tmp_path / "locked.npz").write_bytes(content)
    with pytest.raises(ZatlasError, match="the array images is encrypted: save it without a password"):
        open_source(str(tmp_path / "locked.npz"))


def test_a_member_that_hides_more_than_it_says_takes_no_more_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.png", bytes(64 << 20))
    content = path.read_bytes()
    at = content.find(b"PK\1\2") + 24
    path.write_bytes(content[:at] + (1 << 19).to_bytes(4, "little") + content[at + 4 :])
    tracemalloc.start()
    with pytest.raises(ZatlasError, match=r"x\.png"):
        open_source(str(path))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_real_factors_keep_their_fractions(tmp_path, rng):
    x, hue = rng.integers(0, 256, (10, 4, 4), dtype=np.uint8), rng.random(10)
    np.savez(tmp_path / "x.npz", images=x, factors=np.stack([hue, np.arange(10)], 1), factor_names=[b"hue", b"age"])
    source = open_source(str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(source.factors[:, 0], hue)
    assert describe(source)["factors"] == {"hue": 10, "age": 10}
    assert ArraySource("x", x, factors=np.arange(10.0)).factors.dtype == np.int64


@pytest.mark.parametrize(
    ("factors", "names", "words"),
    [
        (np.full((10, 2), np.nan), (), "factor 0 of row 0 is not a finite number"),
        (np.array([["a"]] * 10), (), "factors of type <U1"),
        (np.zeros((9, 2)), (), r"factors of shape \[9, 2\] do not go with 10"),
        (np.zeros((10, 2)), ["hue"], "1 names do not go with 2 factors"),
        (np.zeros((10, 2)), ["hue", "hue"], "give each its own"),
    ],
)
def test_refused_factors(rng, factors, names, words):
    with pytest.raises(ZatlasError, match=words):
        ArraySource("x", rng.random((10, 3)), factors=factors, factor_names=names)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"1\n" * 9 + b"9" * 30, "y.txt", "line 10 holds a whole number larger than 64 bits"),
        (b"PK\3\4" + bytes(20), "y.txt", "zip archive or a spreadsheet"),
        (b"PK\3\4" + bytes(20), "y.npy", "zip archive"),
        (b"a\xff\n" * 10, "y.txt", r"not UTF-8 text \(byte 1\)"),
        ("cat\n".encode("utf-16-le") * 10, "y.txt", "NUL bytes"),
        (b"a\n\nb\n", "y.txt", "line 2 holds no label"),
        (b"file,label\n1.png,cat\n", "y.csv", "has 2 columns"),
        (described("<i8", "(1000000000000,)"), "y.npy", "takes 8.0 TB, and 0 bytes are there"),
    ],
)
def test_label_files(tmp_path, content, name, words):
    (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "x.npy", np.arange(160).reshape(10, 16))
    with pytest.raises(ZatlasError, match=words) as refused:
        open_source(str(tmp_path / "x.npy"), labels=str(tmp_path / name))
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("content", "name", "labels"),
    [
        ("\ufeff3\r\n1\r\n2\r\n\r\n", "y.txt", [3, 1, 2]),
        ("1.000e+00\n0.000e+00\n", "y.txt", [1, 0]),
        ("0.5\n-2\n1e3\n", "y.txt", [0.5, -2, 1000]),
        ('"cat, small"\ndog\n', "y.csv", ["cat, small", "dog"]),
        ("cat, small\nnan\n", "y.txt", ["cat, small", "nan"]),
    ],
)
def test_what_text_labels_are(tmp_path, content, name, labels):
    (tmp_path / name).write_bytes(content.encode())
    assert read_label_file(tmp_path / name).tolist() == labels


def test_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.npz")
    os.mkfifo("y.txt")
    (tmp_path / "circle.npy").symlink_to("circle.npy")
    (tmp_path / "gone.npy").symlink_to("nowhere.npy")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/circle.png").symlink_to("circle.png")
    (tmp_path / "pipes").mkdir()
    os.mkfifo("pipes/x.png")
    np.save("x.npy", np.arange(160).reshape(10, 16))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.npy")
    for text, words in {
        "pipe.npz": "neither a file nor a folder but a pipe",
        "socket.npy": "neither a file nor a folder",
        "/dev/null": "neither a file nor a folder",
        "circle.npy": "a link that leads in a circle: remove it",
        "gone.npy": r"a link to nowhere\.npy, which is not there",
        "photos": r"circle\.png cannot be read .*symbolic links",
        "pipes": "pipe",
        "~nouser/x.npz": "the home folder in ~nouser/x.npz cannot be found",
        "a\0.npz": r"there is no file or folder a\\x00\.npz",
        "a\n.npz": r"there is no file or folder a\\n\.npz",
        "x" * 300 + ".npz": "File name too long",
        "\udcff.npz": r"\\udcff\.npz holds bytes that are not UTF-8: rename",
        "hf:": "names no data set",
        "sprites:" + "9" * 5000: "with N from 1 to",
    }.items():
        with pytest.raises(ZatlasError, match=words):
            open_source(text)
    with pytest.raises(ZatlasError, match="pipe"):
        open_source("x.npy", labels="y.txt")
    with pytest.raises(UsageError, match="home folder"):
        located("~nouser/x.npz")
