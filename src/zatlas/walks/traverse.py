"""What each latent unit does, moved by itself."""

from __future__ import annotations

import numpy as np

from zatlas import figures
from zatlas.figures import View, arrays
from zatlas.latent import traverse as walk_units
from zatlas.latent import unit_names
from zatlas.opened import Experiment
from zatlas.walks.shared import check_units, code_of, displayed, means, need_axes

MOST_UNITS = 10


def traverse(
    experiment: Experiment,
    *,
    units: tuple[int, ...] | None = None,
    steps: int = 11,
    span: float = 2.5,
    row: int | None = None,
    label: str | None = None,
) -> View:
    """Each unit moved over [-span, span] while the others stay.

    Args:
        experiment: an opened run.
        units: from 0; None: the ten of highest rate (of a model that only generates and has no rates, the first ten).
        steps: images a row.
        span: in units of the code.
        row: the others stay at the code of this row of the data; None: at zero, the prior's mean.
        label: class of a conditional model; None: the first.

    Returns:
        mean ``[units, steps, *data]``, units (from 0), values ``[steps]``, rates ``[units]`` in nats.

    Raises:
        UsageError: a unit, a row or a class that is not there, or codes without axes.
    """
    need_axes(experiment, "units to move")
    rates = experiment.unit_rates() if experiment.kind.infers else None
    if units is None:
        order = np.arange(experiment.latent_dim) if rates is None else np.argsort(-rates, kind="stable")
        units = tuple(int(u) for u in order[:MOST_UNITS])
    walk = walk_units(
        means(experiment, label),
        latent_dim=experiment.latent_dim,
        units=check_units(experiment, units),
        steps=steps,
        span=span,
        centre=None if row is None else code_of(experiment, row),
    )
    moved = None if rates is None else rates[list(units)]
    names = [unit_names(experiment.model.latent_dims)[unit] for unit in walk.units]
    figure = None
    if experiment.spec.is_image:
        figure = figures.traversals(displayed(experiment, walk.images), names, walk.values, moved)
    return View(
        arrays(mean=walk.images, units=walk.units, values=walk.values, rates=moved),
        figure,
        "Traversals: a row for each latent unit, moved from low to high while the others stay.",
    )
