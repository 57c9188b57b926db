"""The work on one member: trained or gone on with, measured, told. Done twice it trains once."""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from zatlas.config import Config, make_config
from zatlas.data import Source, Splits
from zatlas.errors import UsageError, ZatlasError
from zatlas.measure import evaluate_run
from zatlas.runs import remote, training
from zatlas.runs.data import open_data
from zatlas.runs.folder import RunFolder, locked
from zatlas.runs.opened import Run
from zatlas.studies.worker import FULL
from zatlas.training import Trainer, Watcher

HALTED = "halted"  # why a member's training ended that was hopeless
_WAIT = 20.0  # seconds for a training of a killed study to notice that it is alone


class Channel(Protocol):
    """Where a member's work is told."""

    def beat(self) -> None: ...
    def ask(self, rung: int, loss: float) -> bool: ...


class Watched(Watcher):
    """Tells that the training is alive, and asks at each rung whether to go on.

    Args:
        channel: is told.
        rungs: shares of the budget, rising.
    """

    def __init__(self, channel: Channel, rungs: Sequence[float] = ()) -> None:
        self.channel, self.rungs = channel, rungs
        self._next, self._loss = 0, 0.0

    def stepped(self, trainer: Trainer) -> None:
        self.channel.beat()

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        if record["split"] == "validation":
            self._loss = float(record["loss"])

    def validated(self, trainer: Trainer, improved: bool) -> None:
        passed = [at for at in range(self._next, len(self.rungs)) if trainer.progress >= self.rungs[at] - 1e-9]
        for rung in passed:
            self._next = rung + 1
            if trainer.progress < 1 and not self.channel.ask(rung, self._loss):
                trainer.state.stopped = HALTED
                return


def work(task: Mapping[str, Any], channel: Channel) -> dict[str, Any]:
    """Trains and measures one member; one that is trained already is only measured.

    Args:
        task: ``config``, nested; ``folder``; ``metrics``; ``split``, or None; ``rungs``; ``stack``: configurations and
            folders of others that are trained along with it.
        channel: where it is told that the work goes on.

    Returns:
        The member's line of the journal: figures ``{name: [value, standard error or None]}``, seconds, status.

    Raises:
        ZatlasError: the member fails; where a disk is the reason, an OSError of :data:`FULL` is its cause.
    """
    began = time.perf_counter()
    config, folder = made_config(task["config"]), remote.here(task["folder"], new=True)
    with disk_named():
        if stack := task.get("stack"):
            _train_stack(config, folder, stack, Watched(channel))
        run = _trained(config, folder, Watched(channel, task.get("rungs", ())))
        if run.folder.record["status"] != "finished":
            raise KeyboardInterrupt
        measured = evaluate_run(
            run, task.get("split"), metrics=list(task["metrics"]), counting=lambda what, total: _Counting(channel)
        )
        if "not_kept" in measured:
            raise ZatlasError(measured["not_kept"]) from OSError(errno.ENOSPC, "not kept")
    remote.push_all(folder)
    record = run.folder.record
    figures = {
        name: [figure["value"], figure.get("standard_error")]
        for name, figure in measured["figures"].items()
        if isinstance(figure.get("value"), int | float)
    }
    if "elbo" in figures and "loss" not in figures:  # of a plain ELBO the loss is its negative, and not told twice
        figures["loss"] = [-figures["elbo"][0], figures["elbo"][1]]
    return {
        "figures": figures,
        "split": measured["split"],
        "stopped": record.get("stopped"),
        "steps": record["steps"],
        "train_seconds": round(record["train_seconds"], 3),
        "parameters": record.get("parameters"),
        "work_seconds": round(time.perf_counter() - began, 3),
        "left_out": measured["left_out"],
    }


def made_config(record: Mapping[str, Any]) -> Config:
    """The configuration of a member; code that its words named by its place is imported, as a person asked for it."""
    return make_config(("the member", record), trust=True)


def _trained(config: Config, folder: Path, watched: Watched) -> Run:
    """The run, trained to its end: begun, gone on with, or opened."""
    _wait_for_lock(folder)
    opened = opened_data(config)
    if not (folder / "run.json").is_file():
        # what a training killed at its very start leaves; it may have had other threads
        (folder / "config.toml").unlink(missing_ok=True)
        return training.train(config, out=folder, watchers=[watched], opened=opened)
    run = RunFolder(folder)
    if run.record["status"] == "finished":
        made = Run(run, source=opened[0], splits=opened[1], trust=True)
        if "result" not in run.record:
            made.test()
        return made
    return training.resume(folder, watchers=[watched], opened=opened, trust=True)


def _train_stack(config: Config, folder: Path, stack: Sequence[Mapping[str, Any]], watched: Watched) -> None:
    """Trains a member with those it is stacked with; each of them is found trained when its turn comes.

    Where they cannot be stacked, or one of them fails, each is trained by itself.
    """
    from zatlas.studies.stacking import train_stacked

    configs = [config, *(made_config(other["config"]) for other in stack)]
    folders = [folder, *(Path(other["folder"]) for other in stack)]
    try:
        train_stacked(configs, folders, opened_data(config), [watched])
    except ZatlasError as error:
        if any(isinstance(e, OSError) for e in (error.__cause__, error.__context__)):
            raise  # the disk: what was trained is resumed
        for made in folders:
            shutil.rmtree(made, ignore_errors=True)
        return
    if RunFolder(folder).record["status"] != "finished":
        raise KeyboardInterrupt


def _wait_for_lock(folder: Path) -> None:
    """A worker of a study that was killed notices it at its next word; until then the folder is its own."""
    if not (folder / ".lock").exists():
        return
    end = time.monotonic() + _WAIT
    while True:
        try:
            with locked(folder):
                return
        except UsageError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def opened_data(config: Config) -> tuple[Source, Splits]:
    """The data of a configuration; the last ones are kept, as the next member has the same."""
    return _opened(config.data.model_dump_json(exclude_none=True), config.training.batch_size)


@lru_cache(maxsize=1)
def _opened(data: str, batch_size: int | None) -> tuple[Source, Splits]:
    from zatlas.data import located

    config = make_config(("the data", {"data": json.loads(data), "training": {"batch_size": batch_size}}))
    config.data.source, labels = located(config.data.source), config.data.labels
    config.data.labels = labels and located(labels)
    return open_data(config)


@contextmanager
def disk_named() -> Iterator[None]:
    """Gives an error of the disk an OSError as its cause, through whatever it was wrapped in."""
    try:
        yield
    except ZatlasError as error:
        found: BaseException | None = error
        while found is not None and not (isinstance(found, OSError) and found.errno in FULL):
            found = found.__cause__ or found.__context__
        raise error from found


class _Counting:
    """Beats as examples are measured."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def __enter__(self) -> Callable[[float], None]:
        return lambda done: self.channel.beat()

    def __exit__(self, *error: object) -> None: ...
