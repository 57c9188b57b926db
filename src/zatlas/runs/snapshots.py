"""Pictures of a training as it goes on: samples from the same draws, as the data are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from zatlas.config import Config
from zatlas.runs.data import label_cycle
from zatlas.training import Game, forked_rng
from zatlas.types import DataSpec

SNAPSHOT_SAMPLES = 36


def drawn_alike(config: Config, spec: DataSpec, device: torch.device) -> Callable[[Game], npt.NDArray[Any]] | None:
    """Samples from the same draws of z (and the same labels, class by class) whenever it is called."""
    if config.kind.point:
        return None
    y = None
    if config.kind.conditional:
        y = label_cycle(spec, SNAPSHOT_SAMPLES, device)

    def sample(game: Game) -> npt.NDArray[Any]:
        with torch.no_grad(), forked_rng(device, seed=config.training.seed):
            images = game.model.generate(SNAPSHOT_SAMPLES, y).px.mean[0].float().cpu()
        return as_stored(images, spec)

    return sample


def as_stored(x: Tensor, spec: DataSpec) -> npt.NDArray[Any]:
    """What the model shows, as the data are kept: uint8 for "uint8", float32 otherwise."""
    if spec.values == "uint8":
        return (x.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return x.numpy()
