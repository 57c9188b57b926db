"""The image files of a folder or of a .zip, listed safely and in a fixed order."""

from __future__ import annotations

import io
import os
import stat
import threading
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from zatlas.data.content import fill
from zatlas.errors import ZatlasError, reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_MEMBER_BYTES = 256 << 20  # of one unpacked file in an archive
_MEMBER_RATIO = 300  # unpacked by packed size; images are packed already, so more is a bomb
_SMALL_BYTES = 1 << 20  # below this no ratio can do harm: a blank image packs very well


_OUTSIDE = "it leads outside"
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}


class Members(Protocol):
    """Image files by their sorted relative names; ``left_out`` says of others why no image is looked for in them."""

    root: str
    names: list[str]
    left_out: dict[str, str]

    def open(self, name: str) -> IO[bytes]: ...


def _is_image(name: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in name.parts)
    return name.suffix.lower() in SUFFIXES and not hidden


def kind_of(mode: int) -> str | None:
    """What a file is that is neither a regular one nor a folder: reading it could wait for ever."""
    return _KINDS.get(stat.S_IFMT(mode))


class Folder:
    """A folder and those below it. Links are followed to files within the folder only, hidden files are passed over.

    Raises:
        ZatlasError: the folder cannot be read, or a link in a circle, a pipe or the like has the name of an image.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.names, self.left_out = str(root), [], {}
        self._path = root
        real = root.resolve()

        def refuse(error: OSError) -> None:
            raise ZatlasError(f"{error.filename} cannot be read: {error.strerror}.") from None

        for parent, folders, files in os.walk(root, onerror=refuse, followlinks=False):
            folders[:] = [f for f in folders if not f.startswith(".")]
            for folder in folders:
                if (link := Path(parent, folder)).is_symlink():
                    self.left_out[link.relative_to(root).as_posix()] = "a link to a folder"
            for file in files:
                path = Path(parent, file)
                relative = path.relative_to(root)
                if not _is_image(PurePosixPath(relative.as_posix())):
                    continue
                if reason := _kept_out(path, real):
                    self.left_out[relative.as_posix()] = reason
                else:
                    self.names.append(relative.as_posix())
        self.names.sort()

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


def _kept_out(path: Path, real: Path) -> str | None:
    """Why a file is not one of the images of the folder ``real``; a link that leads nowhere is one, and damaged."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        if not Path(os.path.realpath(path)).is_relative_to(real):
            return _OUTSIDE
        try:
            mode = path.stat().st_mode
        except OSError:
            return None
    return kind_of(mode)


class Archive:
    """A .zip, read in place: nothing is unpacked to disk, so no name in it can lead anywhere.

    Raises:
        ZatlasError: no .zip, or a damaged one. A member that is damaged, encrypted or far larger than its packed size
            warrants is an OSError where it is opened.
    """

    def __init__(self, path: Path) -> None:
        self.root, self.names, self.left_out = str(path), [], {}
        self._lock, self._refused = threading.Lock(), dict[str, str]()
        with reading(str(path), "it is damaged or of another kind, so pack it again or give a folder"):
            self._zip = zipfile.ZipFile(path)
        for info in self._zip.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if not _is_image(name) or info.is_dir():
                continue
            if name.is_absolute() or ".." in name.parts:
                self.left_out[info.filename] = _OUTSIDE
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                self.left_out[info.filename] = "a link"
                continue
            ratio = info.file_size / max(info.compress_size, 1)
            if info.flag_bits & 1:
                self._refused[info.filename] = "it is encrypted"
            elif info.file_size > _MEMBER_BYTES or (info.file_size > _SMALL_BYTES and ratio > _MEMBER_RATIO):
                self._refused[info.filename] = f"it unpacks to {info.file_size:,} bytes, which is no honest image"
            self.names.append(info.filename)
        self.names.sort()

    def open(self, name: str) -> IO[bytes]:
        if name in self._refused:
            raise OSError(self._refused[name])
        try:
            with self._lock:  # ZipFile counts its open members without one, and two threads can miscount
                info = self._zip.getinfo(name)
                with self._zip.open(info) as file:  # not read(), which unpacks all that a false header hides
                    content = bytearray(info.file_size)
                    del content[fill(file, memoryview(content).cast("B"), step_bytes(info)) :]
                    return io.BytesIO(content)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # zlib, lzma, struct and zipfile each raise their own on damage
            raise OSError(str(error)) from None


def step_bytes(info: zipfile.ZipInfo) -> int:
    """How many bytes of a member to ask for at a time.

    Asked for n bytes, zipfile hands lzma and bzip2 the next n packed ones (at least 4096) and keeps all that becomes of
    them, which can be several thousand times as much.
    """
    return 1 << 20 if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else 4096
