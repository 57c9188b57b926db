"""A folder of .npy files of one shape: shards, for data that are larger than one file or than memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data.array import ArraySource, check_layout
from zatlas.data.labels import read_label_file
from zatlas.data.npy import map_npy, read_header
from zatlas.data.splits import SPLITS
from zatlas.data.stored import Stored, StoredRows, state_of
from zatlas.decoding.members import SUFFIXES
from zatlas.errors import ZatlasError, listed
from zatlas.files import look
from zatlas.parts import data_format

_LABELS = "_labels.npy"
_NUMBERED = re.compile(r"(.*?)(\d+)(?:-of-(\d+))?\.npy")
_NAMED, _MOST = 3, 1_000_000


def stored(path: Path) -> Stored:
    """One file of examples, its header read and held against its size.

    Raises:
        ZatlasError: it is damaged, cut short, no .npy, wants pickle, or holds no examples.
    """
    with path.open("rb") as opened:
        header = read_header(opened, str(path))
        check_layout(str(path), header.dtype, header.shape)
        offset, found = opened.tell(), os.fstat(opened.fileno())
        header.check_bytes(str(path), found.st_size - offset)
    return Stored(path, header, offset, state_of(found))


def is_shards(path: Path) -> bool:
    """Whether it is a folder that holds .npy files, itself or in folders that are splits, and no image and no other
    folder: a folder of photographs may hold an array as well."""
    if not path.is_dir():
        return False
    try:
        with os.scandir(path) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
        folders = [entry.name for entry in entries if entry.is_dir()]
    except OSError:  # links in a circle, no permission: whoever reads the folder says so
        return False
    if any(name.lower() not in SPLITS for name in folders) or any(e.name.lower().endswith(SUFFIXES) for e in entries):
        return False
    return any(next(_shards(path / name), None) for name in ("", *folders))


def _shards(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*.npy")):
        if not path.name.startswith(".") and not path.name.endswith(_LABELS):
            yield path


@data_format("shards", when="a folder of .npy files of one shape", order=0, takes=is_shards)
def open_shards(path: Path, *, name: str | None = None, labels: str | None = None) -> ArraySource:
    """The examples of all .npy files in a folder, in the order of their names, read when they are needed.

    Args:
        path: the folder. Folders train, test and validation (or val) in it are splits where it has a train folder.
        name: what to call it; None: the path.
        labels: a label file of all examples; None: ``NAME_labels.npy`` beside each ``NAME.npy``.

    Raises:
        ZatlasError: a shard is damaged or missing, or has another type or shape than the first.
    """
    name = name or str(path)
    parts = _in_splits(path)
    paths = [shard for shards in parts.values() for shard in shards]
    if gone := _missing(paths, certain=True):
        raise ZatlasError(f"{name}: {gone}: put it back, or rename the others.")
    files = [stored(shard) for shard in paths]
    first = files[0].header
    for file in files[1:]:
        if (file.header.dtype, file.header.shape[1:]) != (first.dtype, first.shape[1:]):
            raise ZatlasError(
                f"{name}: {file.path.name} holds {file.header.dtype} values {list(file.header.shape)} and "
                f"{files[0].path.name} {first.dtype} values {list(first.shape)}: give shards of one type and shape."
            )
    columns = next((file for file in files if file.header.fortran), None)
    if columns is not None and len(files) > 1:
        raise ZatlasError(
            f"{columns.path} is in Fortran order, in which no row lies in one piece: save it again with "
            "numpy.save(path, numpy.ascontiguousarray(x))."
        )
    counts = [file.header.shape[0] for file in files]
    y = read_label_file(labels) if labels is not None else _labels(name, paths, counts)
    x = StoredRows(files) if columns is None else map_npy(columns.path, columns.header, columns.offset)
    about = {"shards": f"{len(files):,}, {paths[0].name} to {paths[-1].name}"}
    if gone := _missing(paths, certain=False):
        about["missing"] = gone
    ends = np.cumsum([0, *(sum(counts[paths.index(shard)] for shard in shards) for shards in parts.values())])
    rows = {part: np.arange(ends[i], ends[i + 1]) for i, part in enumerate(parts)}
    if "train" in parts:
        about["splits"] = ", ".join(f"{len(found):,} {part}" for part, found in rows.items()) + ", by folder"
    return ArraySource(name, x, y, test_rows=rows.get("test"), validation_rows=rows.get("validation"), about=about)


def _in_splits(path: Path) -> dict[str, list[Path]]:
    """The shards of every split; all under "" where there are none."""
    found: dict[str, list[Path]] = {}
    own = list(_shards(path))
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        shards = list(_shards(folder))
        if shards:
            found.setdefault(SPLITS[folder.name.lower()], []).extend(shards)
    if not found:
        return {"": own}
    if own:
        raise ZatlasError(f"{path}: {own[0].name} lies beside the folders of the splits: move it into one of them.")
    if "train" not in found:
        return {"": [shard for shards in found.values() for shard in shards]}
    return {part: found[part] for part in ("train", "validation", "test") if part in found}


def _labels(name: str, paths: list[Path], counts: list[int]) -> npt.NDArray[Any] | None:
    """The labels that lie beside the shards."""
    beside = [path.with_name(f"{path.stem}{_LABELS}") for path in paths]
    there = [look(path) == "file" for path in beside]
    if not any(there):
        return None
    if not all(there):
        raise ZatlasError(f"{name}: {beside[there.index(False)].name} is missing, and other shards have labels.")
    found = [read_label_file(path) for path in beside]
    for path, values, count in zip(beside, found, counts, strict=True):
        if len(values) != count:
            raise ZatlasError(f"{path} holds {len(values):,} labels, and its shard {count:,} examples.")
    return np.concatenate(found)


def _missing(paths: list[Path], *, certain: bool) -> str | None:
    """The shards that are not there by their numbers: for certain where the names say how many there are, as
    ``x-00003-of-00010.npy``; otherwise as it seems, from gaps in the numbers that are fewer than the files."""
    series: dict[tuple[Path, str, int, str | None], set[int]] = {}
    for path in paths:
        if match := _NUMBERED.fullmatch(path.name):
            stem, number, of = match.groups()
            series.setdefault((path.parent, stem, len(number), of), set()).add(int(number))
    gone: list[str] = []
    for (_, stem, width, of), found in series.items():
        if certain != (of is not None):
            continue
        first = min(found) if of is None else 0 if 0 in found else 1
        count = max(found) - first + 1 if of is None else int(of)
        if certain or count < 2 * len(found):
            absent = sorted({*range(first, first + min(count, _MOST))} - found)
            gone += [f"{stem}{number:0{width}}{'' if of is None else f'-of-{of}'}.npy" for number in absent]
    if not gone:
        return None
    more = f" and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else ""
    return f"{listed(gone[:_NAMED])}{more} {'is' if len(gone) == 1 else 'are'} not there"
