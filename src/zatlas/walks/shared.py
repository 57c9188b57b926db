"""What all walks want of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.errors import UsageError
from zatlas.opened import Experiment

Array = npt.NDArray[Any]


def means(experiment: Experiment, label: str | None = None) -> Callable[[Array], Array]:
    """Codes ``[N, D]`` to the means of p(x|z) ``[N, *data]``; of a conditional model with a class, by default the first.

    Raises:
        UsageError: when called with a class that is not there, or for a model that takes none.
    """
    if experiment.kind.conditional and label is None and experiment.spec.label_kind == "class":
        label = experiment.spec.labels[0]
    return lambda z: experiment.decode(z, experiment.labels_for(len(z), label)).mean


def displayed(experiment: Experiment, images: Array) -> Array:
    """Decoded images ``[..., C, H, W]`` in [0, 1], with whatever stood in front of C."""
    shape = experiment.spec.shape
    return experiment.displayable(images.reshape(-1, *shape)).reshape(images.shape)


def check_units(experiment: Experiment, units: tuple[int, ...]) -> tuple[int, ...]:
    """The units, counted from 0.

    Raises:
        UsageError: one is out of range.
    """
    for unit in units:
        if not 0 <= unit < experiment.latent_dim:
            raise UsageError(f"there is no unit {unit + 1}: this model has units 1 to {experiment.latent_dim}.")
    return units


def need_axes(experiment: Experiment, what: str) -> None:
    """Refuses for codes that are words of a codebook.

    Raises:
        UsageError: there are no axes, so ``what`` cannot be.
    """
    if not experiment.kind.axes:
        raise UsageError(f"the codes of {experiment.run.folder} are words of a codebook: they have no {what}.")


def code_of(experiment: Experiment, row: int) -> Array:
    """The code ``[D]`` of one row of the data."""
    return np.asarray(experiment.encode(experiment.numbered([row])).mean[0])
