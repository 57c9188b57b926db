"""Folders called train, test and validation are splits, and classes are the folders below them."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from zatlas.data import describe, open_source, remarks, split

NAMES = [f"{part}/{kind}/{i}.png" for part in ("train", "val", "test") for kind in ("cat", "dog") for i in range(3)]


def write(root, names):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3), 7 * i).save(root / name)
    return root


@pytest.fixture(params=["folder", "zip"])
def photos(request, tmp_path):
    folder = write(tmp_path / "photos", NAMES)
    if request.param == "folder":
        return str(folder)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in NAMES:
            archive.write(folder / name, f"all/{name}")
    return str(tmp_path / "photos.zip")


def of(source, rows):
    return {source.names[row] for row in rows}


def test_they_are_the_splits(photos):
    source = open_source(photos)
    train, validation, test = split(source, validation=0.3, test=0.5, seed=3)
    assert all("train/" in name for name in of(source, train))
    assert all("val/" in name for name in of(source, validation))
    assert all("test/" in name for name in of(source, test))
    assert (len(train), len(validation), len(test)) == (6, 6, 6)
    assert source.spec.labels == ("cat", "dog")
    for row, name in enumerate(source.names):
        assert source.spec.labels[source.read_labels(np.array([row]))[0]] == name.split("/")[-2]
    assert "splits: 6 train, 6 validation, 6 test, by folder" in remarks(source)
    assert (describe(source)["test_rows"], describe(source)["validation_rows"]) == (6, 6)


def test_the_levels_of_labels_count_below_them(tmp_path):
    names = [
        f"{part}/{kind}/{day}/{i}.png" for part in ("Train", "TEST") for kind in "ab" for day in "xyz" for i in "1"
    ]
    folder = str(write(tmp_path, names))
    assert open_source(folder).spec.labels == ("a", "b")
    assert open_source(folder, label_level=2).spec.labels == ("x", "y", "z")
    assert open_source(folder, label_level="path").spec.label_dim == 6


def test_without_validation_some_of_the_train_folder_validates(tmp_path):
    source = open_source(str(write(tmp_path, [name for name in NAMES if "val/" not in name])))
    train, validation, test = split(source, validation=2, test=0.1, seed=0)
    assert (len(train), len(validation), len(test)) == (4, 2, 6)
    assert all("train/" in name for name in of(source, [*train, *validation]))


@pytest.mark.parametrize(
    "names",
    [
        ["train/0.png", "bus/1.png", "tram/2.png"],  # a class of vehicles
        ["test/a/0.png", "val/a/1.png", "test/b/2.png"],  # nothing to train on
        ["train/a/0.png", "train/b/1.png"],  # the folder that all share
        ["train/a/0.png", "test/b/1.png", "2.png"],
        ["a/train/0.png", "b/test/1.png"],
    ],
)
def test_other_folders_are_labels(tmp_path, names):
    source = open_source(str(write(tmp_path, names)))
    assert source.test_rows is None
    assert source.validation_rows is None
    assert source.spec.label_kind == "class"


def test_they_can_be_labels_as_they_were_before(tmp_path):
    source = open_source(str(write(tmp_path, NAMES)), split_folders=False)
    assert (source.spec.labels, source.test_rows) == (("test", "train", "val"), None)
