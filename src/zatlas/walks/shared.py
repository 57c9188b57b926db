"""What all walks want of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.latent import Address, Codes, Unit, addressed, summed_units
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


def check_units(run: Run, units: Sequence[Address]) -> list[Unit]:
    """The units at addresses that are counted from 0 (:data:`zatlas.latent.units.Address`).

    Raises:
        UsageError: one is out of range, or there are none.
    """
    if not units:
        raise UsageError("no units are given: name at least one.")
    names = run.unit_names
    return [addressed(unit, names, run.code_shape) for unit in units]


def all_units(run: Run) -> list[Address]:
    """The addresses of all units; of a spatial code those of its channels, each everywhere."""
    return list(range(run.code_shape[0]))


def numbers_of(units: Sequence[Address]) -> Array:
    """Addresses as an array: ``[U]``, or ``[U, 3]`` where one is at a place; a channel everywhere then has -1, -1."""
    if all(isinstance(unit, int | np.integer) for unit in units):
        return np.array(units)
    rows = [(unit,) if isinstance(unit, int | np.integer) else tuple(unit) for unit in units]
    return np.array([(*row, -1, -1)[:3] for row in rows])


def called_from_one(unit: Address) -> int | list[int]:
    """An address as people count, in JSON."""
    return int(unit) + 1 if isinstance(unit, int | np.integer) else [int(one) + 1 for one in unit]


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


def busiest(run: Run, nats: Array | None, most: int) -> list[Address]:
    """The units (of a spatial code: channels) of highest rate, from 0, highest first; the first ones where no rates
    ``[D]`` are known."""
    every = all_units(run)
    if nats is None:
        return every[:most]
    order = np.argsort(-summed_units(nats, check_units(run, every)), kind="stable")
    return [int(unit) for unit in order[:most]]
