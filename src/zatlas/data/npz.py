"""Arrays in .npz archives and .npy files. Nothing pickled is ever read."""

from __future__ import annotations

import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data.array import ArraySource
from zatlas.data.labels import read_label_file
from zatlas.errors import UsageError, ZatlasError, nearest

# Tried in this order; imgs and latents_classes are the names in dSprites.
IMAGE_KEYS = ("images", "imgs", "x", "X", "data", "arr_0")
LABEL_KEYS = ("labels", "label", "y", "Y", "targets")
FACTOR_KEYS = ("factors", "latents_classes")


def _array(archive: Any, key: str, path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(archive[key])
    except ValueError as error:
        if "pickle" not in str(error).lower():
            raise ZatlasError(f"{path}: the array {key} is damaged ({error}).") from None
        raise ZatlasError(
            f"{path}: the array {key} holds Python objects, which zatlas never unpickles: save it as numbers or words."
        ) from None
    except (OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise ZatlasError(f"{path}: the array {key} is damaged ({error}).") from None


def _key(keys: list[str], wanted: tuple[str, ...]) -> str | None:
    return next((key for key in wanted if key in keys), None)


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
    stack = ExitStack()
    try:  # opened here, as np.load leaves the file of a damaged archive open
        archive = np.load(stack.enter_context(path.open("rb")), allow_pickle=False)
        keys = list(archive.keys())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        stack.close()
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged or of another kind"
        raise ZatlasError(f"{path} cannot be read as .npz: {why}.") from None
    with stack:
        image_key = keys[0] if len(keys) == 1 else _key(keys, IMAGE_KEYS)
        if image_key is None:
            raise UsageError(
                f"{path} holds {', '.join(keys) or 'nothing'}: name its images one of {', '.join(IMAGE_KEYS)}."
            )
        x = _array(archive, image_key, path)
        label_key = labels if labels in keys else _key(keys, LABEL_KEYS)
        y = None if label_key is None else _array(archive, label_key, path)
        if labels is not None and labels not in keys:
            if not Path(labels).is_file():
                raise UsageError(f"{path} has no labels {labels}; {nearest(labels, keys)}")
            y = read_label_file(Path(labels))
        factor_key = _key(keys, FACTOR_KEYS)
        factors = None if factor_key is None else _array(archive, factor_key, path)
        names = [str(n) for n in _array(archive, "factor_names", path)] if "factor_names" in keys else []
    about = {"arrays": [k for k in (image_key, label_key, factor_key) if k]}
    return ArraySource(name or str(path), x, y, factors=factors, factor_names=names, about=about)


def open_npy(path: Path, *, name: str | None = None, labels: str | None = None) -> ArraySource:
    """The images of an .npy, mapped rather than loaded; labels from ``labels`` or from ``NAME_labels.npy`` beside it.

    Raises:
        ZatlasError: the file is damaged, no .npy, or wants pickle.
    """
    try:
        x = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if "Array can't be memory-mapped" in str(error) or "pickle" in str(error).lower():
            why = "it holds Python objects, which zatlas never unpickles, or is no .npy"
        else:
            why = "it is cut short or damaged"
        raise ZatlasError(f"{path} cannot be read: {why}.") from None
    if not isinstance(x, np.ndarray):
        x.close()
        raise ZatlasError(f"{path} is an .npz archive under the name .npy: rename it.")
    beside = path.with_name(f"{path.stem}_labels.npy")
    file = Path(labels) if labels is not None else beside if beside.is_file() else None
    y = None if file is None else read_label_file(file)
    about = {"files": [path.name, *([file.name] if file else [])]}
    return ArraySource(name or str(path), x, y, about=about)
