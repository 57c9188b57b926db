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
        self._path = path
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
        info, what = self._members[key], f"{self._path}: the array {key}"
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


@data_format("npz", when="arrays of a .npz", order=2, takes=lambda path: path.suffix.lower() == ".npz")
def open_npz(path: Path, *, name: str | None = None, labels: str | None = None) -> ArraySource:
    """The images, labels and factors of an .npz.

    Args:
        path: the archive. Images lie under images, imgs, x, X, data, arr_0, or are the only array; labels under
            labels, label, y, Y or targets; factors under factors, their names under factor_names.
        name: what to call it; None: the path.
        labels: key of the labels, or a label file.

    Raises:
        ZatlasError: the file is damaged, no .npz, or wants pickle.
        UsageError: the images or labels asked for are not in it.
    """
    name = name or str(path)
    with Npz(path) as archive:
        keys = archive.keys
        image_key = keys[0] if len(keys) == 1 else _key(keys, IMAGE_KEYS)
        if image_key is None:
            raise UsageError(f"{path} holds {listed(keys)}: name its images one of {', '.join(IMAGE_KEYS)}.")
        if labels is not None and labels not in keys and look(typed_path(labels)) != "file":
            raise UsageError(f"{path} has no labels {labels}; {nearest(labels, keys)}")
        x = archive.read(image_key, images_of=name)
        label_key = _key(keys, LABEL_KEYS) if labels is None else labels if labels in keys else None
        y = None if label_key is None else archive.read(label_key)
        if labels is not None and labels not in keys:
            y = read_label_file(labels)
        factor_key = _key(keys, FACTOR_KEYS)
        factors = None if factor_key is None else archive.read(factor_key)
        names = archive.read("factor_names") if factors is not None and "factor_names" in keys else np.array([], "U")
    about = {"arrays": [k for k in (image_key, label_key, factor_key) if k]}
    return ArraySource(name, x, y, factors=factors, factor_names=names, about=about)


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
