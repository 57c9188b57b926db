"""An objective that kills its own process in the middle, as a machine that is lost does."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch.distributed as dist

from zatlas.objectives import Objective, distortion, rate
from zatlas.types import Terms


class Mortal(Objective):
    """The bound; at step ``at`` worker 0 of several dies, once.

    Args:
        at: the step, from 0.
        steps: a file that gets a line for every step that worker 0 begins.
    """

    def __init__(self, at: int, steps: str) -> None:
        super().__init__()
        self.at, self.steps = at, steps

    def forward(self, player, model, batch, step):
        if self.training and step <= 1000 and dist.is_initialized() and dist.get_rank() == 0:  # else it is only asked
            begun = Path(self.steps)
            before = begun.read_text().split() if begun.exists() else []
            begun.write_text("\n".join([*before, str(step)]))
            if step == self.at and before.count(str(step)) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        inference = model.infer(batch.x, batch.y)
        d, r = distortion(inference, batch.x).mean(0), rate(inference)
        return Terms(d + r, {"distortion": d, "rate": r})
