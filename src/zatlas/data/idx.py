"""IDX files, the format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist), packed with gzip or not."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from zatlas.data.array import ArraySource, check_layout
from zatlas.data.content import check_room
from zatlas.data.labels import read_label_file
from zatlas.errors import ZatlasError, reading
from zatlas.files import fill, in_bytes, regular
from zatlas.parts import data_format

# The third byte of the magic number names the type, the fourth the number of dimensions; all is big-endian.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_RATIO = 1100  # deflate cannot pack tighter, so a header that claims more is false and memory is not asked for
_PARTS = ("train", "t10k")
_MEND = "fetch it again"


def _open(path: Path) -> tuple[IO[bytes], int]:
    """The unpacked stream, and the most bytes it can hold."""
    path = regular(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    if packed:
        return gzip.GzipFile(path, "rb"), size * _DEFLATE_RATIO  # type: ignore[return-value]
    return path.open("rb"), size


def _header(path: Path, file: IO[bytes], most: int) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 4:
        raise ZatlasError(f"{path} is not an IDX file: it begins with {magic.hex() or 'nothing'}.")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ZatlasError(f"{path} is cut short within its header: fetch it again.")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    dtype = np.dtype(_TYPES[magic[2]])
    if (promised := dtype.itemsize * prod(shape)) > most:
        raise ZatlasError(
            f"{path} is cut short: its header promises {list(shape)} values, and it is too small for these "
            f"{in_bytes(promised)}: fetch it again."
        )
    return dtype, shape


def read_idx(*paths: Path) -> npt.NDArray[Any]:
    """The array in an IDX file, or in several of them one after the other.

    The memory for all is taken once and each file is unpacked straight into it.

    Raises:
        ZatlasError: a file cannot be read, is no IDX file, is cut short, damaged or larger than memory, or does not
            fit the first.
    """
    with ExitStack() as stack:
        files = []
        for path in paths:
            with reading(str(path), _MEND):
                file, most = _open(path)
                stack.enter_context(file)
                files.append((path, file, *_header(path, file, most)))
        _, _, dtype, first = files[0]
        for path, _, other, shape in files:
            if other != dtype or shape[1:] != first[1:]:
                raise ZatlasError(f"{path} holds {list(shape)} values, which do not go with those of {paths[0]}.")
        whole = (sum(f[3][0] for f in files), *first[1:])
        check_room(dtype.itemsize * prod(whole), str(paths[0]), "save it as an .npy, which is read a piece at a time")
        x = np.empty(whole, dtype)
        start = 0
        for path, file, _, shape in files:
            with reading(str(path), _MEND):
                _fill(path, file, x[start : start + shape[0]])
            start += shape[0]
    return x.astype(dtype.newbyteorder("="), copy=False)


def _fill(path: Path, file: IO[bytes], part: npt.NDArray[Any]) -> None:
    view = part.reshape(-1).view(np.uint8).data
    if (filled := fill(file, view)) < len(view):
        raise ZatlasError(
            f"{path} is cut short: {filled:,} of {len(view):,} bytes of values are there; fetch it again."
        )
    if file.read(1):  # reading on also makes gzip check its sum
        raise ZatlasError(f"{path} goes on after its {len(view):,} bytes of values: fetch it again.")


def _find(folder: Path, part: str, what: str) -> Path | None:
    for suffix in ("", ".gz"):
        for joint in ("-", "."):  # both spellings are in use
            path = folder / f"{part}-{what}{joint}{'idx3' if what == 'images' else 'idx1'}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def is_idx_folder(folder: Path) -> bool:
    """Whether the images of MNIST or one of its relatives lie in the folder."""
    return any(_find(folder, part, "images") for part in _PARTS)


def is_whole(folder: Path) -> bool:
    """Whether train and test images and their labels are all there."""
    return all(_find(folder, part, what) for part in _PARTS for what in ("images", "labels"))


def is_idx(path: Path) -> bool:
    """Whether it is named as IDX files and their folders are."""
    if path.is_dir():
        return is_idx_folder(path)
    return path.suffix.lower() in (".gz", ".idx") or "idx" in path.name or "ubyte" in path.name


@data_format("idx", when="IDX files, as MNIST has them, or a folder of them", order=4, takes=is_idx)
def open_idx(
    path: Path, *, name: str | None = None, labels: str | None = None, label_names: Sequence[str] | None = None
) -> ArraySource:
    """Images and labels from one IDX file, or from a folder of train-... and t10k-... files.

    The rows of t10k come after those of train and are the test rows.

    Args:
        path: file or folder.
        name: what to call it; None: the path.
        labels: a label file; None: the one that belongs to the images, where there is one.
        label_names: names of the classes 0, 1, ...

    Raises:
        ZatlasError: a file is missing or damaged, or images and labels differ in number.
    """
    parts = [part for part in _PARTS if path.is_dir() and _find(path, part, "images")]
    images = [found for part in parts if (found := _find(path, part, "images"))] or [path]
    if path.is_dir():
        beside = [_find(path, part, "labels") for part in parts]
    else:
        own = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
        beside = [own if own != path and own.is_file() else None]
    if None in beside and any(beside):
        missing = ", ".join(part for part, label in zip(parts, beside, strict=True) if label is None)
        raise ZatlasError(f"{path}: the labels of {missing} are missing: fetch them or remove the others.")
    counts = []
    for image in images:
        dtype, shape = _peek(image)
        if len(shape) < 2:
            raise ZatlasError(f"{image} holds one value a row, so it is labels rather than images.")
        check_layout(str(image), dtype, shape)
        counts.append(shape[0])
    x = read_idx(*images)
    if labels is not None:
        y = read_idx(Path(labels)) if "idx" in Path(labels).name else read_label_file(labels)
    elif any(beside):
        y = read_idx(*[p for p in beside if p])
        for image, label, n in zip(images, beside, counts, strict=True):
            if label and (labelled := _peek(label)[1][0]) != n:
                raise ZatlasError(f"{label} holds {labelled:,} labels and {image} {n:,} images: fetch both again.")
    else:
        y = None
    test = np.arange(counts[0], len(x)) if len(counts) == 2 else None
    about = {"files": [p.name for p in [*images, *[b for b in beside if b]]]}
    return ArraySource(name or str(path), x, y, label_names=label_names, test_rows=test, about=about)


def _peek(path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    with reading(str(path), _MEND):
        file, most = _open(path)
        with file:
            return _header(path, file, most)
