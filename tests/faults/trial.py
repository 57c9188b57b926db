"""A short training on the digits that touches all that a resumed run has to get right, and how two runs compare."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zatlas.config import Config, make_config
from zatlas.runs import training
from zatlas.runs.folder import RunFolder
from zatlas.training import Watcher

STEPS = 24


def config(**training: Any) -> Config:
    """Random binarisation, an average, epochs of 12 steps, checkpoints out of step with validations."""
    values = {"steps": STEPS, "precision": "fp32", "threads": 1, "validations": 4, "ema": 0.9}
    return make_config(
        (
            "test",
            {
                "data": {"source": "digits", "binarise": "dynamic"},
                "model": {"size": "xs"},
                "training": {**values, "checkpoint_every_steps": 5, **training},
            },
        )
    )


class At(Watcher):
    """Does something after one step."""

    def __init__(self, step: int, act: Callable[[], object]) -> None:
        self.step, self.act = step, act

    def stepped(self, trainer: Any) -> None:
        if trainer.state.step == self.step:
            self.act()


def raises(error: BaseException) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def in_child(act: Callable[[], object]) -> int:
    """Runs ``act`` in a forked process and returns its wait status: a kill there is a kill, and torch is loaded."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def go_on(folder: Path, made: Config) -> None:
    """What a person does after a kill: resume; where there is no run yet, the same command again."""
    if (folder / "run.json").exists():
        training.resume(folder)
    else:
        training.train(made, out=folder)


def assert_same(one: Path, other: Path) -> None:
    """Equal weights, optimiser, averages and random states bit for bit; equal metrics and snapshots; no litter."""
    runs = RunFolder(one), RunFolder(other)
    (tensors, record, _), (others, other_record, _) = (run.load_checkpoint() for run in runs)
    assert tensors.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in tensors.items())
    states = [{**r["trainer"], "seconds": 0} for r in (record, other_record)]
    assert states[0] == states[1]
    lines = [[{**line, "seconds": 0} for line in run.metrics()] for run in runs]
    assert lines[0] == lines[1]
    shown = [run.snapshots() for run in runs]
    assert [step for step, _ in shown[0]] == [step for step, _ in shown[1]]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(*shown, strict=True))
    assert runs[0].record["result"] == runs[1].record["result"]
    assert runs[0].record["checkpoints"] == runs[1].record["checkpoints"]
    assert not list(one.rglob("*.part")) + list(other.rglob("*.part"))
