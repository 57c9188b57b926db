"""A folder, or a .zip, of image files; nested folders are labels."""

from __future__ import annotations

import hashlib
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from zatlas.data.images import PIXEL_LIMIT, Geometry, Pair, plain
from zatlas.data.labels import make_labels, read_label_file
from zatlas.data.members import SUFFIXES, Archive, Folder, Members
from zatlas.data.source import Rows
from zatlas.errors import UsageError, ZatlasError
from zatlas.types import DataSpec

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
        labels: a label file with one label a file in sorted order; None: the folder below the one that all share.

    Raises:
        ZatlasError: no image, an unreadable or oversized one, or images that end with different sizes.
    """

    def __init__(self, name: str, members: Members, geometry: Geometry, labels: str | None = None) -> None:
        self.name = name
        self._members, self._geometry, self._fingerprint = members, geometry, ""
        if not members.names:
            raise ZatlasError(f"{name} holds no images ({' '.join(SUFFIXES)}): give the folder that does.")
        with warnings.catch_warnings():  # around the pool, as filters belong to the whole process
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # PIXEL_LIMIT is stricter
            headers = _map(self._header, members.names)
        size = self._common_size([header.size for header in headers])
        self._channels = geometry.channels or (3 if self._any_colour(headers) else 1)
        given = _folder_labels(members.names) if labels is None else read_label_file(labels)
        self._labels = make_labels(given, len(members.names), name)
        self.spec = DataSpec((self._channels, *size), "uint8", self._labels.kind, self._labels.names)
        self.factors: npt.NDArray[Any] | None = None
        self.factor_names: tuple[str, ...] = ()
        self.test_rows: Rows | None = None
        self.about = {"files": len(headers), "colour": "RGB" if self._channels == 3 else "grey"} | geometry.about()
        if members.ignored:
            self.about["ignored"] = f"{members.ignored} that lie outside"
        if any(header.see_through for header in headers):
            self.about["transparency"] = "laid on white"

    def __len__(self) -> int:
        return len(self._members.names)

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        out = np.empty((len(rows), *self.spec.shape), np.uint8)

        def fill(pair: tuple[int, int]) -> None:
            place, row = pair
            image = self._geometry.apply(self._decode(self._members.names[row], self._channels))
            pixels = np.asarray(image).reshape(image.height, image.width, self._channels).transpose(2, 0, 1)
            if pixels.shape != self.spec.shape:
                raise ZatlasError(f"{self.name}: {self._members.names[row]} has changed its size since it was opened.")
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
            for name, content in zip(self._members.names, _map(self._hash, self._members.names), strict=True):
                digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + content)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def _hash(self, name: str) -> bytes:
        try:
            with self._members.open(name) as file:
                return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
        except _DAMAGE as error:
            raise ZatlasError(f"{self.name}: {name} cannot be read ({error}): mend or remove it.") from None

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
            raise ZatlasError(f"{self.name}: {name} is not an image that can be read: mend or remove it.") from None
        except _DAMAGE as error:
            raise ZatlasError(f"{self.name}: {name} cannot be read ({error}): mend or remove it.") from None
        if mode == "F":
            raise ZatlasError(f"{self.name}: {name} holds floats of unknown range: save them in an .npy instead.")
        return _Header(size, mode in ("1", "L", "LA") or mode.startswith("I"), clear)

    def _too_large(self, name: str) -> ZatlasError:
        return ZatlasError(f"{self.name}: {name} has more than {PIXEL_LIMIT:,} pixels: shrink or remove it.")

    def _common_size(self, sizes: list[Pair]) -> Pair:
        try:
            ends = {before: self._geometry.size(before) for before in dict.fromkeys(sizes)}
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from None
        first = sizes[0]
        for row, before in enumerate(sizes):
            if ends[before] != ends[first]:
                one, other = self._members.names[0], self._members.names[row]
                mend = "resize to a height and a width" if self._geometry.resize is None else "also crop"
                raise ZatlasError(
                    f"{self.name}: {one} would have {ends[first][0]}x{ends[first][1]} pixels and {other} "
                    f"{ends[before][0]}x{ends[before][1]}: {mend} to make them alike (--resize, --crop)."
                )
        return ends[first]

    def _any_colour(self, headers: list[_Header]) -> bool:
        candidates = [row for row, header in enumerate(headers) if not header.grey]
        sample = candidates[:: max(1, len(candidates) // _COLOUR_SAMPLE)]
        for row in sample:
            pixels = np.asarray(self._decode(self._members.names[row], 3))
            if (pixels != pixels[:, :, :1]).any():
                return True
        return False

    def _decode(self, name: str, channels: int) -> Image.Image:
        try:
            with self._members.open(name) as file, Image.open(file, formats=_FORMATS) as opened:
                if opened.width * opened.height > PIXEL_LIMIT:
                    raise self._too_large(name)  # it has changed since it was opened
                return plain(opened, channels)
        except _DAMAGE as error:
            raise ZatlasError(f"{self.name}: {name} is damaged ({error}): mend or remove it.") from None


def _folder_labels(names: list[str]) -> npt.NDArray[Any] | None:
    """The folder of every file below the folder that all share, or None where there is only that one."""
    parents = [PurePosixPath(name).parent for name in names]
    shared = PurePosixPath(os.path.commonpath([f"./{parent}" for parent in parents]))
    labels = [PurePosixPath("./", parent).relative_to(shared).as_posix() for parent in parents]
    return np.array(labels) if len(set(labels)) > 1 else None


def open_folder(root: Path, *, name: str | None = None, labels: str | None = None, geometry: Geometry) -> ImageFiles:
    """The images in a folder and the folders below it."""
    return ImageFiles(name or str(root), Folder(root), geometry, labels)


def open_zip(path: Path, *, name: str | None = None, labels: str | None = None, geometry: Geometry) -> ImageFiles:
    """The images in a .zip."""
    return ImageFiles(name or str(path), Archive(path), geometry, labels)
