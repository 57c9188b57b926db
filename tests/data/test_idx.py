import gzip
import hashlib
import struct

import numpy as np
import pytest

from zatlas.data import open_source
from zatlas.data.idx import open_idx, read_idx
from zatlas.errors import ZatlasError


def idx_bytes(x):
    code = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}[str(x.dtype)]
    return struct.pack(f">HBB{x.ndim}I", 0, code, x.ndim, *x.shape) + x.astype(x.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def folder(tmp_path, rng):
    for part, n in (("train", 20), ("t10k", 7)):
        images, labels = rng.integers(0, 256, (n, 6, 5), dtype=np.uint8), rng.integers(0, 3, n).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images), mtime=0))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return tmp_path


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_type_is_read_back(tmp_path, dtype, pack):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    (tmp_path / "x").write_bytes(pack(idx_bytes(x)))
    np.testing.assert_array_equal(read_idx(tmp_path / "x"), x)
    assert read_idx(tmp_path / "x").dtype == dtype


def test_a_folder_holds_test_rows_after_train_rows(folder):
    source = open_source(str(folder))
    assert len(source) == 27
    assert source.test_rows.tolist() == list(range(20, 27))
    first = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16 : 16 + 30]
    assert source.read(np.array([20])).tobytes() == first


def test_one_file_brings_its_labels(folder):
    source = open_source(str(folder / "train-images-idx3-ubyte.gz"))
    assert (len(source), source.spec.label_kind, source.test_rows) == (20, "none", None)  # labels are not packed alike
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress((folder / "train-labels-idx1-ubyte").read_bytes(), mtime=0)
    )
    assert open_source(str(folder / "train-images-idx3-ubyte.gz")).spec.label_kind == "class"


GOOD = idx_bytes(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG" + GOOD[4:], "not an IDX file: it begins with 89504e47"),
        (b"\0\0\x07\x03" + GOOD[4:], "not an IDX file"),
        (b"", "begins with nothing"),
        (GOOD[:9], "within its header"),
        (GOOD[:-1], "cut short"),
        (GOOD + b"\0", "goes on after"),
        (gzip.compress(GOOD, mtime=0)[:-12], "cannot be read|cut short"),
        (gzip.compress(GOOD, mtime=0)[:30], "cannot be read|cut short"),
        (gzip.compress(GOOD[:-1], mtime=0), "59 of 60 bytes"),
        (gzip.compress(GOOD, mtime=0)[:-8] + b"\0" * 8, "CRC"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "too small"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12, mtime=0), "too small"),
        (idx_bytes(np.arange(5, dtype=np.uint8)), "labels rather than images"),
    ],
)
def test_damage_is_named(tmp_path, content, words):
    path = tmp_path / "bad-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ZatlasError, match=words) as caught:
        open_source(str(path))
    assert "bad-idx3-ubyte" in str(caught.value)


def test_labels_must_match(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(6, np.uint8)))
    with pytest.raises(ZatlasError, match="6 labels"):
        open_idx(folder)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ZatlasError, match="labels of t10k are missing"):
        open_idx(folder)


def test_mnist(shared, monkeypatch):
    monkeypatch.setenv("ZATLAS_DATA", str(shared))
    source = open_source("mnist")
    assert (len(source), source.spec.shape, source.spec.labels) == (70_000, (1, 28, 28), tuple("0123456789"))
    train = source.read(np.arange(60_000))
    header = struct.pack(">HBB3I", 0, 8, 3, 60_000, 28, 28)
    digest = hashlib.md5(header + train.tobytes(), usedforsecurity=False).hexdigest()
    assert digest == "6bbc9ace898e44ae57da46a324031adb"
    assert source.read_labels(np.arange(6)).tolist() == [5, 0, 4, 1, 9, 2]
