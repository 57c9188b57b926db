"""The data sets that have a name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zatlas.errors import UsageError
from zatlas.files import typed_path, user_cache

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class Named:
    """A published data set that can be fetched.

    Args:
        about: one line for people, with the licence.
        mirrors: addresses, each ending in a slash, tried in this order.
        md5: file name to checksum.
        classes: names of the classes 0, 1, ...
    """

    about: str
    mirrors: tuple[str, ...]
    md5: Mapping[str, str]
    classes: tuple[str, ...] = field(default=())


def _files(*sums: str) -> dict[str, str]:
    return dict(zip(FILES, sums, strict=True))


# The checksums are those that torchvision checks its downloads by.
PUBLISHED: dict[str, Named] = {
    "mnist": Named(
        "70,000 handwritten digits, 28x28 grey (LeCun, Cortes and Burges; CC BY-SA 3.0)",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _files(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion-mnist": Named(
        "70,000 articles of clothing, 28x28 grey (Zalando; MIT)",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        _files(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "kmnist": Named(
        "70,000 cursive Japanese characters, 28x28 grey (CODH; CC BY-SA 4.0)",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/", "https://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
        _files(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
}

BUILT_IN = {
    "digits": "1,797 handwritten digits, 8x8 grey, part of scikit-learn (CC BY 4.0)",
    "sprites": "squares, ellipses and hearts, 64x64 grey, drawn from five known factors (sprites:N draws N of 737,280)",
}

_LOCAL_SUFFIXES = (".npz", ".npy", ".zip")


def data_folder() -> Path:
    """Where named data lies: ``$ZATLAS_DATA``, else ``zatlas`` in the user's cache folder."""
    if chosen := os.environ.get("ZATLAS_DATA"):
        return typed_path(chosen)
    try:
        return user_cache()
    except UsageError:
        raise UsageError("this user has no home folder to keep data in: set ZATLAS_DATA to a folder.") from None


def local(name: str) -> Path | None:
    """The folder or file of that name in the data folder, or None."""
    folder = data_folder()
    if not name or Path(name).name != name:  # a name never leads out of the folder
        return None
    candidates = [folder / name, *(folder / f"{name}{suffix}" for suffix in _LOCAL_SUFFIXES)]
    found = (path for path in candidates if path.is_file() or (path.is_dir() and any(path.iterdir())))
    return next(found, None)


def _local_names() -> list[str]:
    folder = data_folder()
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p.stem for p in paths if p.suffix in _LOCAL_SUFFIXES] + [
        p.name for p in paths if p.is_dir() and not p.name.startswith(".") and any(p.iterdir())
    ]


def names() -> list[str]:
    """Every name that can be opened: built in, published, or lying in the data folder."""
    return list(dict.fromkeys([*BUILT_IN, *PUBLISHED, *_local_names()]))


def catalog() -> list[dict[str, Any]]:
    """One record a named data set: name, about, and where it is ("built in", "here" or "to fetch")."""
    records = []
    for name in names():
        where = "built in" if name in BUILT_IN else "here" if local(name) else "to fetch"
        about = BUILT_IN.get(name) or (PUBLISHED[name].about if name in PUBLISHED else f"in {data_folder()}")
        records.append({"name": name, "where": where, "about": about})
    return records
