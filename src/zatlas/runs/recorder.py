"""Writes a training into its run folder as it goes."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from zatlas.errors import ZatlasError
from zatlas.files import write_bytes, writing
from zatlas.runs.folder import RunFolder, now
from zatlas.training import Game, Trainer, Watcher, checkpoint

CHECKPOINT_SHARE = 0.05  # of the seconds of training, for writing better weights while training goes on


class Taken(NamedTuple):
    """What a checkpoint holds, and what run.json says with it."""

    step: int
    tensors: dict[str, torch.Tensor]
    record: dict[str, Any]
    facts: dict[str, Any]


class Recorder(Watcher):
    """Metrics at once; checkpoints at the start, every so often, and at the end; of better weights when it is cheap.

    The best weights are held in memory until writing them costs no more than ``CHECKPOINT_SHARE`` of the training so
    far, and are written before any later checkpoint is: a resumed training finds the best weights up to where it goes
    on from.

    Args:
        run: where to.
        every_seconds: longest time between checkpoints.
        every_steps: most steps between checkpoints; None: no limit.
        sample: gives a few samples ``[n, *data]`` of a game, always from the same draws of z; None: no snapshots.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        every_seconds: float,
        every_steps: int | None = None,
        sample: Callable[[Game], npt.NDArray[Any]] | None = None,
    ) -> None:
        self.folder, self.sample = run, sample
        self.every_seconds, self.every_steps = every_seconds, every_steps
        self.names: dict[str, str] = dict(run.record.get("checkpoints", {}))
        self.warnings: list[str] = []
        self._hash, self._length = hashlib.sha256(), 0
        self._saved_step, self._saved_at = -1, time.monotonic()
        self._started = self._before = 0.0
        self._better: Taken | None = None  # the best weights, where they are not on the disk
        self._writing = 0.0  # seconds that checkpoints took

    def resume(self, trainer: Trainer) -> None:
        """Puts the trainer back to the newest sound checkpoint, and the folder with it.

        A run that was killed before its first checkpoint begins again.

        Raises:
            ZatlasError: there is no sound checkpoint.
        """
        self.folder.sweep()
        if "checkpoints" not in self.folder.record and not checkpoint.steps(self.folder.checkpoints_path):
            return
        tensors, record, passed = self.folder.load_checkpoint("last")
        self.warnings += [f"{sentence} An earlier checkpoint is used." for sentence in passed]
        trainer.restore(tensors, record["trainer"])
        step = trainer.state.step
        self._saved_step = step
        self._before = self.folder.record.get("wall_seconds", 0.0)
        self._cut_metrics(record["metrics_bytes"], record["metrics_sha256"], step)
        for taken, path in self.folder.snapshot_paths():
            if taken > step:
                path.unlink()
        self.names["last"] = checkpoint.name_of(step)
        present = {checkpoint.name_of(s) for s in checkpoint.steps(self.folder.checkpoints_path) if s <= step}
        self.folder.prune(present)
        self.names = {key: name for key, name in self.names.items() if name in present}

    def _cut_metrics(self, length: int, digest: str, step: int) -> None:
        """Drops the lines written after the checkpoint: the training writes them again."""
        path = self.folder.metrics_path
        content = path.read_bytes() if path.is_file() else b""
        kept = content[:length]
        if hashlib.sha256(kept).hexdigest() != digest:
            lines = [line for line in content.split(b"\n") if _step_of(line) is not None]
            kept = b"".join(line + b"\n" for line in lines if (_step_of(line) or 0) <= step)
            self.warnings.append(f"{path} was altered or cut short since; its {len(lines)} readable lines are kept.")
        if kept != content:
            write_bytes(path, kept)
        self._hash, self._length = hashlib.sha256(kept), len(kept)

    def started(self, trainer: Trainer) -> None:
        self._started = time.monotonic()
        self.folder.update(status="running", stopped=None, finished=None, result=None)
        if trainer.state.step == 0:
            self._snapshot(trainer)
            if self._saved_step != 0:
                self.save(trainer)
        self._saved_at = time.monotonic()

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        broken = [n for n, value in record.items() if isinstance(value, float) and not math.isfinite(value)]
        if broken:
            raise ZatlasError(
                f"the {record['split']} {broken[0]} is no longer finite at step {record['step']}, most likely because "
                "the learning rate is too high; lower training.learning_rate or set training.clip_norm."
            )
        self.folder.check_place()
        line = (json.dumps(record) + "\n").encode()
        with writing(self.folder.metrics_path), self.folder.metrics_path.open("ab") as handle:
            handle.write(line)
        self._hash.update(line)
        self._length += len(line)

    def validated(self, trainer: Trainer, improved: bool) -> None:
        self._snapshot(trainer)
        if improved:
            self._better = self._take(trainer)
            if self._writing <= CHECKPOINT_SHARE * trainer.state.seconds:
                self._write_better()

    def stepped(self, trainer: Trainer) -> None:
        steps = trainer.state.step - self._saved_step
        due = self.every_steps is not None and steps >= self.every_steps
        if steps and (due or time.monotonic() - self._saved_at >= self.every_seconds):
            self.save(trainer)

    def finished(self, trainer: Trainer) -> None:
        stopped = trainer.state.stopped
        if trainer.state.step != self._saved_step:
            self.save(trainer)
        if stopped != "interrupted":
            self._snapshot(trainer)
        status = "interrupted" if stopped == "interrupted" else "finished"
        self.folder.update(status=status, stopped=stopped, finished=now())

    def close(self) -> None:
        """After a training that failed, its best weights are kept as well."""
        with suppress(ZatlasError):
            self._write_better()

    def save(self, trainer: Trainer) -> None:
        """Writes a checkpoint, unless the weights are not finite: then the last good one stays the last.

        Raises:
            ZatlasError: weights that are not finite, or a disk that refuses.
        """
        self._write_better()
        if trainer.state.step != self._saved_step:
            self._write(self._take(trainer))

    def _write_better(self) -> None:
        if (taken := self._better) is not None:
            self._write(taken, best=True)
            self._better = None

    def _take(self, trainer: Trainer) -> Taken:
        """The state of a training as it is now, in tensors that it does not move any more."""
        state = trainer.state
        tensors = trainer.tensors()
        broken = [n for n, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()]
        if broken:
            raise ZatlasError(
                f"{broken[0]} is no longer finite at step {state.step}, most likely because the learning rate is too "
                "high; lower training.learning_rate or set training.clip_norm."
            )
        record = {
            "trainer": {**trainer.snapshot(), "stopped": None},
            "metrics_bytes": self._length,
            "metrics_sha256": self._hash.hexdigest(),
        }
        facts = {
            "steps": state.step,
            "train_seconds": state.seconds,
            "examples": state.examples,
            "wall_seconds": round(self._before + time.monotonic() - self._started, 3),
        }
        # clones, which the training does not move
        return Taken(state.step, {n: t.detach().cpu().clone() for n, t in tensors.items()}, record, facts)

    def _write(self, taken: Taken, best: bool = False) -> None:
        begun = time.monotonic()
        self.folder.check_place()
        name = checkpoint.name_of(taken.step)
        if self.folder.metrics_path.is_file():
            with (
                writing(self.folder.metrics_path),
                self.folder.metrics_path.open("ab") as handle,
            ):  # Windows syncs no "rb"
                os.fsync(handle.fileno())
        checkpoint.save(self.folder.checkpoints_path / name, taken.tensors, taken.record)
        previous = self.names.get("last")
        self.names["last"] = name
        if best:
            self.names["best"] = name
        self.folder.update(checkpoints=self.names, **taken.facts)
        self.folder.prune({*self.names.values(), *([previous] if previous else [])})
        self._saved_step, self._saved_at = taken.step, time.monotonic()
        self._writing += self._saved_at - begun

    def _snapshot(self, trainer: Trainer) -> None:
        path = self.folder.path / "snapshots" / f"{checkpoint.name_of(trainer.state.step)}.npz"
        if self.sample is None or path.exists():
            return
        self.folder.check_place()
        buffer = io.BytesIO()
        np.savez_compressed(buffer, mean=self.sample(trainer.best_game))
        write_bytes(path, buffer.getvalue())


def _step_of(line: bytes) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
