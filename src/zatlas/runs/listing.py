"""The runs of a folder at a glance, and their removal: run.json and config.toml are read, no weights, and no torch."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.files import read_json, writing


@dataclass(frozen=True)
class RunEntry:
    """What is known of a run without opening it; None where it is not known.

    Attributes:
        name: its folder, seen from the one that was listed.
        folder: its folder.
        status: finished; imported; running, while a process trains it; stopped, by Ctrl-C or a kill, so that it can be
            resumed; failed; damaged, where its record or configuration cannot be read.
        model, objective, network, latent_dim: as in its configuration.
        data: name of the data.
        data_kind: what the loss is about: grey, dynamic, real, ...; ``game`` for a GAN.
        steps, epochs: how long it was trained.
        loss: nats per example; None for a GAN, whose loss says nothing of its samples.
        split: of the rows that the loss is of.
        seconds: of training.
        bytes: on disk, every file counted.
        created: ISO 8601, UTC.
        why: what is damaged, or why it failed.
    """

    name: str
    folder: str
    status: str
    model: str | None = None
    objective: str | None = None
    network: str | None = None
    latent_dim: int | None = None
    data: str | None = None
    data_kind: str | None = None
    steps: int | None = None
    epochs: float | None = None
    loss: float | None = None
    split: str | None = None
    seconds: float | None = None
    bytes: int = 0
    created: str | None = None
    why: str | None = None


KEYS = [field.name for field in fields(RunEntry)]


def list_runs(
    folder: Path, *, sort: str = "created", reverse: bool = False, wanted: Sequence[str] = ()
) -> list[RunEntry]:
    """Every run in ``folder`` or below it; a damaged one is listed as such.

    Args:
        folder: looked through; a run itself is a list of one.
        sort: an attribute of :class:`RunEntry`; runs of which it is not known come last.
        reverse: the other way round.
        wanted: as ``"model=vae"`` or ``"name=mnist-*"``: of several of one key one must hold, and of every key.

    Raises:
        UsageError: no such folder or key, or a filter without ``=``.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name one that holds runs.")
    _known(sort, "--sort")
    patterns: dict[str, list[str]] = {}
    for text in wanted:
        key, equals, pattern = text.partition("=")
        if not equals:
            raise UsageError(f"--filter wants KEY=VALUE, as model=vae, and {text!r} is not that.")
        patterns.setdefault(_known(key.strip(), "--filter"), []).append(pattern.strip())
    entries = [_entry(run, folder) for run in _folders(folder)]
    kept = [e for e in entries if all(_fits(getattr(e, key), some) for key, some in patterns.items())]
    sure = [e for e in kept if getattr(e, sort) is not None]
    return sorted(sure, key=lambda e: getattr(e, sort), reverse=reverse) + [e for e in kept if getattr(e, sort) is None]


def check_removable(folders: Iterable[Path]) -> list[RunEntry]:
    """What is there of the runs that are to go.

    Raises:
        UsageError: a folder that is no run, is a link, holds other runs, or is being trained right now.
    """
    entries = []
    for folder in folders:
        if not (folder / "run.json").is_file():
            raise UsageError(f"{folder} is no run (it holds no run.json), so it is not deleted.")
        if folder.is_symlink():
            raise UsageError(f"{folder} is a link to {folder.resolve()}: name that folder, or remove the link.")
        if other := next((path.parent for path in folder.rglob("run.json") if path.parent != folder), None):
            raise UsageError(f"{folder} holds another run, {other}, so it is not deleted: move one of the two first.")
        with _unused(folder):
            entries.append(_entry(folder, folder.parent))
    return entries


def remove_run(folder: Path) -> None:
    """Deletes a run and all that lies in its folder.

    Raises:
        UsageError: as :func:`check_removable` has it.
        ZatlasError: the disk refuses.
    """
    check_removable([folder])
    with _unused(folder), writing(folder):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != ".lock":  # which no system lets go while it is held
                path.unlink()
    with writing(folder):
        shutil.rmtree(folder)


def _known(key: str, option: str) -> str:
    if key not in KEYS:
        raise UsageError(f"{option}: runs have no {key!r}; {nearest(key, KEYS)}")
    return key


def _fits(value: Any, patterns: Sequence[str]) -> bool:
    return value is not None and any(fnmatchcase(str(value), pattern) for pattern in patterns)


def _folders(folder: Path) -> Iterator[Path]:
    """Folders that hold a run.json, outermost ones only."""
    if (folder / "run.json").is_file():
        yield folder
        return
    with suppress(OSError):  # a folder that may not be read holds no run for us
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from _folders(path)


def _entry(folder: Path, parent: Path) -> RunEntry:
    about: dict[str, Any] = {"name": folder.name if folder == parent else str(folder.relative_to(parent))}
    about |= {"folder": str(folder), "bytes": _size(folder)}
    try:
        about |= _read(folder)
    except Exception as error:  # whatever is in the folder, the others are listed
        words = f"there is no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError):
            words = f"{Path(error.filename).name} is missing."
        about |= {"status": "damaged", "why": words}
    return RunEntry(**about)


def _read(folder: Path) -> dict[str, Any]:
    """What the run says of itself.

    Raises:
        Exception: of any kind, where it is damaged.
    """
    record = read_json(folder / "run.json", "the run's record")
    content = (folder / "config.toml").read_bytes()
    last = record.get("checkpoints", {}).get("last")
    if hashlib.sha256(content).hexdigest() != record["config_sha256"]:
        raise ZatlasError("config.toml was altered or damaged since the run began.")
    if last and not (folder / "checkpoints" / last).is_dir():
        raise ZatlasError(f"checkpoints/{last} is missing.")
    status = str(record["status"])
    if status in ("running", "interrupted"):  # a killed training could not say that it is over
        status = "running" if _held(folder) else "stopped"
    why = str(record.get("stopped")) if status == "failed" else None
    return {"status": status, "why": why} | _of_record(record) | _of_config(tomllib.loads(content.decode()))


def _of_record(record: dict[str, Any]) -> dict[str, Any]:
    result = record.get("result", {}) if record["data_kind"] != "game" else {}
    return {
        "data": str(record["data"]["name"]),
        "data_kind": str(record["data_kind"]),
        "steps": int(record["steps"]),
        "epochs": round(record["steps"] / record["steps_per_epoch"], 2) if record["steps_per_epoch"] else None,
        "loss": float(result["loss"]) if "loss" in result else None,
        "split": result.get("split"),
        "seconds": float(record.get("train_seconds", 0.0)),
        "created": str(record["created"]) if "created" in record else None,
    }


def _of_config(config: dict[str, Any]) -> dict[str, Any]:
    model = config["model"]
    return {
        "model": str(model["kind"]),
        "objective": str(config["objective"]["kind"]),
        "network": str((config.get("network") or {"kind": model.get("network", "none")})["kind"]),
        "latent_dim": int(model["latent_dim"]),
    }


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # gone since, as a checkpoint may be
            total += path.lstat().st_size if not path.is_dir() else 0
    return total


@contextmanager
def _unused(folder: Path) -> Iterator[None]:
    """Holds the run's lock where it has one.

    Raises:
        UsageError: a training holds it.
    """
    if not (folder / ".lock").exists():
        yield
        return
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"{folder} is being trained by another process, so it is not deleted: stop that first."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _held(folder: Path) -> bool:
    try:
        with _unused(folder):
            return False
    except (UsageError, OSError):
        return True
