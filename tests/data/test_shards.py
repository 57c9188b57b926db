import numpy as np
import pytest

from zatlas.data import ArraySource, open_source
from zatlas.errors import ZatlasError


@pytest.fixture
def x(rng):
    return rng.integers(0, 256, (30, 6, 5), dtype=np.uint8)


def write(folder, x, cuts, pattern="x-{:05}.npy", labels=None):
    folder.mkdir(parents=True, exist_ok=True)
    for i, part in enumerate(np.split(x, cuts)):
        np.save(folder / pattern.format(i), part)
    if labels is not None:
        for i, part in enumerate(np.split(labels, cuts)):
            np.save(folder / pattern.format(i).replace(".npy", "_labels.npy"), part)
    return str(folder)


def test_shards_are_one_source(tmp_path, x):
    labels = np.arange(30) % 3
    source = open_source(write(tmp_path / "s", x, [11, 13], labels=labels))
    whole = ArraySource("x", x, labels)
    assert (len(source), source.spec) == (30, whole.spec)
    assert source.about["shards"] == "3, x-00000.npy to x-00002.npy"
    assert source.fingerprint() == whole.fingerprint()
    rows = np.array([29, 0, 12, 11, 12])
    np.testing.assert_array_equal(source.read(rows), whole.read(rows))
    np.testing.assert_array_equal(source.read_labels(rows), labels[rows])
    other = tmp_path / "labels.txt"
    other.write_text("a\nb\n" * 15)
    assert open_source(str(tmp_path / "s"), labels=str(other)).spec.labels == ("a", "b")


def test_split_folders(tmp_path, x):
    write(tmp_path / "s/test", x[20:], [4], labels=np.arange(10) % 2)
    write(tmp_path / "s/train", x[:20], [7], labels=np.arange(20) % 2)
    source = open_source(str(tmp_path / "s"))
    assert source.test_rows.tolist() == list(range(20, 30))
    assert source.validation_rows is None
    assert source.about["splits"] == "20 train, 10 test, by folder"
    np.testing.assert_array_equal(source.read(np.arange(30)), x[:, None])
    np.save(tmp_path / "s/stray.npy", x)
    with pytest.raises(ZatlasError, match=r"stray\.npy lies beside the folders of the splits"):
        open_source(str(tmp_path / "s"))


def test_photographs_with_an_array_beside_them_are_photographs(tmp_path, x):
    from PIL import Image

    for name in ("cat/0.png", "dog/0.png"):
        (tmp_path / "p" / name).parent.mkdir(parents=True)
        Image.fromarray(x[len(name)]).save(tmp_path / "p" / name)
    np.save(tmp_path / "p/codes.npy", np.zeros((2, 2)))
    assert open_source(str(tmp_path / "p")).spec.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f, x: np.save(f / "x-00001.npy", x[:4, :5]), r"x-00001.npy holds uint8 values \[4, 5, 5\] and x-00000"),
        (lambda f, x: np.save(f / "x-00001.npy", x[:4] / 255), "x-00001.npy holds float64 values"),
        (lambda f, x: np.save(f / "x-00001.npy", x[:0]), "x-00001.npy: there are no rows"),
        (lambda f, x: (f / "x-00001.npy").write_bytes((f / "x-00001.npy").read_bytes()[:-1]), "1.npy is cut short"),
        (lambda f, x: (f / "x-00001.npy").write_bytes(b"\x93NUM"), "x-00001.npy cannot be read"),
        (lambda f, x: np.save(f / "x-00001.npy", np.asfortranarray(x[:4])), "x-00001.npy is in Fortran order"),
        (lambda f, x: (f / "x-00001_labels.npy").unlink(), "x-00001_labels.npy is missing"),
        (lambda f, x: np.save(f / "x-00001_labels.npy", np.zeros(3)), "x-00001_labels.npy holds 3 labels, and its sha"),
    ],
)
def test_what_does_not_go_together(tmp_path, x, change, words):
    write(tmp_path / "s", x, [11, 13], labels=np.arange(30) % 3)
    change(tmp_path / "s", x)
    with pytest.raises(ZatlasError, match=words):
        open_source(str(tmp_path / "s"))


def test_a_missing_shard(tmp_path, x):
    folder = tmp_path / "s"
    write(folder, x, [5, 10, 15, 20])
    (folder / "x-00002.npy").unlink()
    assert open_source(str(folder)).about["missing"] == "x-00002.npy is not there"
    write(tmp_path / "dates", x, [10, 20], "2024{:02}01.npy")
    assert "missing" not in open_source(str(tmp_path / "dates")).about
    for first in (0, 1):
        counted = tmp_path / f"from{first}"
        counted.mkdir()
        for number in range(first, first + 4):
            np.save(counted / f"x-{number:03}-of-004.npy", x[:7])
        np.save(counted / f"x-{first:03}-of-004.npy", x[7:14])
        assert len(open_source(str(counted))) == 28
        for last in (2, 3):
            (counted / f"x-{first + last:03}-of-004.npy").unlink()
            with pytest.raises(ZatlasError, match=rf"x-{first + last:03}-of-004\.npy is not there: put it back"):
                open_source(str(counted))
            np.save(counted / f"x-{first + last:03}-of-004.npy", x[:7])
