"""Run and study folders on object storage, ``s3://bucket/run``: worked on here, and mirrored there.

An object store has neither renaming nor appending, by which a run folder is safe against a kill, so that nothing is
written there directly. A folder on it has a local copy in the user's cache, where training, studies and all commands
work as ever. After each checkpoint what is new is uploaded in an order in which an upload that is cut short leaves the
last complete state: first files under new names (checkpoints, snapshots, members), then those that grow, then run.json,
which names the checkpoints, or study.json; what is no longer there goes last. A folder that is opened is fetched if
what lies there is further than the local copy.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from zatlas.decoding.kept import default_folder
from zatlas.errors import UsageError, ZatlasError, one_line
from zatlas.files import read_json, replacing, user_cache, write_bytes
from zatlas.training import Trainer, Watcher

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?!/)(.+)")  # one slash: what is left of it after pathlib
HEADS = ("run.json", "study.json")
_ORDER = ("metrics.jsonl", "run.json", "journal.jsonl", "study.json")  # each says what is there of those before it
_IGNORED = (".lock",)
EXTRA = "pip install 'zatlas[cluster]'"


def url_of(path: str | Path) -> str | None:
    """The URL that a path stands for; None for a path on this machine.

    >>> url_of(Path("s3://bucket/run")), url_of("runs/a"), url_of("C:/runs")
    ('s3://bucket/run', None, None)
    """
    match = _URL.fullmatch(str(path))
    return f"{match[1]}://{match[2].rstrip('/')}" if match and match[1] != "file" else None


def here(path: str | Path, *, new: bool = False) -> Path:
    """Where a folder lies on this machine: itself, or the local copy of one on object storage, fetched if need be.

    Args:
        path: of a folder, or a URL.
        new: whether a run or study is to be made there or gone on with, so that nothing need be there yet.

    Raises:
        UsageError: nothing is there, or it is no file system that fsspec knows.
        ZatlasError: the library is missing, or the storage refuses.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    mirror = Mirror(url)
    mirror.fetch(new=new)
    return mirror.local


class Mirror:
    """A folder on object storage and its local copy.

    Args:
        url: of the folder, as fsspec knows it.

    Raises:
        UsageError: a protocol that fsspec does not know.
        ZatlasError: fsspec, or what it needs for the protocol, is missing.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            import fsspec
        except ImportError:
            raise ZatlasError(f"{url} is on object storage, which needs the library fsspec: {EXTRA}.") from None
        protocol = url.partition("://")[0]
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            said = one_line(str(error))[:120]
            raise ZatlasError(f"{url} needs a library that is missing ({said}): {EXTRA}, or install it.") from None
        except ValueError:
            known = "fsspec knows s3, gs, az, memory and more"
            raise UsageError(f"there is no file system {protocol}:// ({url}): {known}.") from None
        name = PurePosixPath(self.root).name or "root"
        key = hashlib.sha256(url.encode()).hexdigest()[:12]
        self.local = (default_folder() or user_cache()) / "remote" / f"{name}-{key}"
        self._sent: dict[str, tuple[int, int]] | None = None  # None: what is there was not asked yet

    # there -> here -------------------------------------------------------------------------------------------------

    def fetch(self, *, new: bool = False) -> None:
        """Brings the local copy to what lies there, unless it is further: after an upload that was cut short."""
        there = self._listing()
        marker = self.local.with_name(f"{self.local.name}.url")
        write_bytes(marker, self.url.encode())
        head = next((name for name in HEADS if name in there), None)
        if head is None:
            if not new and not any((self.local / name).is_file() for name in HEADS):
                raise UsageError(f"{self.url} is no run and no study: it holds no run.json and no study.json.")
            return
        if self._progress(self.local, head) > self._progress_there(head, there):
            return
        for name in sorted(there, key=_last):
            facts, path = there[name], self.local / name
            if not (_lasting(name) and _size(path) == facts.get("size")):
                self._get(name, path)
        for path in list(_files(self.local)):
            if path.relative_to(self.local).as_posix() not in there:
                path.unlink(missing_ok=True)
        for folder in sorted((p for p in self.local.rglob("*") if p.is_dir()), reverse=True):
            with suppress(OSError):  # it is not empty
                folder.rmdir()

    def pull(self, under: Path) -> None:
        """Brings a folder within the local copy, which somebody else has put there."""
        there = self._listing(f"/{under.relative_to(self.local).as_posix()}")
        for name in sorted(there, key=_last):
            self._get(name, self.local / name)
        if self._sent is not None:
            self._sent |= {name: _stamp(self.local / name) for name in there}

    def _listing(self, under: str = "") -> dict[str, Any]:
        """The files there, and what is known of each."""
        with self._asking():
            self.files.invalidate_cache()
            found = self.files.find(self.root + under, detail=True)
        return {self._name(path): facts for path, facts in found.items()}

    def _get(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._asking(), replacing(path) as beside:
            self.files.get_file(f"{self.root}/{name}", str(beside))

    def _progress_there(self, head: str, there: dict[str, Any]) -> int:
        if head == "study.json":
            return int(there.get("journal.jsonl", {}).get("size") or 0)
        beside = self.local.with_name(f"{self.local.name}.head")
        self._get(head, beside)
        try:
            return int(read_json(beside, "the run's record").get("steps", 0))
        finally:
            beside.unlink(missing_ok=True)

    @staticmethod
    def _progress(folder: Path, head: str) -> int:
        """How far a run or a study is: steps, or bytes of a journal that is only added to; -1: there is none."""
        with suppress(ZatlasError, OSError):
            if head == "study.json":
                return (folder / "journal.jsonl").stat().st_size
            return int(read_json(folder / head, "the run's record").get("steps", 0))
        return -1

    # here -> there -------------------------------------------------------------------------------------------------

    def push(self, *, under: Path | None = None) -> None:
        """Uploads what changed since the last time, in an order in which a kill leaves a complete state.

        Args:
            under: a folder within the local copy; what lies elsewhere is not looked at, but for its own files.
        """
        if self._sent is None:
            same = lambda name, facts: _lasting(name) and _size(self.local / name) == facts.get("size")
            listed = self._listing().items()
            self._sent = {n: _stamp(self.local / n) if same(n, facts) else (-1, -1) for n, facts in listed}
        found = [*(_files(under) if under else _files(self.local)), *(self.local.glob("*.*") if under else ())]
        names = {path.relative_to(self.local).as_posix() for path in found if path.is_file()}
        names = {name for name in names if name not in _IGNORED}
        for name in sorted(names, key=_last):
            with suppress(FileNotFoundError):  # a checkpoint that gave way while this one was uploaded
                stamp = _stamp(self.local / name)
                if self._sent.get(name) != stamp:
                    with self._asking():
                        self.files.put_file(str(self.local / name), f"{self.root}/{name}")
                    self._sent[name] = stamp
        within = f"{under.relative_to(self.local).as_posix()}/" if under else ""
        for name in [name for name in self._sent if name.startswith(within) and name not in names]:
            with self._asking(), suppress(FileNotFoundError):
                self.files.rm_file(f"{self.root}/{name}")
            del self._sent[name]

    def _name(self, path: str) -> str:
        root = self.files._strip_protocol(self.root).strip("/")
        return path.strip("/").removeprefix(root).lstrip("/")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What a storage says no with, in a sentence."""
        try:
            yield
        except (ZatlasError, KeyboardInterrupt):
            raise
        except ImportError as error:
            raise ZatlasError(f"{self.url} needs a library that is missing ({error}): {EXTRA}.") from None
        except Exception as error:  # each storage has exceptions of its own
            said = one_line(str(error)).rstrip(".")[:200] or type(error).__name__
            mend = "see whether it is reachable and the name is right"
            if isinstance(error, FileNotFoundError) and "bucket" in said:
                mend = "make the bucket first, or see whether the name is right"
            if isinstance(error, PermissionError) or re.search("credential|denied|forbidden|authori", said, re.I):
                mend = "give credentials, for S3 by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile"
            raise ZatlasError(f"{self.url} cannot be read or written ({said}): {mend}.") from error


def mirror_of(local: Path) -> Mirror | None:
    """The mirror of a local copy; None for a folder that is nobody's copy."""
    marker = local.with_name(f"{local.name}.url")
    with suppress(OSError):
        return Mirror(marker.read_text(encoding="utf-8")) if local.parent.name == "remote" else None
    return None


class Mirroring(Watcher):
    """Uploads a run after each of its checkpoints; stands after the recorder among the watchers.

    Where the storage refuses, training goes on and the next checkpoint is tried; at the end a refusal is an error.

    Args:
        mirror: of the run folder.
        say: is told of a refusal.
    """

    def __init__(self, mirror: Mirror, say: Callable[[str], None]) -> None:
        self.mirror, self.say = mirror, say
        self._seen: object = None

    def started(self, trainer: Trainer) -> None:
        self.mirror.push()  # here a refusal ends the training, before it has taken hours
        self._seen = self._checkpoints()

    def stepped(self, trainer: Trainer) -> None:
        if trainer.state.position % 10 == 0 and self._checkpoints() != self._seen:
            try:
                self.mirror.push()
            except ZatlasError as error:
                self.say(f"{error} It is tried again at the next checkpoint.")
            self._seen = self._checkpoints()

    def _checkpoints(self) -> object:
        folder = self.mirror.local / "checkpoints"
        return tuple(sorted(os.listdir(folder))) if folder.is_dir() else ()


def push_all(local: Path) -> None:
    """Uploads what is left, where a folder is the local copy of one on object storage.

    Raises:
        ZatlasError: the storage refuses; the local copy is complete, and named.
    """
    if mirror := mirror_of(local):
        try:
            mirror.push()
        except ZatlasError as error:
            raise ZatlasError(f"{error} All of it is in {local}; resuming {mirror.url} uploads it.") from error


def forget(url: str) -> None:
    """Removes the local copy of a folder on object storage."""
    local = Mirror(url).local
    shutil.rmtree(local, ignore_errors=True)
    local.with_name(f"{local.name}.url").unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in _IGNORED and not any(p.endswith(".part") for p in path.parts):
            yield path


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _lasting(name: str) -> bool:
    """Whether a file of this name is never changed."""
    return any(part in ("checkpoints", "snapshots") for part in PurePosixPath(name).parts[:-1])


def _last(name: str) -> tuple[int, str]:
    """Where a file stands in the order of an upload."""
    file = PurePosixPath(name).name
    return (_ORDER.index(file) + 1 if file in _ORDER else 0, name)
