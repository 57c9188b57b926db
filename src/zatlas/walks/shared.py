"""What all walks want of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.latent import Codes
from zatlas.runs.opened import Run

CODES = 2000  # of training rows, where the spread of the codes is asked for


def means(run: Run, label: str | None = None, of: Array | None = None) -> Callable[[Array], Array]:
    """Codes ``[N, D]`` to the means of p(x|z) ``[N, *data]``.

    Args:
        run: an opened run.
        label: class of a conditional model.
        of: the labels ``[1, Y]`` that a conditional model is given where no class is named; None: the first class.

    Raises:
        UsageError: a class that is not there, or for a model that takes none.
    """
    y = run.labels_for(1, label)
    if y is not None and label is None and of is not None:
        y = of
    return lambda z: run.decode(z, None if y is None else y.repeat(len(z), 0)).mean


def displayed(run: Run, images: Array) -> Array:
    """Decoded images ``[..., C, H, W]`` in [0, 1], with whatever stood in front of C."""
    shape = run.spec.shape
    return run.displayable(images.reshape(-1, *shape)).reshape(images.shape)


def check_units(run: Run, units: tuple[int, ...]) -> tuple[int, ...]:
    """The units, counted from 0.

    Raises:
        UsageError: one is out of range, or there are none.
    """
    if not units:
        raise UsageError("no units are given: name at least one.")
    for unit in units:
        if not 0 <= unit < run.latent_dim:
            raise UsageError(f"there is no unit {unit + 1}: this model has units 1 to {run.latent_dim}.")
    return units


def need_axes(run: Run, what: str) -> None:
    """Refuses for codes that are words of a codebook.

    Raises:
        UsageError: there are no axes, so ``what`` cannot be.
    """
    if not run.kind.axes:
        raise UsageError(f"the codes of {run.folder.path} are words of a codebook: they have no {what}.")


def codes_of(run: Run, rows: Sequence[int]) -> Codes:
    """The codes of some rows of the data, in the order in which they are named."""
    return run.encode(run.numbered(rows))


def training_codes(run: Run, most: int = CODES) -> Array:
    """Posterior means ``[N, D]`` of training rows, spread evenly."""
    return run.encode(run.spread("train", most)).mean.astype(np.float64)


def rates(run: Run) -> Array | None:
    """Nats of each unit ``[D]``; None for a model that has none, or whose data are gone and left none."""
    return run.unit_rates() if run.has_rates and not run.kind.point else None


def busiest(nats: Array | None, latent_dim: int, most: int) -> tuple[int, ...]:
    """The units of highest rate, from 0, highest first; the first ones where there are no rates."""
    order = np.arange(latent_dim) if nats is None else np.argsort(-nats, kind="stable")
    return tuple(int(unit) for unit in order[:most])
