"""Run trackers beside the run folder: TensorBoard, MLflow, Weights & Biases, or one of your own.

A tracker is a class that is called with the run and gives a :class:`~zatlas.training.Watcher`. A training that is
resumed goes on in the same record of the tracker, whose name run.json keeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.runs.folder import RunFolder
from zatlas.training import Trainer, Watcher

PLACES = ("step", "epoch", "seconds", "split")  # of a record; all else in it is figures


def figures(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of a record of metrics, as ``("validation/loss", 135.2)``."""
    for name, value in record.items():
        if name not in PLACES:
            yield f"{record['split']}/{name}", float(value)


def settings(run: RunFolder) -> dict[str, Any]:
    """The configuration of a run as ``{"model.latent_dim": 2}``."""
    sections = run.config().model_dump(exclude_none=True)
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


class TensorBoard(Watcher):
    """Figures and samples as event files in RUN/tensorboard: ``tensorboard --logdir runs``."""

    def __init__(self, run: RunFolder) -> None:
        self.folder, self._writer = run, _needed("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._board: Any = None

    def started(self, trainer: Trainer) -> None:
        step = trainer.state.step
        # events after the step that is gone on from belong to a training that was killed
        self._board = self._writer(str(self.folder.path / "tensorboard"), purge_step=step + 1 if step else None)

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        for name, value in figures(record):
            self._board.add_scalar(name, value, record["step"])

    def validated(self, trainer: Trainer, improved: bool) -> None:
        shots = self.folder.snapshots()[-1:] if len(self.folder.record["data"]["spec"]["shape"]) == 3 else []
        for step, images in shots:
            self._board.add_images("samples", images, step)
        self._board.flush()

    def close(self) -> None:
        if self._board:
            self._board.close()


class MLflow(Watcher):
    """Figures and settings as a run of MLflow, where MLFLOW_TRACKING_URI says."""

    def __init__(self, run: RunFolder) -> None:
        self.folder, self._mlflow, self._status = run, _needed("mlflow", "mlflow"), "FAILED"

    def started(self, trainer: Trainer) -> None:
        known = self.folder.record.get("logs", {}).get("mlflow")
        active = self._mlflow.start_run(run_id=known, run_name=None if known else self.folder.path.name)
        if not known:
            self._mlflow.log_params(settings(self.folder))
            _remember(self.folder, "mlflow", active.info.run_id)

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        self._mlflow.log_metrics(dict(figures(record)), step=record["step"])

    def finished(self, trainer: Trainer) -> None:
        self._status = "KILLED" if trainer.state.stopped == "interrupted" else "FINISHED"

    def close(self) -> None:
        self._mlflow.end_run(self._status)


class WandB(Watcher):
    """Figures and settings as a run of Weights & Biases, in the project that WANDB_PROJECT names, else zatlas."""

    def __init__(self, run: RunFolder) -> None:
        self.folder, self._wandb = run, _needed("wandb", "wandb")
        self._session: Any = None

    def started(self, trainer: Trainer) -> None:
        known = self.folder.record.get("logs", {}).get("wandb")
        project = None if "WANDB_PROJECT" in os.environ else "zatlas"
        own = {"id": known, "resume": "allow"} if known else {}
        where = {"project": project, "name": self.folder.path.name, "dir": str(self.folder.path)}
        self._session = self._wandb.init(**where, **own, config=settings(self.folder))
        _remember(self.folder, "wandb", self._session.id)

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        self._session.log(dict(figures(record)), step=record["step"])

    def close(self) -> None:
        if self._session:
            self._session.finish()


TRACKERS: dict[str, Callable[[RunFolder], Watcher]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}


def tracker(name: str) -> Callable[[RunFolder], Watcher]:
    """A tracker by its name, or as ``package.module:Class``.

    Raises:
        UsageError: there is none of that name, or it cannot be imported.
    """
    if name in TRACKERS:
        return TRACKERS[name]
    module, colon, member = name.partition(":")
    if not colon:
        raise UsageError(f"there is no tracker {name!r}; {nearest(name, [*TRACKERS, 'package.module:Class'])}")
    try:
        found = getattr(import_module(module), member)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the tracker {name} cannot be imported: {error}.") from None
    return found


def _needed(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ZatlasError(f"--log {extra} needs the library {extra}: pip install 'zatlas[{extra}]'.") from None


def _remember(run: RunFolder, name: str, identity: str) -> None:
    run.update(logs={**run.record.get("logs", {}), name: identity})
