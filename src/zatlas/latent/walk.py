"""Grids of a plane and lines along the units, decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.latent.planes import Plane

Decode = Callable[[Array], Array]  # codes [N, D] to means [N, *data]


class Manifold(NamedTuple):
    """Images ``[rows, columns, *data]`` over a plane, row 0 at the largest b; and the coordinates, ascending."""

    images: Array
    a: Array
    b: Array


def ticks(n: int, span: float = 2.0, spacing: Literal["even", "quantile"] = "even") -> Array:
    """n coordinates, ascending.

    Args:
        n: how many.
        span: ``"even"``: they cover [-span, span].
        spacing: ``"quantile"``: at the standard normal's quantiles (i + 1/2)/n instead, so that each stands for the
            same share of the prior (Kingma & Welling 2014, figure 4).
    """
    quantile = NormalDist().inv_cdf  # scipy's takes over a second to import
    return np.linspace(-span, span, n) if spacing == "even" else np.array([quantile((i + 0.5) / n) for i in range(n)])


def manifold(decode: Decode, plane: Plane, a: Array, b: Array | None = None) -> Manifold:
    """Decodes a grid of a plane at coordinates a ``[columns]`` and b ``[rows]`` (None: the same), ascending."""
    b = a if b is None else b
    codes = plane.codes(a, b[::-1])
    images = decode(codes.reshape(-1, codes.shape[-1]))
    return Manifold(images.reshape(*codes.shape[:2], *images.shape[1:]), a, b)


class Traversal(NamedTuple):
    """Images ``[units, steps, *data]``, the units, and the values ``[steps]`` that each took."""

    images: Array
    units: tuple[int | Sequence[int], ...]
    values: Array


def traverse(
    decode: Decode,
    *,
    latent_dim: int,
    units: Sequence[int | Sequence[int]],
    steps: int = 11,
    span: float = 2.5,
    centre: Array | None = None,
) -> Traversal:
    """Moves one unit at a time over [-span, span], the others kept at ``centre`` (None: zero).

    A unit is one number of the code, which takes the values; or several, as a channel everywhere is: they are moved by
    the values from where the centre has each of them, so that their differences stay.
    """
    values = np.linspace(-span, span, steps)
    codes = np.zeros((len(units), steps, latent_dim), np.float32)
    codes[...] = 0 if centre is None else centre
    for code, unit in zip(codes, units, strict=True):
        at = [unit] if isinstance(unit, int | np.integer) else list(unit)
        code[:, at] = values[:, None] + (code[:, at] if len(at) > 1 else 0)
    images = decode(codes.reshape(-1, latent_dim))
    return Traversal(images.reshape(len(units), steps, *images.shape[1:]), tuple(units), values)
