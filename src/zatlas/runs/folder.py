"""The run folder: everything that is left of a training, and all that later commands read.

run.json        what, when, where, with which versions; status; names of the last and the best checkpoint
config.toml     the whole resolved configuration
metrics.jsonl   one JSON object a line, nats per example
checkpoints/    step-00012345/{tensors.safetensors, state.json}
snapshots/      step-00012345.npz: samples from the same draws of z, as training went on
evaluation.json the figures of `zatlas evaluate`
report/         the page of `zatlas report`
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from torch import Tensor

from zatlas.config import Config, make_config, read_toml
from zatlas.errors import UsageError, ZatlasError, nearest, shown
from zatlas.files import read_json, sha256, sync_folder, write_bytes, write_json, writing
from zatlas.parts import missing
from zatlas.runs.checking import check_record, check_step
from zatlas.training import checkpoint
from zatlas.trust import kept_parts

SCHEMA = 1


def now() -> str:
    """The time, as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(command: list[str] | None = None) -> dict[str, Any]:
    """Versions, machine and command."""
    return {
        "zatlas": version("zatlas"),
        "torch": version("torch"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "command": shlex.join(command if command is not None else ["zatlas", *sys.argv[1:]]),
    }


def free_name(parent: Path, stem: str) -> Path:
    """The first of ``stem-001``, ``stem-002``, … that does not exist in ``parent``."""
    return next(p for i in range(1, 10**6) if not (p := parent / f"{stem}-{i:03d}").exists())


def new_folder(parent: Path, stem: str) -> Path:
    """Makes the first free ``stem-001``, ``stem-002``, …; of two processes that ask at once each gets its own.

    Raises:
        ZatlasError: it cannot be made.
    """
    while True:
        folder = free_name(parent, stem)
        with writing(folder), suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder


def check_free(folder: Path, config: bytes) -> None:
    """Says no to a folder that holds anything but what a training killed at its very start leaves behind.

    Args:
        folder: where a new run is to go; it need not exist.
        config: what config.toml will say: a file that says it already is that of the same training.

    Raises:
        UsageError: the folder holds a run, or files that are somebody else's.
    """
    if not folder.is_dir():
        return
    names = sorted(entry.name for entry in folder.iterdir())
    if "run.json" in names:
        raise UsageError(
            f"{folder} already holds a run: go on with `zatlas train --resume {folder}`, or give another --out."
        )
    ours = {".lock"} | ({"config.toml"} if _says(folder / "config.toml", config) else set())
    others = [name for name in names if name not in ours and not name.endswith(".part")]
    if others:
        raise UsageError(f"{folder} is not empty (it holds {others[0]}): give another --out.")


def _says(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


class RunGone(ZatlasError):
    """The run folder is no longer where it was opened."""


class RunFolder:
    """A run folder on disk.

    Args:
        folder: holds run.json.

    Raises:
        UsageError: there is no run at ``folder``.
        ZatlasError: run.json is damaged or of a later schema.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder)
        if not (self.path / "run.json").is_file():
            raise UsageError(f"{self.path} is no run: it holds no run.json; `zatlas train` makes one.")
        path = self.path / "run.json"
        self.record = read_json(path, "the run's record")
        if self.record.get("schema") != SCHEMA:
            raise ZatlasError(
                f"the run {self.path} has schema {shown(self.record.get('schema'))} and this zatlas reads {SCHEMA}: "
                "use the zatlas version that its run.json names."
            )
        check_record(self.record, path)

    @classmethod
    def create(cls, folder: Path, config: Config, record: dict[str, Any]) -> RunFolder:
        """Makes a new run folder.

        Raises:
            UsageError: the folder is in use or not empty.
            ZatlasError: it cannot be written.
        """
        text = config.to_toml().encode()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            check_free(folder, text)
        head = {
            "schema": SCHEMA,
            "status": "running",
            "created": now(),
            "config_sha256": hashlib.sha256(text).hexdigest(),
        }
        so_far = {"steps": 0, "train_seconds": 0.0, "examples": 0}
        write_bytes(folder / "config.toml", text)
        try:
            write_json(folder / "run.json", {**head, **so_far, **record})
        except ZatlasError:
            (folder / "config.toml").unlink(missing_ok=True)
            raise
        sync_folder(folder.parent)
        run = cls(folder)
        run.sweep()
        return run

    @property
    def folder(self) -> Path:
        """The former name of ``path``."""
        return self.path

    @property
    def name(self) -> str:
        """The folder's name, for figures: bytes that are not UTF-8, which no font can draw, are written out."""
        return self.path.name.encode(errors="backslashreplace").decode()

    @property
    def training_rows(self) -> int:
        """How many rows it was trained on.

        Raises:
            ZatlasError: run.json does not say.
        """
        splits = self.record["data"].get("splits")
        rows = splits.get("train") if isinstance(splits, dict) else None
        if type(rows) is not int or not 0 <= rows < 2**63:
            raise ZatlasError(f"the run's record {self.path / 'run.json'} is damaged: data.splits has no train rows.")
        return rows

    def config(self) -> Config:
        """The configuration that the run was made with.

        Raises:
            ZatlasError: config.toml is missing, damaged or altered.
        """
        path = self.path / "config.toml"
        if not path.is_file():
            raise ZatlasError(f"the run's configuration {path} is missing.")
        try:
            found = sha256(path)
        except OSError as error:
            raise ZatlasError(f"the run's configuration {path} cannot be read: {error.strerror}.") from None
        if found != self.record["config_sha256"]:
            raise ZatlasError(
                f"the run's configuration {path} was altered or damaged since the run began: put it back, "
                f"or start a new run from it with `zatlas train --config {path}`."
            )
        for sentence in filter(None, map(missing, kept_parts(self.record))):
            raise UsageError(f"{path}: {sentence}")
        return make_config((str(path), read_toml(path)))

    def check_place(self) -> None:
        """Refuses to write where another folder, or none, has come to stand: a write would make half a run there.

        What run.json says is compared, and not the folder's inode, which some network file systems change.

        Raises:
            RunGone: the folder was moved, removed or replaced.
        """
        try:
            found = read_json(self.path / "run.json", "the run's record")
        except ZatlasError:
            found = {}
        if any(found.get(key) != self.record.get(key) for key in ("created", "config_sha256")):
            raise RunGone(
                f"{self.path} no longer holds this run, which was moved, removed or replaced while in use, so "
                "nothing more was written there: where it was moved, its checkpoints are with it and `zatlas train "
                "--resume` on its new place goes on; where it was removed, they are gone."
            )

    def update(self, **values: Any) -> None:
        """Changes entries of run.json; None takes an entry out.

        Raises:
            ZatlasError: the folder is gone, or the disk refuses.
        """
        self.check_place()
        self.record = {k: v for k, v in {**self.record, **values}.items() if k not in values or v is not None}
        write_json(self.path / "run.json", self.record)

    # metrics -----------------------------------------------------------------------------------------------------

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl; a last line that a kill cut short is left out.

        Raises:
            ZatlasError: another line is damaged; it is named.
        """
        if not self.metrics_path.is_file():
            return []
        lines = self.metrics_path.read_bytes().split(b"\n")
        records = []
        for number, line in enumerate(lines[:-1], 1):
            try:
                record = json.loads(line)
                records.append({"step": int(record["step"]), **record})
            except (ValueError, TypeError, KeyError, OverflowError):
                raise ZatlasError(
                    f"line {number} of {self.metrics_path} is damaged; delete that line to read the others."
                ) from None
        return records

    # checkpoints -------------------------------------------------------------------------------------------------

    @property
    def checkpoints_path(self) -> Path:
        return self.path / "checkpoints"

    def opens(self, config: Config) -> Literal["best", "last"]:
        """Which checkpoint is opened where none is named.

        The record's ``"opens"``, and the best wherever patience ended the training; a run from before 0.3 has no such
        entry. Before anything was validated it is the last.
        """
        if "opens" in self.record and "best" not in self.record.get("checkpoints", {}):
            return "last"
        patience = self.record.get("limits", {}).get("patience", config.training.patience)
        return "best" if patience or self.record.get("opens") == "best" else "last"

    def load_checkpoint(self, name: str = "last") -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
        """Tensors and record of a checkpoint, and sentences about damaged ones that were passed over.

        Args:
            name: ``"best"`` or ``"last"``, where the newest sound one is taken when that one is damaged; or the name
                of a folder, which is taken or refused.

        Raises:
            UsageError: there is no checkpoint of that name.
            ZatlasError: there is no sound checkpoint.
        """
        found = [checkpoint.name_of(step) for step in reversed(checkpoint.steps(self.checkpoints_path))]
        passed: list[str] = []
        if name in ("best", "last"):
            wanted = self.record.get("checkpoints", {}).get(name)
            found.sort(key=lambda candidate: candidate != wanted)
            if name == "best" and wanted is None:
                passed.append(f"the run {self.path} has no best checkpoint, as nothing was validated yet.")
        elif name in found:
            found = [name]
        else:
            known = nearest(name, ["last", "best", *found])
            raise UsageError(f"the run {self.path} has no checkpoint {name!r}; {known}")
        for candidate in found:
            try:
                tensors, record = checkpoint.load(self.checkpoints_path / candidate)
                check_step(record, self.checkpoints_path / candidate)
            except ZatlasError as error:
                passed.append(str(error))
                continue
            return tensors, record, passed
        raise ZatlasError(" ".join(passed) or f"the run {self.path} has no checkpoint: train it first.")

    def prune(self, keep: set[str]) -> None:
        """Removes the checkpoints whose names are not in ``keep``."""
        for step in checkpoint.steps(self.checkpoints_path):
            if checkpoint.name_of(step) not in keep:
                checkpoint.remove(self.checkpoints_path / checkpoint.name_of(step))

    def sweep(self) -> None:
        """Removes what a killed training left half written; only the training that holds the lock may do so."""
        mine = (self.path.glob(f".{name}.*.part") for name in ("run.json", "config.toml", "metrics.jsonl"))
        for path in chain(*mine, (self.path / "snapshots").glob(".*.part"), self.checkpoints_path.glob(".*.part")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    # snapshots ---------------------------------------------------------------------------------------------------

    def snapshots(self) -> list[tuple[int, npt.NDArray[Any]]]:
        """(step, images ``[n, *data]``) in the order of training."""
        found = []
        for step, path in self.snapshot_paths():
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                    found.append((step, archive["mean"]))
            except (OSError, ValueError, KeyError, EOFError, NotImplementedError, BadZipFile, zlib.error):
                raise ZatlasError(f"the snapshot {path} is damaged; delete it to go on without.") from None
        return found

    def snapshot_paths(self) -> list[tuple[int, Path]]:
        """(step, file) in the order of training."""
        paths = (self.path / "snapshots").glob("step-*.npz")
        found = ((re.fullmatch(r"step-(\d+)\.npz", path.name), path) for path in paths)
        return sorted((int(match[1]), path) for match, path in found if match)

    # locking -----------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one training; the lock goes with the process, however that ends.

        Raises:
            UsageError: another training holds it.
        """
        with locked(self.path):
            yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """See :meth:`RunFolder.locked`; the folder is made where it is missing."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise UsageError(
                f"{folder} is being trained by another process: wait for it, or give another --out."
            ) from None
    try:
        yield
    finally:
        lock.release()
