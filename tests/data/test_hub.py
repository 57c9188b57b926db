import sys

import numpy as np
import pytest

from zatlas.data import open_source
from zatlas.errors import UsageError, ZatlasError


@pytest.fixture
def saved(tmp_path, rng):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "kind": datasets.ClassLabel(names=["cat", "dog"]),
            "age": datasets.Value("float32"),
        }
    )

    def part(n):
        x = rng.integers(0, 256, (n, 6, 5), dtype=np.uint8)
        columns = {"picture": list(x), "kind": [i % 2 for i in range(n)], "age": [i / 2 for i in range(n)]}
        return x, datasets.Dataset.from_dict(columns, features=features)

    (train, one), (test, two) = part(12), part(4)
    datasets.DatasetDict({"test": two, "train": one}).save_to_disk(tmp_path / "set")
    one.save_to_disk(tmp_path / "alone")
    return tmp_path, np.concatenate([train, test])


def test_images_labels_and_test_rows(saved):
    folder, x = saved
    source = open_source(f"hf:{folder / 'set'}")
    assert (len(source), source.spec.shape, source.spec.labels) == (16, (1, 6, 5), ("cat", "dog"))
    assert source.test_rows.tolist() == [12, 13, 14, 15]
    rows = np.array([13, 0, 7])
    np.testing.assert_array_equal(source.read(rows)[:, 0], x[rows])
    assert source.read_labels(rows).tolist() == [1, 0, 1]
    assert source.fingerprint() == open_source(f"hf:{folder / 'set'}").fingerprint()


def test_choices(saved):
    folder, _ = saved
    source = open_source(f"hf:{folder / 'alone'}", labels="age", resize=(4, 4), channels=3)
    assert (source.spec.label_kind, source.spec.shape, source.test_rows) == ("real", (3, 4, 4), None)
    assert source.read(np.arange(5)).shape == (5, 3, 4, 4)
    with pytest.raises(UsageError, match="did you mean kind"):
        open_source(f"hf:{folder / 'alone'}", labels="kin")


def test_a_label_that_is_missing_keeps_the_names_of_the_others(tmp_path, rng):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])})
    x = list(rng.integers(0, 256, (3, 6, 5), dtype=np.uint8))
    datasets.Dataset.from_dict({"image": x, "kind": [1, -1, 0]}, features=features).save_to_disk(tmp_path / "set")
    assert open_source(f"hf:{tmp_path / 'set'}").spec.labels == ("-1", "cat", "dog")


def test_columns_that_are_no_labels_and_images_that_are_missing_are_named(tmp_path, rng):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "boxes": datasets.Sequence(datasets.Value("int64")),
            "word": datasets.Value("string"),
        }
    )
    x = [*rng.integers(0, 256, (2, 6, 5), dtype=np.uint8), None]
    columns = {"image": x, "boxes": [[1], [1, 2], []], "word": ["a", None, "b"]}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "set")
    where = f"hf:{tmp_path / 'set'}"
    for labels, words in (("boxes", "the labels cannot be read"), ("word", "labels of type object")):
        with pytest.raises(ZatlasError, match=words):
            open_source(where, labels=labels)
    with pytest.raises(ZatlasError, match="row 2 has no image"):
        open_source(where).read(np.arange(3))
    arrow = next((tmp_path / "set").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:300])
    with pytest.raises(ZatlasError, match="cannot be read"):
        open_source(where)
    with pytest.raises(UsageError, match="names no data set"):
        open_source("hf:")


def test_faults(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "text")
    with pytest.raises(UsageError, match="no column of images: it has text"):
        open_source(f"hf:{tmp_path / 'text'}")
    with pytest.raises(ZatlasError, match="cannot be read"):
        open_source(f"hf:{tmp_path}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ZatlasError, match=r"pip install 'zatlas\[hub\]'"):
        open_source("hf:someone/something")
