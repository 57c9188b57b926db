"""Files that are whole or not there: written beside, synced, renamed into place."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from zatlas.errors import UsageError, ZatlasError

LARGEST = 2**63 - 1  # of whole numbers that a person gives: what 64 bits hold
MENDS = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EFBIG: "the file would be larger than this process may write: raise the limit",
    errno.EROFS: "the file system is read-only: choose a folder that can be written",
    errno.EACCES: "permission is missing: choose a folder that can be written",
    errno.EPERM: "permission is missing: choose a folder that can be written",
    errno.ENOTDIR: "a file stands where a folder is wanted: choose another name",
    errno.EEXIST: "a file stands where a folder is wanted: choose another name",
    errno.EISDIR: "a folder stands where a file is wanted: choose another name",
}


def typed_path(text: str) -> Path:
    """The path that a person typed, ``~`` replaced by the home folder.

    Raises:
        UsageError: there is no such home folder, or the path is not UTF-8, which no run could record.
    """
    try:
        text.encode()
        return Path(text).expanduser()
    except UnicodeEncodeError:
        raise UsageError(f"the path {text} holds bytes that are not UTF-8: rename the file or folder.") from None
    except RuntimeError:
        raise UsageError(
            f"the home folder in {text} cannot be found: write the path in full, or ./{text} for a file of that name."
        ) from None


def user_cache() -> Path:
    """``zatlas`` in this user's cache folder.

    Raises:
        UsageError: there is no home folder.
    """
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        cache = "~/Library/Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return typed_path(cache) / "zatlas"


def look(path: Path) -> Literal["file", "folder"] | None:
    """What stands at a path, links followed; None: nothing. It opens nothing, as a pipe would wait for its writer.

    Raises:
        ZatlasError: a link that leads nowhere or in a circle, neither file nor folder, or out of reach.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ZatlasError(f"{path} is a link that leads in a circle: remove it, or link it to the data.") from None
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise ZatlasError(f"{path} cannot be read: {error.strerror}.") from None
        if path.is_symlink():
            raise ZatlasError(f"{path} is a link to {path.readlink()}, which is not there: mend the link.") from None
        return None
    except ValueError:  # a NUL, which no name can hold
        return None
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    raise ZatlasError(f"{path} is neither a file nor a folder but a pipe, socket or device: copy it to a file first.")


def regular(text: str | Path, what: str = "") -> Path:
    """The path of a file to read, as a person typed it.

    Args:
        text: the path.
        what: what the file is for, as in " for the labels".

    Raises:
        UsageError: there is no such file.
        ZatlasError: what is there cannot be read as one.
    """
    path = typed_path(str(text))
    found = look(path)
    if found is None:
        raise UsageError(f"there is no file {path}{what}.")
    if found == "folder":
        raise ZatlasError(f"{path} is a folder: give a file{what}.")
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write ``path`` into one sentence that names the mend.

    Raises:
        ZatlasError: what could not be written, and why.
    """
    try:
        yield
    except OSError as error:
        mend = MENDS.get(error.errno or 0, error.strerror or str(error))
        raise ZatlasError(f"{path} could not be written: {mend}; what was written before is intact.") from error


def fill(file: IO[bytes], view: memoryview, step: int = 1 << 20) -> int:
    """Reads a file into memory until either ends; the number of bytes read."""
    filled = 0
    while filled < len(view):
        part = file.read(min(step, len(view) - filled))
        if not part:
            break
        view[filled : filled + len(part)] = part
        filled += len(part)
    return filled


def read_at(handle: int, view: memoryview, place: int) -> int:
    """Reads an open file from a place on into memory until either ends; the number of bytes read."""
    filled = 0
    while filled < len(view):
        count = os.preadv(handle, [view[filled:]], place + filled)
        if not count:
            break
        filled += count
    return filled


def in_bytes(n: int) -> str:
    """A number of bytes for people.

    >>> in_bytes(64_000_000_000_000)
    '64.0 TB'
    """
    for power, unit in ((24, "YB"), (18, "EB"), (15, "PB"), (12, "TB"), (9, "GB"), (6, "MB")):
        if n >= 10**power:
            return f"{n / 10**power:.1f} {unit}" if n < 10**30 else "more than 1,000,000 YB"
    return f"{n:,} bytes"


def sync_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` outlast a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(handle)
    os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes ``content`` whole or not at all.

    Raises:
        ZatlasError: it could not be written; what stood at ``path`` before stands there still.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe or a device is not to be replaced
            path.write_bytes(content)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a name beside ``path`` for a library that writes files itself; what it wrote takes the place of ``path``.

    Raises:
        ZatlasError: it could not be written; what stood at ``path`` before stands there still.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            with beside.open("rb+") as handle:  # Windows syncs no "rb"
                os.fsync(handle.fileno())
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def write_json(path: Path, record: dict[str, Any]) -> None:
    # a path that is not UTF-8 holds surrogates: written as \\udcff, which JSON reads back as what it was
    write_bytes(path, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))


def read_json(path: Path, what: str) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ZatlasError: the file is missing, cut short or no JSON object; ``what`` names it.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ZatlasError(f"{what} {path} is missing.") from None
    except OSError as error:
        raise ZatlasError(f"{what} {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ZatlasError(f"{what} {path} is damaged ({error}).") from None
    except RecursionError:
        raise ZatlasError(f"{what} {path} is damaged (its values lie too deep in one another).") from None
    if not isinstance(record, dict):
        raise ZatlasError(f"{what} {path} is damaged (it holds no JSON object).")
    return record


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
