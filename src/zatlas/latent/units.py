"""How units are called, and which numbers of a code each of them is.

A code is a row of D numbers. Of a spatial code, whose shape is [C, h, w], a unit is one channel at one place, and what
is moved or spoken of may also be a channel everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError

Address = int | tuple[int, ...]  # from 0: a unit; of a spatial code a channel, or (channel, row, column)


class Unit(NamedTuple):
    """A name, and the numbers of a code ``[D]`` that it stands for: one, or those of a channel at all places."""

    name: str
    at: tuple[int, ...]


def code_shape(model: object) -> tuple[int, ...]:
    """``(C, h, w)`` of the codes of a model of one layer that is a map; else ``(D,)``, all levels side by side."""
    shapes: tuple[tuple[int, ...], ...] = getattr(model, "code_shapes", ())
    if len(shapes) == 1 and len(shapes[0]) == 3:
        return shapes[0]
    return (sum(getattr(model, "latent_dims", ())),)


def unit_names(latent_dims: Sequence[int], shapes: Sequence[tuple[int, ...]] | None = None) -> list[str]:
    """Names of all D units: by number, by channel and place (row, column) where a level is a map, all from 1; and by
    level first where there are several levels, top first.

    Args:
        latent_dims: D of each level.
        shapes: of each level, ``(D,)`` or ``(C, h, w)``; None: no level is a map.

    >>> unit_names([3]), unit_names([1, 2])
    (['z1', 'z2', 'z3'], ['z1.1', 'z2.1', 'z2.2'])
    >>> unit_names([4], [(2, 1, 2)])
    ['c1 (1, 1)', 'c1 (1, 2)', 'c2 (1, 1)', 'c2 (1, 2)']
    """
    several = len(latent_dims) > 1
    names = []
    for level, shape in enumerate(shapes or [(units,) for units in latent_dims], 1):
        if len(shape) == 3:
            before = f"z{level}." if several else ""
            names += [f"{before}c{c + 1} ({i + 1}, {j + 1})" for c, i, j in np.ndindex(*shape)]
        else:
            names += [f"z{level}.{unit + 1}" if several else f"z{unit + 1}" for unit in range(prod(shape))]
    return names


def units_of(names: Sequence[str], shape: tuple[int, ...]) -> list[Unit]:
    """What is moved where nobody says what: every unit; of a spatial code every channel, everywhere.

    >>> [unit.name for unit in units_of(unit_names([8], [(2, 2, 2)]), (2, 2, 2))]
    ['c1', 'c2']
    """
    count = shape[0] if len(shape) == 3 else len(names)
    return [addressed(unit, names, shape) for unit in range(count)]


def addressed(address: Address, names: Sequence[str], shape: tuple[int, ...]) -> Unit:
    """The unit at an address.

    Args:
        address: from 0. A number is a unit or, of a spatial code, a channel everywhere; three are channel, row, column.
        names: of all D units.
        shape: of the code, ``(D,)`` or ``(C, h, w)``.

    Raises:
        UsageError: there is no such unit.

    >>> addressed((1, 0, 1), unit_names([8], [(2, 2, 2)]), (2, 2, 2))
    Unit(name='c2 (1, 2)', at=(5,))
    """
    place = (address,) if isinstance(address, int | np.integer) else tuple(address)
    spatial = len(shape) == 3
    known = f"units 1 to {len(names)}" if not spatial else f"channels 1 to {shape[0]} on {shape[1]}x{shape[2]} places"
    fits = len(place) == 1 or (spatial and len(place) == 3)
    limits = (shape if spatial else (len(names),))[: len(place)]
    if not fits or not all(0 <= one < most for one, most in zip(place, limits, strict=False)):
        called = ",".join(str(one + 1) for one in place)
        raise UsageError(f"there is no unit {called}: this model has {known}.")
    if not spatial:
        return Unit(names[place[0]], (int(place[0]),))
    places = shape[1] * shape[2]
    if len(place) == 1:
        first = int(place[0]) * places
        return Unit(f"c{place[0] + 1}", tuple(range(first, first + places)))
    at = int(np.ravel_multi_index(place, shape))
    return Unit(names[at], (at,))


def gathered_units(codes: Array, units: Sequence[Unit]) -> Array:
    """Codes ``[N, D]`` as one number for each unit ``[N, U]``: a channel everywhere is its mean over all places."""
    return np.stack([codes[:, list(unit.at)].mean(1) for unit in units], 1)


def summed_units(rates: Array, units: Sequence[Unit]) -> Array:
    """Nats of each number ``[D]`` as those of each unit ``[U]``: the sum over its numbers."""
    return np.array([rates[list(unit.at)].sum() for unit in units])
