"""What each latent unit does, moved by itself."""

from __future__ import annotations

from collections.abc import Sequence

from zatlas import figures
from zatlas.figures import View, arrays
from zatlas.latent import Address, summed_units
from zatlas.latent import traverse as walk_units
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.shared import (
    busiest,
    called_from_one,
    check_units,
    codes_of,
    displayed,
    means,
    need_axes,
    numbers_of,
    rates,
)

MOST_UNITS = 10


@walk("traverse", when="one unit after another moved, the others held")
def traverse(
    run: Run,
    *,
    units: Sequence[Address] | None = None,
    steps: int = 11,
    span: float = 2.5,
    row: int | None = None,
    label: str | None = None,
) -> View:
    """Each unit moved over [-span, span] while the others stay.

    Args:
        run: an opened run.
        units: from 0; None: the ten of highest rate (of a model that has no rates, the first ten). Of a spatial code a
            number is a channel everywhere, which is moved by the values, and (channel, row, column) is one at a place.
        steps: images a row.
        span: in units of the code.
        row: the others stay at the code of this row of the data; None: at zero, the prior's mean.
        label: class of a conditional model; None: that of the row, or the first.

    Returns:
        mean ``[units, steps, *data]``, units ``[units]`` (from 0; where one is at a place ``[units, 3]``, see
        :func:`zatlas.walks.shared.numbers_of`), values ``[steps]``, rates ``[units]`` in nats; frames in which all
        units move at once.

    Raises:
        UsageError: a unit, a row or a class that is not there, or codes without axes.
    """
    need_axes(run, "units to move")
    nats, dims = rates(run), run.latent_dim
    units = busiest(run, nats, MOST_UNITS) if units is None else units
    chosen = check_units(run, units)
    codes = None if row is None else codes_of(run, [row])
    walk = walk_units(
        means(run, label, None if codes is None else codes.y),
        latent_dim=dims,
        units=[unit.at for unit in chosen],
        steps=steps,
        span=span,
        centre=None if codes is None else codes.mean[0],
    )
    moved = None if nats is None else summed_units(nats, chosen)
    names = [unit.name for unit in chosen]
    figure = frames = None
    if run.spec.is_image:
        pictures = displayed(run, walk.images)
        figure = figures.traversals(pictures, names, walk.values, moved)
        frames = figures.moving(pictures.swapaxes(0, 1), names)
    dead = 0 if moved is None else int((moved < figures.DEAD_NATS).sum())
    at = "the mean of the prior" if row is None else f"the code of row {row}"
    where = " A channel is moved everywhere at once." if any(len(unit.at) > 1 for unit in chosen) else ""
    return View(
        arrays(mean=walk.images, units=numbers_of(units), values=walk.values, rates=moved),
        figure,
        f"Traversals: a row for each latent unit, moved from {-span:g} to {span:g} while the others stay at {at}."
        f"{where}",
        (f"{dead} of the {len(units)} units carry nothing: their rate is below {figures.DEAD_NATS} nats.",)
        if dead
        else (),
        {"units": [called_from_one(unit) for unit in units], "rates_nats": None if moved is None else moved.tolist()},
        frames,
    )
