"""The image files of a folder or of a .zip, or a single one, listed safely and in a fixed order."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
import weakref
import zipfile
import zlib
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from zatlas.errors import UsageError, ZatlasError, reading
from zatlas.files import fill

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_MEMBER_BYTES = 256 << 20  # of one unpacked file in an archive
_MEMBER_RATIO = 300  # unpacked by packed size; images are packed already, so more is a bomb
_SMALL_BYTES = 1 << 20  # below this no ratio can do harm: a blank image packs very well


_OUTSIDE = "it leads outside"
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}


class Listing(NamedTuple):
    """Image files by their sorted relative names; ``left_out`` says of others why no image is looked for in them."""

    names: list[str]
    left_out: dict[str, str]


class Members(Protocol):
    """Where image files lie.

    Attributes:
        root: the path.
        stamp: SHA-256 (hex) of where they are and of what the file system says of them: names, sizes, inodes, times
            of change. The same stamp means the same contents, where ``newest_ns`` is not too near to when it was taken.
        newest_ns: the latest change, in nanoseconds since 1970.
        nbytes: of all files together, as they lie on the disk.
    """

    root: str
    stamp: str
    newest_ns: int
    nbytes: int

    def listing(self) -> Listing: ...

    def open(self, name: str) -> IO[bytes]: ...


def is_image_name(name: str) -> bool:
    """Whether a relative name with ``/`` is one of an image, and nothing in it is hidden."""
    if not name.lower().endswith(SUFFIXES):
        return False
    if "/." not in f"/{name}" and "/__MACOSX" not in f"/{name}":  # of 60,000 names this is worth a second
        return True
    return not any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in name.split("/"))


def kind_of(mode: int) -> str | None:
    """What a file is that is neither a regular one nor a folder: reading it could wait for ever."""
    return _KINDS.get(stat.S_IFMT(mode))


def open_members(path: Path) -> Members:
    """The images at a path: a folder, a .zip, or one image file."""
    if path.is_dir():
        return Folder(path)
    return Archive(path) if path.suffix.lower() == ".zip" else Single(path)


def _stamp(root: str, files: list[tuple[str, os.stat_result]]) -> tuple[str, int, int]:
    """Stamp, latest change and bytes; the time of the last change of an inode cannot be set, that of its contents can.

    A file that was written twice in quick succession may have one time for both, which ``newest_ns`` tells of.
    """
    digest = hashlib.sha256(os.path.realpath(root).encode("utf-8", "surrogateescape"))
    newest = nbytes = 0
    for name, s in files:
        said = f"\0{name}\0{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino} {s.st_dev}"
        digest.update(said.encode("utf-8", "surrogateescape"))
        newest, nbytes = max(newest, s.st_mtime_ns, s.st_ctime_ns), nbytes + s.st_size
    return digest.hexdigest(), newest, nbytes


class Folder:
    """A folder and those below it. Links are followed to files within the folder only, hidden files are passed over.

    Args:
        root: the folder.
        listed: whether to list it, which a process that is told the names does not need.

    Raises:
        ZatlasError: the folder cannot be read, or a link in a circle, a pipe or the like has the name of an image.
    """

    def __init__(self, root: Path, *, listed: bool = True) -> None:
        self.root = str(root)
        self._left_out: dict[str, str] = {}
        self._files: list[tuple[str, os.stat_result]] = []
        if listed:
            self._walk(self.root, "", os.path.realpath(root))
            self._files.sort(key=lambda file: file[0])
        self.stamp, self.newest_ns, self.nbytes = _stamp(self.root, self._files)

    def _walk(self, folder: str, below: str, real: str) -> None:
        pending = [(folder, below)]
        while pending:
            folder, below = pending.pop()
            try:
                with os.scandir(folder) as found:
                    entries = list(found)
            except OSError as error:
                raise ZatlasError(f"{error.filename} cannot be read: {error.strerror}.") from None
            for entry in entries:
                name = below + entry.name
                if _is_folder(entry):
                    if entry.name.startswith("."):
                        continue
                    if entry.is_symlink():
                        self._left_out[name] = "a link to a folder"
                    else:
                        pending.append((entry.path, f"{name}/"))
                elif is_image_name(name):
                    self._take(entry, name, real)

    def _take(self, entry: os.DirEntry[str], name: str, real: str) -> None:
        """Lists a file, or says why it is none of the images of the folder ``real``; a link that leads nowhere is one,
        and damaged."""
        try:
            state = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # gone since the folder was listed
            return
        if stat.S_ISLNK(state.st_mode):
            if not Path(os.path.realpath(entry.path)).is_relative_to(real):
                self._left_out[name] = _OUTSIDE
                return
            with suppress(OSError):
                state = entry.stat()
        if kind := kind_of(state.st_mode):
            self._left_out[name] = kind
        else:
            self._files.append((name, state))

    def listing(self) -> Listing:
        return Listing([name for name, _ in self._files], self._left_out)

    def open(self, name: str) -> IO[bytes]:
        return open(f"{self.root}/{name}", "rb")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


class Single:
    """One image file."""

    def __init__(self, path: Path) -> None:
        self.root, self._path = str(path), path
        self.stamp, self.newest_ns, self.nbytes = _stamp(self.root, [(path.name, path.stat())])

    def listing(self) -> Listing:
        return Listing([self._path.name], {})

    def open(self, name: str) -> IO[bytes]:
        return self._path.open("rb")


class Place(NamedTuple):
    """Where a member of an archive lies, stored or deflated: all that it takes to read it."""

    offset: int
    packed: int
    nbytes: int
    deflated: bool
    crc: int


class Archive:
    """A .zip, read in place: nothing is unpacked to disk, so no name in it can lead anywhere.

    Its directory is read when it is asked for, as that of 60,000 members takes a second; what is stored or deflated is
    read by :class:`Place`, in a quarter of the time that ``zipfile`` takes for a small member.

    Args:
        path: the archive.
        places: of the members that are already known.

    Raises:
        ZatlasError: no .zip, or a damaged one. A member that is damaged, encrypted or far larger than its packed size
            warrants is an OSError where it is opened.
    """

    def __init__(self, path: Path, places: dict[str, Place] | None = None) -> None:
        self.root, self._path = str(path), path
        self.places = {} if places is None else places
        self._lock, self._refused = threading.Lock(), dict[str, str]()
        self.stamp, self.newest_ns, self.nbytes = _stamp(self.root, [("", path.stat())])

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        with reading(self.root, "it is damaged or of another kind, so pack it again or give a folder"):
            return zipfile.ZipFile(self._path)

    @cached_property
    def _listing(self) -> Listing:
        names, left_out = [], {}
        for info in self._zip.infolist():
            name = info.filename.replace("\\", "/")
            if info.is_dir() or not is_image_name(name):
                continue
            if name.startswith("/") or ".." in name.split("/"):
                left_out[info.filename] = _OUTSIDE
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                left_out[info.filename] = "a link"
                continue
            ratio = info.file_size / max(info.compress_size, 1)
            if info.flag_bits & 1:
                self._refused[info.filename] = "it is encrypted"
            elif info.file_size > _MEMBER_BYTES or (info.file_size > _SMALL_BYTES and ratio > _MEMBER_RATIO):
                self._refused[info.filename] = f"it unpacks to {info.file_size:,} bytes, which is no honest image"
            elif info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                deflated = info.compress_type == zipfile.ZIP_DEFLATED
                self.places[info.filename] = Place(
                    info.header_offset, info.compress_size, info.file_size, deflated, info.CRC
                )
            names.append(info.filename)
        names.sort()
        return Listing(names, left_out)

    def listing(self) -> Listing:
        with self._lock:
            return self._listing

    @cached_property
    def _file(self) -> int:
        file = os.open(self._path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        weakref.finalize(self, os.close, file)
        return file

    def open(self, name: str) -> IO[bytes]:
        if name in self.places:
            return io.BytesIO(_unpacked(self._file, self.places[name]))
        with self._lock:  # ZipFile counts its open members without one, and two threads can miscount
            _ = self._listing  # which fills self._refused
            if name in self._refused:
                raise OSError(self._refused[name])
            try:
                info = self._zip.getinfo(name)
                with self._zip.open(info) as file:  # not read(), which unpacks all that a false header hides
                    content = bytearray(info.file_size)
                    del content[fill(file, memoryview(content).cast("B"), step_bytes(info)) :]
                    return io.BytesIO(content)
            except (OSError, MemoryError, UsageError):
                raise
            except Exception as error:  # zlib, lzma, struct and zipfile each raise their own on damage
                raise OSError(str(error)) from None


def _unpacked(file: int, place: Place) -> bytes:
    """The content of a member.

    Raises:
        OSError: it is damaged.
    """
    header = os.pread(file, 30, place.offset)
    if not header.startswith(b"PK\3\4") or len(header) < 30:
        raise OSError("it is not where the directory says")
    skipped = 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    content = os.pread(file, place.packed, place.offset + skipped)
    if len(content) < place.packed:
        raise OSError("it is cut short")
    if place.deflated:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = unpacking.decompress(content, place.nbytes + 1)
        except zlib.error as error:
            raise OSError(str(error)) from None
    if len(content) != place.nbytes or zlib.crc32(content) != place.crc:
        raise OSError("its checksum does not match")
    return content


def step_bytes(info: zipfile.ZipInfo) -> int:
    """How many bytes of a member to ask for at a time.

    Asked for n bytes, zipfile hands lzma and bzip2 the next n packed ones (at least 4096) and keeps all that becomes of
    them, which can be several thousand times as much.
    """
    return 1 << 20 if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else 4096
