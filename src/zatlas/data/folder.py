"""A folder, or a .zip, of image files; the folders they lie in are labels."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from zatlas.data.images import PIXEL_LIMIT, Geometry, Pair, as_text, plain
from zatlas.data.labels import Labels, make_labels, read_label_file
from zatlas.data.members import SUFFIXES, Archive, Folder, Members
from zatlas.data.source import Rows
from zatlas.data.whole import check_whole
from zatlas.errors import UsageError, ZatlasError, printable
from zatlas.types import DataSpec

LabelLevel = int | Literal["path"]

_LARGEST_BYTES = 512 << 20  # of a file: 50 million pixels of 64 bits are 400 MB
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_COLOUR_SAMPLE = 64
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # EXIF: a camera that was held upright swaps height and width
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, UnidentifiedImageError, zlib.error, zipfile.BadZipFile)

T = TypeVar("T")
R = TypeVar("R")


class _Header(NamedTuple):
    size: Pair
    grey: bool
    see_through: bool


class Unreadable(ZatlasError):
    """An image that cannot be used, and why."""

    def __init__(self, where: str, name: str, reason: str) -> None:
        super().__init__(f"{where}: {name} {reason}: mend or remove it, or go on without it (--skip-damaged).")
        self.reason = reason


def _map(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


class ImageFiles:
    """Images decoded when they are read, values "uint8".

    Args:
        name: what people call it.
        members: the files.
        geometry: what is done to every image. Without ``channels`` the images are RGB if any of 64 spread over them
            has colour.
        labels: a label file with one label a file in sorted order; None: the folders that the files lie in.
        label_level: which folder, counted from 1 for the top one below the folder that all files share; "path": all of
            them, as a path.
        skip_damaged: leave out what cannot be read, and say so in ``about["left_out"]``. Every image is then decoded
            once before it is known how many there are.

    Raises:
        ZatlasError: no image, an unreadable or oversized one, or images that end with different sizes.
        UsageError: a crop that is larger than an image, or a size that no image can have.
    """

    def __init__(
        self,
        name: str,
        members: Members,
        geometry: Geometry,
        labels: str | None = None,
        *,
        label_level: LabelLevel = 1,
        skip_damaged: bool = False,
    ) -> None:
        self.name = name
        self._members, self._geometry, self._fingerprint = members, geometry, ""
        self._left_out = {printable(path): reason for path, reason in members.left_out.items()}
        if not members.names:
            kept_out = "".join(
                f", and {path} is left out ({reason})" for path, reason in list(self._left_out.items())[:1]
            )
            raise ZatlasError(f"{name} holds no images ({' '.join(SUFFIXES)}){kept_out}: give the folder that does.")
        with warnings.catch_warnings():  # around the pool, as filters belong to the whole process
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # PIXEL_LIMIT is stricter
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # EXIF that a camera wrote badly
            headers = self._sift(members.names, self._header, skip_damaged)
            ends = self._ends([header.size for header in headers.values()])
            if skip_damaged:
                whole = self._sift(list(headers), self._check, skip_damaged)
                headers = {file: headers[file] for file in whole}
        self._names = list(headers)
        size = self._common_size([header.size for header in headers.values()], ends)
        self._channels = geometry.channels or (3 if self._any_colour(headers) else 1)
        self.about: dict[str, Any] = {"files": len(headers), "colour": "RGB" if self._channels == 3 else "grey"}
        self._labels = self._read_labels(labels, label_level)
        self.spec = DataSpec((self._channels, *size), "uint8", self._labels.kind, self._labels.names)
        self.factors: npt.NDArray[Any] | None = None
        self.factor_names: tuple[str, ...] = ()
        self.test_rows: Rows | None = None
        if len(ends) > 1:
            least, most = min(ends, key=lambda end: end[0] * end[1]), max(ends, key=lambda end: end[0] * end[1])
            self.about["shapes"] = f"{len(ends)}, from {as_text(least)} to {as_text(most)} pixels"
        self.about |= geometry.about()
        if any(header.see_through for header in headers.values()):
            self.about["transparency"] = "laid on white"
        if self._left_out:
            self.about["left_out"] = self._left_out

    def _sift(self, names: list[str], look: Callable[[str], R], skip_damaged: bool) -> dict[str, R]:
        """What ``look`` gives for each file, without those that it cannot use where they may be left out."""

        def tried(name: str) -> R | Unreadable:
            try:
                return look(name)
            except Unreadable as error:
                if not skip_damaged:
                    raise
                return error

        found = dict(zip(names, _map(tried, names), strict=True))
        kept = {name: seen for name, seen in found.items() if not isinstance(seen, Unreadable)}
        damaged = {name: seen.reason for name, seen in found.items() if isinstance(seen, Unreadable)}
        self._left_out |= {printable(name): reason for name, reason in damaged.items()}
        if not kept:
            name, reason = next(iter(damaged.items()))
            raise ZatlasError(f"{self.name}: none of {len(names):,} images can be read; {name} {reason}.")
        return kept

    def _read_labels(self, file: str | None, level: LabelLevel) -> Labels:
        if file is None:
            given, self.about["labels"] = folder_labels(self._names, level)
            if given is None:
                del self.about["labels"]
            return make_labels(given, len(self._names), self.name)
        given = read_label_file(Path(file))
        if len(given) == len(self._members.names):  # it has one for those that are left out, too
            kept = set(self._names)
            given = given[[name in kept for name in self._members.names]]
        return make_labels(given, len(self._names), self.name)

    def __len__(self) -> int:
        return len(self._names)

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        out = np.empty((len(rows), *self.spec.shape), np.uint8)

        def fill(pair: tuple[int, int]) -> None:
            place, row = pair
            image = self._geometry.apply(self._decode(self._names[row], self._channels))
            pixels = np.asarray(image).reshape(image.height, image.width, self._channels).transpose(2, 0, 1)
            if pixels.shape != self.spec.shape:
                raise ZatlasError(f"{self.name}: {self._names[row]} has changed its size since it was opened.")
            out[place] = pixels

        _map(fill, enumerate(rows.tolist()))
        return out

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        return None if self._labels.values is None else self._labels.values[rows]

    def fingerprint(self) -> str:
        """SHA-256 of names, file contents, labels and what is done to the images: decoding is left out for speed."""
        if not self._fingerprint:
            digest = hashlib.sha256(f"{self._geometry} {self.spec.to_json()}".encode())
            if self._labels.values is not None:
                digest.update(self._labels.values.tobytes())
            for name, content in zip(self._names, _map(self._hash, self._names), strict=True):
                digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + content)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def _hash(self, name: str) -> bytes:
        try:
            with self._members.open(name) as file:
                return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
        except _DAMAGE as error:
            raise Unreadable(self.name, name, f"cannot be read ({error})") from None

    def _header(self, name: str) -> _Header:
        try:
            with self._members.open(name) as file, Image.open(file, formats=_FORMATS) as image:
                size = (image.height, image.width)
                if size[0] * size[1] > PIXEL_LIMIT:
                    raise self._too_large(name)
                # PIL decodes a whole PNG to look for EXIF not met yet, bombs too, so only what is in the header counts.
                has_exif = image.format != "PNG" or "exif" in image.info
                size = size[::-1] if has_exif and image.getexif().get(_ORIENTATION) in _TURNED else size
                mode, clear = image.mode, "transparency" in image.info or "A" in image.getbands()
        except Image.DecompressionBombError:
            raise self._too_large(name) from None
        except UnidentifiedImageError:
            raise Unreadable(self.name, name, "is not an image that can be read") from None
        except _DAMAGE as error:
            raise Unreadable(self.name, name, f"cannot be read ({error})") from None
        if mode == "F":
            raise Unreadable(self.name, name, "holds floats of unknown range, which belong into an .npy")
        return _Header(size, mode in ("1", "L", "LA") or mode.startswith("I"), clear)

    def _too_large(self, name: str) -> Unreadable:
        return Unreadable(self.name, name, f"has more than {PIXEL_LIMIT:,} pixels")

    def _ends(self, sizes: list[Pair]) -> dict[Pair, Pair]:
        """What every size that there is becomes."""
        try:
            return {before: self._geometry.size(before) for before in dict.fromkeys(sizes)}
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from None

    def _common_size(self, sizes: list[Pair], ends: dict[Pair, Pair]) -> Pair:
        first = ends[sizes[0]]
        other = next((row for row, before in enumerate(sizes) if ends[before] != first), None)
        if other is not None:
            side = max(1, min(64, *(min(before) for before in ends)))
            raise ZatlasError(
                f"{self.name}: {self._names[0]} would have {as_text(first)} pixels and {self._names[other]} "
                f"{as_text(ends[sizes[other]])}: give --resize {side} (or another number), which makes of each the "
                "square at its centre, or a height and a width, as --resize 48x64, which distorts them."
            )
        return first

    def _any_colour(self, headers: dict[str, _Header]) -> bool:
        candidates = [name for name, header in headers.items() if not header.grey]
        for name in candidates[:: max(1, len(candidates) // _COLOUR_SAMPLE)]:
            pixels = np.asarray(self._decode(name, 3))
            if (pixels != pixels[:, :, :1]).any():
                return True
        return False

    def _check(self, name: str) -> None:
        self._decode(name, 3)

    def _decode(self, name: str, channels: int) -> Image.Image:
        try:
            with self._members.open(name) as file:
                if file.seek(0, os.SEEK_END) > _LARGEST_BYTES:
                    raise OSError(f"it has more than {_LARGEST_BYTES:,} bytes")
                file.seek(0)
                content = file.read()
            with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
                if opened.width * opened.height > PIXEL_LIMIT:
                    raise self._too_large(name)  # it has changed since it was opened
                opened.load()
                check_whole(content, opened)
                return plain(opened, channels)
        except _DAMAGE as error:
            raise Unreadable(self.name, name, f"is damaged ({error})") from None


def folder_labels(names: list[str], level: LabelLevel) -> tuple[npt.NDArray[Any] | None, str]:
    """The folder of every file below the one that all share, and in words which folder that is.

    Args:
        names: relative paths with ``/``.
        level: 1 for the top folder, 2 for the one below it, ...; "path" for all of them, as ``cats/black``. A file that
            does not lie so deep has the label ``.``.

    Returns:
        Labels ``[N]``, or None where all would have the same one.

    >>> folder_labels(["a/cat/day1/0.png", "a/cat/day2/0.png", "a/dog/0.png"], 1)
    (array(['cat', 'cat', 'dog'], dtype='<U3'), 'the top folder; 3 folders hold images: --label-level 2, or path')
    """
    parents = [PurePosixPath(name).parent for name in names]
    shared = PurePosixPath(os.path.commonpath([f"./{parent}" for parent in parents]))
    below = {parent: PurePosixPath("./", parent).relative_to(shared) for parent in set(parents)}
    if level == "path":
        called = {parent: path.as_posix() for parent, path in below.items()}
        said = "the whole path of the folder"
    else:
        called = {parent: (path.parts[level - 1 : level] or (".",))[0] for parent, path in below.items()}
        said = "the top folder" if level == 1 else f"the folder at level {level}"
    if len(set(called.values())) < len(below):
        said += f"; {len(below)} folders hold images: --label-level {2 if level == 1 else 1}, or path"
    labels = [printable(called[parent]) for parent in parents]
    return (np.array(labels) if len(set(labels)) > 1 else None), said


def open_images(
    path: Path,
    *,
    name: str,
    labels: str | None = None,
    label_level: LabelLevel = 1,
    skip_damaged: bool = False,
    geometry: Geometry,
) -> ImageFiles:
    """The images in a folder and the folders below it, or in a .zip."""
    members = Folder(path) if path.is_dir() else Archive(path)
    return ImageFiles(name, members, geometry, labels, label_level=label_level, skip_damaged=skip_damaged)
