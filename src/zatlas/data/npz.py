"""Arrays in .npz archives and .npy files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data.array import ArraySource, check_layout
from zatlas.data.labels import read_label_file
from zatlas.data.npy import map_npy, read_header, read_values
from zatlas.data.shards import stored
from zatlas.data.splits import SPLITS
from zatlas.data.stored import StoredRows
from zatlas.decoding.members import step_bytes
from zatlas.errors import UsageError, ZatlasError, listed, nearest, reading
from zatlas.files import look, typed_path
from zatlas.parts import data_format

# Tried in this order; imgs and latents_classes are the names in dSprites.
IMAGE_KEYS = ("images", "imgs", "x", "X", "data", "arr_0")
LABEL_KEYS = ("labels", "label", "y", "Y", "targets")
FACTOR_KEYS = ("factors", "latents_classes")


class Npz:
    """An .npz archive, whose arrays are unpacked one by one and only where they fit into memory.

    Raises:
        ZatlasError: the file is damaged or no .npz.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            start = file.read(6)
        if start == b"\x93NUMPY":
            raise ZatlasError(f"{path} is an .npy array under the name .npz: rename it.")
        if not start.startswith(b"PK"):
            raise ZatlasError(f"{path} cannot be read: it is no zip archive; save it with numpy.savez.")
        with reading(str(path), "it is damaged, so save it again with numpy.savez"):
            self._zip = zipfile.ZipFile(path)
        members = [info for info in self._zip.infolist() if info.filename.endswith(".npy")]
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        if len(self._members) < len(members):
            self._zip.close()
            raise ZatlasError(f"{path} is damaged: it holds two arrays of one name; save it again with numpy.savez.")

    @property
    def keys(self) -> list[str]:
        return list(self._members)

    def read(self, key: str, *, images_of: str | None = None) -> npt.NDArray[Any]:
        """One array.

        Args:
            key: its name.
            images_of: what to call the data if these are its examples, whose shape is then checked before they are
                unpacked.

        Raises:
            ZatlasError: it is damaged, encrypted, larger than memory, or holds Python objects.
        """
        info, what = self._members[key], f"{self.path}: the array {key}"
        if info.flag_bits & 1:
            raise ZatlasError(f"{what} is encrypted: save it without a password.")
        with reading(what, "it is damaged, so save it again with numpy.savez"), self._zip.open(info) as file:
            header = read_header(file, what)
            if images_of is not None:
                check_layout(images_of, header.dtype, header.shape)
            header.check_bytes(what, info.file_size - file.tell())
            mend = "save it alone as an .npy, which is read a piece at a time"
            return read_values(file, header, what, mend, step_bytes(info))

    def __enter__(self) -> Npz:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()


def _key(keys: list[str], wanted: tuple[str, ...]) -> str | None:
    return next((key for key in wanted if key in keys), None)


def _alone(keys: list[str], wanted: tuple[str, ...]) -> dict[str, str]:
    return {"train": key} if (key := _key(keys, wanted)) else {}


def by_split(keys: list[str], wanted: tuple[str, ...]) -> dict[str, str]:
    """The key of each split that has an array of its own, train first; of one name at most, which is the first wanted.

    >>> by_split(["x_test", "y_test", "x_train", "y_train"], ("images", "x"))
    {'train': 'x_train', 'test': 'x_test'}
    >>> by_split(["train_images", "val_images", "test_images"], ("images", "x"))
    {'train': 'train_images', 'validation': 'val_images', 'test': 'test_images'}
    >>> by_split(["x", "x_test", "x_mean"], ("images", "x"))  # x alone are the others
    {'train': 'x', 'test': 'x_test'}
    """
    for name in wanted:
        found = {"train": name} if name in keys else {}
        for key in keys:
            first, _, rest = key.partition("_")
            start, _, last = key.rpartition("_")
            split = SPLITS.get(first.lower()) if rest == name else SPLITS.get(last.lower()) if start == name else None
            if split:
                found[split] = key
        if "train" in found:
            return {split: found[split] for split in ("train", "validation", "test") if split in found}
    return {}


@data_format("npz", when="arrays of a .npz", order=2, takes=lambda path: path.suffix.lower() == ".npz", splits=True)
def open_npz(
    path: Path, *, name: str | None = None, labels: str | None = None, split_folders: bool = True
) -> ArraySource:
    """The images, labels and factors of an .npz.

    Args:
        path: the archive. Images lie under images, imgs, x, X, data, arr_0, or are the only array; labels under
            labels, label, y, Y or targets; factors under factors, their names under factor_names. Splits may have
            arrays of their own, as x_train, y_train, x_test and y_test, or train_images, val_images and so on: rows
            of validation and test come after those of train.
        name: what to call it; None: the path.
        labels: key of the labels, or a label file, which has those of all splits in this order.
        split_folders: whether x_train and its like are splits; if not only a whole array is taken.

    Raises:
        ZatlasError: the file is damaged, no .npz, wants pickle, or its splits do not go together.
        UsageError: the images or labels asked for are not in it.
    """
    name = name or str(path)
    with Npz(path) as archive:
        keys = archive.keys
        find = by_split if split_folders else _alone
        images = {"train": keys[0]} if len(keys) == 1 else find(keys, IMAGE_KEYS)
        if not images:
            names = ", ".join(IMAGE_KEYS)
            raise UsageError(f"{path} holds {listed(keys)}: name its images one of {names}, or x_train and x_test.")
        of_labels = find(keys, LABEL_KEYS if labels is None else (labels,))
        if labels is not None and not of_labels and look(typed_path(labels)) != "file":
            raise UsageError(f"{path} has no labels {labels}; {nearest(labels, keys)}")
        of_factors = find(keys, FACTOR_KEYS)
        x, counts = _joined(archive, images, images, images_of=name)
        y = read_label_file(labels) if labels is not None and not of_labels else _joined(archive, of_labels, images)[0]
        factors = _joined(archive, of_factors, images)[0]
        factor_names = archive.read("factor_names") if of_factors and "factor_names" in keys else np.array([], "U")
    rows = dict(zip(images, np.split(np.arange(len(x)), np.cumsum(counts)[:-1]), strict=True))
    about: dict[str, Any] = {"arrays": [key for found in (images, of_labels, of_factors) for key in found.values()]}
    if len(rows) > 1:
        about["splits"] = ", ".join(f"{len(found):,} {split}" for split, found in rows.items()) + ", by array"
    test, validation = rows.get("test"), rows.get("validation")
    return ArraySource(
        name, x, y, factors=factors, factor_names=factor_names, test_rows=test, validation_rows=validation, about=about
    )


def _joined(archive: Npz, found: dict[str, str], images: dict[str, str], **how: str) -> tuple[Any, list[int]]:
    """The arrays of all splits that have images, one after another, and how many rows each has; None where none is."""
    if not found:
        return None, []
    if lacking := [images[split] for split in images if split not in found]:
        there = listed(list(found.values()))
        raise ZatlasError(f"{archive.path} has {there}, and none for {listed(lacking)}: save it with both or neither.")
    parts = [archive.read(found[split], **how) for split in images]
    for split, part in zip(images, parts, strict=True):
        if part.dtype.kind != parts[0].dtype.kind or part.shape[1:] != parts[0].shape[1:]:
            first, this = (f"{x.dtype} {list(x.shape)}" for x in (parts[0], part))
            raise ZatlasError(
                f"{archive.path}: {found['train']} is {first} and {found[split]} {this}: "
                "save the rows of all splits alike."
            )
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), [len(part) for part in parts]


@data_format("npy", when="one array of a .npy", order=3, takes=lambda path: path.suffix.lower() == ".npy")
def open_npy(path: Path, *, name: str | None = None, labels: str | None = None) -> ArraySource:
    """The images of an .npy, read when they are needed; labels from ``labels`` or from ``NAME_labels.npy`` beside it.

    Raises:
        ZatlasError: the file is damaged, no .npy, or wants pickle.
    """
    name = name or str(path)
    file = stored(path)
    x = map_npy(path, file.header, file.offset) if file.header.fortran else StoredRows([file])
    beside = path.with_name(f"{path.stem}_labels.npy")
    words = typed_path(labels) if labels is not None else beside if look(beside) == "file" else None
    y = None if words is None else read_label_file(words)
    about = {"files": [path.name, *([words.name] if words else [])]}
    return ArraySource(name, x, y, about=about)
