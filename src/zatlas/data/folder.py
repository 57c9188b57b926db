"""A folder, or a .zip, of image files; the folders they lie in are splits and labels."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
from PIL import features

from zatlas.console import counting
from zatlas.data.idx import is_idx_folder
from zatlas.data.labels import Labels, make_labels, read_label_file
from zatlas.data.source import Rows
from zatlas.data.splits import SPLITS
from zatlas.decoding.files import Look, Unusable, decode, pixels
from zatlas.decoding.geometry import Geometry, Pair, as_text
from zatlas.decoding.kept import Damaged, Kept, Pixels, rows_a_piece
from zatlas.decoding.members import SUFFIXES, Members, open_members
from zatlas.decoding.pool import Spoilt, decode_into, look_at, quiet
from zatlas.errors import UsageError, ZatlasError, printable
from zatlas.parts import data_format
from zatlas.types import DataSpec

LabelLevel = int | Literal["path"]

KEPT_FILES, KEPT_BYTES = 500, 8 << 20  # fewer and smaller are decoded in less than half a second
_COLOUR_SAMPLE = 64
T = TypeVar("T")
R = TypeVar("R")


class Unreadable(ZatlasError):
    """An image that cannot be used, and why."""

    def __init__(self, where: str, name: str, reason: str) -> None:
        super().__init__(f"{where}: {name} {reason}: mend or remove it, or go on without it (--skip-damaged).")
        self.reason = reason


def _map(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


class ImageFiles:
    """Images of files, values "uint8". Many or large ones are decoded once, on all cores, and kept in the user's cache.

    Args:
        name: what people call it.
        members: the files.
        geometry: what is done to every image. Without ``channels`` the images are RGB if any of 64 spread over them
            has colour.
        labels: a label file with one label a file in sorted order; None: the folders that the files lie in.
        label_level: which folder, counted from 1 for the top one below the folder that all files share (and below the
            folders that are splits); "path": all of them, as a path.
        skip_damaged: leave out what cannot be read, and say so in ``about["left_out"]``. Every image is then decoded
            once before it is known how many there are.
        split_folders: whether top folders called train, test and validation (or val) are splits. They are where there
            is a train folder and no top folder of another name, as a class may be called train, too.
        kept: where decoded images are kept; None: in the user's cache.

    Attributes:
        names: of the files, relative, with ``/``.

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
        split_folders: bool = True,
        kept: Kept | None = None,
    ) -> None:
        self.name = name
        self._members, self._geometry, self._fingerprint = members, geometry, ""
        self._kept, self._asked, self._refused = kept or Kept(), 0, False
        self._pixels: Pixels | None = None
        seen = self._seen(thorough=skip_damaged)
        self._left_out = {printable(path): reason for path, reason in seen["left_out"].items()}
        if not seen["names"]:
            kept_out = "".join(
                f", and {path} is left out ({reason})" for path, reason in list(self._left_out.items())[:1]
            )
            raise ZatlasError(f"{name} holds no images ({' '.join(SUFFIXES)}){kept_out}: give the folder that does.")
        self._all_names: list[str] = seen["names"]
        looks = self._sift(seen["names"], seen["looks"], skip_damaged)
        self.names = list(looks)
        self._digests = [look.digest for look in looks.values()]
        sizes = [(look.height, look.width) for look in looks.values()]
        ends = self._ends(sizes)
        size = self._common_size(sizes, ends)
        self._channels = geometry.channels or (3 if self._any_colour(looks) else 1)
        self.about: dict[str, Any] = {"files": len(looks), "colour": "RGB" if self._channels == 3 else "grey"}
        parts = split_of(self.names) if split_folders else None
        self.test_rows, self.validation_rows = self._read_splits(parts)
        self._labels = self._read_labels(labels, label_level, parts)
        self.spec = DataSpec((self._channels, *size), "uint8", self._labels.kind, self._labels.names)
        self.factors: npt.NDArray[Any] | None = None
        self.factor_names: tuple[str, ...] = ()
        if len(ends) > 1:
            least, most = min(ends, key=lambda end: end[0] * end[1]), max(ends, key=lambda end: end[0] * end[1])
            self.about["shapes"] = f"{len(ends)}, from {as_text(least)} to {as_text(most)} pixels"
        self.about |= geometry.about()
        if any(look.see_through for look in looks.values()):
            self.about["transparency"] = "laid on white"
        if self._left_out:
            self.about["left_out"] = self._left_out

    # what there is ----------------------------------------------------------------------------------------------------

    def _seen(self, *, thorough: bool) -> dict[str, Any]:
        """Names, what is left out, and of every file its look or the reason why it has none: as kept, or seen now."""
        stamp, listed = hashlib.sha256(f"{self._members.stamp} {_VERSIONS} {thorough}".encode()).hexdigest(), _now()
        record = self._kept.seen(stamp)
        if record is None:
            names, left_out = self._members.listing()
            with counting("looking at images", len(names)) as told:
                looks = look_at(self._members, names, thorough=thorough, told=told)
            record = {"names": names, "left_out": left_out, "looks": looks}
            if self._worth_keeping(len(names)):
                self._kept.keep_seen(stamp, self._members.newest_ns, listed, record)
        return record

    def _worth_keeping(self, files: int) -> bool:
        return files >= KEPT_FILES or self._members.nbytes >= KEPT_BYTES

    def _sift(self, names: list[str], seen: list[Any], skip_damaged: bool) -> dict[str, Look]:
        """What was seen of each file, without those that cannot be used where they may be left out."""
        damaged = {name: look for name, look in zip(names, seen, strict=True) if isinstance(look, str)}
        if damaged:
            name, reason = next(iter(damaged.items()))
            if not skip_damaged:
                raise Unreadable(self.name, name, reason)
            if len(damaged) == len(names):
                raise ZatlasError(f"{self.name}: none of {len(names):,} images can be read; {name} {reason}.")
        self._left_out |= {printable(name): reason for name, reason in damaged.items()}
        return {name: Look(*look) for name, look in zip(names, seen, strict=True) if not isinstance(look, str)}

    def _read_splits(self, parts: list[str] | None) -> tuple[Rows | None, Rows | None]:
        """Test and validation rows."""
        if parts is None:
            return None, None
        rows = {part: np.flatnonzero(np.array(parts) == part) for part in ("train", "validation", "test")}
        counts = ", ".join(f"{len(found):,} {part}" for part, found in rows.items() if len(found))
        self.about["splits"] = f"{counts}, by folder"
        return tuple(rows[part] if len(rows[part]) else None for part in ("test", "validation"))  # type: ignore[return-value]

    def _read_labels(self, file: str | None, level: LabelLevel, parts: list[str] | None) -> Labels:
        if file is None:
            below = self.names if parts is None else [_below_split(name, self._shared) for name in self.names]
            given, self.about["labels"] = folder_labels(below, level)
            if given is None:
                del self.about["labels"]
            return make_labels(given, len(self.names), self.name)
        given = read_label_file(Path(file))
        if len(given) == len(self._all_names):  # it has one for those that are left out, too
            kept = set(self.names)
            given = given[[name in kept for name in self._all_names]]
        return make_labels(given, len(self.names), self.name)

    @cached_property
    def _shared(self) -> int:
        return shared_depth(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        return None if self._labels.values is None else self._labels.values[rows]

    def fingerprint(self) -> str:
        """SHA-256 of names, file contents, labels and what is done to the images: decoding is left out for speed."""
        if not self._fingerprint:
            digest = hashlib.sha256(f"{self._geometry} {self.spec.to_json()}".encode())
            if self._labels.values is not None:
                digest.update(self._labels.values.tobytes())
            for name, content in zip(self.names, self._digests, strict=True):
                digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(content))
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    # pixels -----------------------------------------------------------------------------------------------------------

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        self._asked += len(rows)
        for _ in range(2):
            found = self._kept_pixels()
            if found is None:
                break
            with suppress(Damaged):
                return found.take(rows)
            self._kept.discard(self._key)
            self._pixels = None
        return self._decoded(rows)

    def _kept_pixels(self) -> Pixels | None:
        """The decoded images, if they are kept, or now that an eighth of them has been asked for."""
        if self._pixels is None and not self._refused and self._worth_keeping(len(self)):
            self._pixels = self._kept.pixels(self._key)
            if self._pixels is None and self._asked >= len(self) // 8:
                shape = (len(self), *self.spec.shape)
                about = {"name": printable(self.name), "root": printable(os.path.abspath(self._members.root))}
                try:
                    self._pixels = self._kept.fill(self._key, shape, about, self._fill)
                except Spoilt as error:
                    raise Unreadable(self.name, error.name, error.reason) from None
                self._refused = self._pixels is None
        return self._pixels

    @cached_property
    def _key(self) -> str:
        """Of the contents and of what is done to them, with the versions of what decodes."""
        how = [_VERSIONS, self._geometry.resize, self._geometry.crop, self.spec.shape]
        digest = hashlib.sha256(json.dumps(how).encode())
        for content in self._digests:
            digest.update(bytes.fromhex(content))
        return digest.hexdigest()

    def _fill(self, out: Path) -> list[int]:
        shape = self.spec.shape
        with counting("decoding images", len(self)) as told:
            return decode_into(
                out, self._members, self.names, self._digests, self._geometry, shape, rows_a_piece(shape), told
            )

    def _decoded(self, rows: Rows) -> npt.NDArray[Any]:
        """Some rows, decoded now."""
        out = np.empty((len(rows), *self.spec.shape), np.uint8)

        def fill(pair: tuple[int, int]) -> None:
            place, row = pair
            name = self.names[row]
            try:
                out[place] = pixels(
                    self._members, name, self._geometry, self._channels, self.spec.shape, self._digests[row]
                )
            except Unusable as error:
                raise Unreadable(self.name, name, str(error)) from None

        with quiet():
            _map(fill, enumerate(rows.tolist()))
        return out

    # sizes and colours ------------------------------------------------------------------------------------------------

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
                f"{self.name}: {self.names[0]} would have {as_text(first)} pixels and {self.names[other]} "
                f"{as_text(ends[sizes[other]])}: give --resize {side} (or another number), which makes of each the "
                "square at its centre, or a height and a width, as --resize 48x64, which distorts them."
            )
        return first

    def _any_colour(self, looks: dict[str, Look]) -> bool:
        candidates = [name for name, look in looks.items() if not look.grey]
        for name in candidates[:: max(1, len(candidates) // _COLOUR_SAMPLE)]:
            try:
                values = np.asarray(decode(self._members, name, 3))
            except Unusable as error:
                raise Unreadable(self.name, name, str(error)) from None
            if (values != values[:, :, :1]).any():
                return True
        return False


_VERSIONS = f"1 {PIL.__version__} {features.version('jpg')} {features.version('webp')} {features.version('libtiff')}"


def _now() -> int:
    return time.time_ns()


def shared_depth(names: list[str]) -> int:
    """How many folders from the top all files share.

    >>> shared_depth(["a/b/0.png", "a/c/0.png"])
    1
    """
    parents = {name.rpartition("/")[0] for name in names}
    shared = os.path.commonpath([f"./{parent}" for parent in parents])
    return len(PurePosixPath(shared).parts)


def _below_split(name: str, depth: int) -> str:
    parts = name.split("/")
    return "/".join(parts[depth + 1 :])


def split_of(names: list[str]) -> list[str] | None:
    """The split of every file, by the top folder below the one that all share; None where those are no splits.

    >>> split_of(["a/train/cat/0.png", "a/Val/cat/1.png", "a/test/2.png"])
    ['train', 'validation', 'test']
    >>> split_of(["bus/0.png", "train/1.png"]) is None  # a class may be called train
    True
    """
    depth, parents = shared_depth(names), [name.rpartition("/")[0] for name in names]
    known = {parent: SPLITS.get(("/".join(parent.split("/")[depth : depth + 1])).lower()) for parent in set(parents)}
    if None in known.values() or len(set(known.values())) < 2 or "train" not in known.values():
        return None
    return [str(known[parent]) for parent in parents]


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
    parents = [name.rpartition("/")[0] for name in names]
    depth = shared_depth(names)
    below = {parent: PurePosixPath(parent).parts[depth:] for parent in dict.fromkeys(parents)}
    if level == "path":
        called = {parent: "/".join(parts) or "." for parent, parts in below.items()}
        said = "the whole path of the folder"
    else:
        called = {parent: (parts[level - 1 : level] or (".",))[0] for parent, parts in below.items()}
        said = "the top folder" if level == 1 else f"the folder at level {level}"
    if len(set(called.values())) < len(below):
        said += f"; {len(below)} folders hold images: --label-level {2 if level == 1 else 1}, or path"
    labels = [printable(called[parent]) for parent in parents]
    return (np.array(labels) if len(set(labels)) > 1 else None), said


def is_images(path: Path) -> bool:
    """Whether it is an image, a .zip or a folder, IDX files apart."""
    if path.is_dir():
        return not is_idx_folder(path)
    return path.suffix.lower() in (".zip", *SUFFIXES)


@data_format("images", when="a folder or a .zip of images, or one image", order=1, takes=is_images, of_images=True)
def open_images(
    path: Path,
    *,
    name: str,
    labels: str | None = None,
    label_level: LabelLevel = 1,
    skip_damaged: bool = False,
    split_folders: bool = True,
    geometry: Geometry,
) -> ImageFiles:
    """The images in a folder and the folders below it, in a .zip, or a single one."""
    return ImageFiles(
        name,
        open_members(path),
        geometry,
        labels,
        label_level=label_level,
        skip_damaged=skip_damaged,
        split_folders=split_folders,
    )
