"""Grids and lines through the latent space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Decode = Callable[[Array], Array]  # codes [N, D] to means [N, *data]


class Manifold(NamedTuple):
    """Images ``[n, n, *data]`` over two units; row 0 has the largest second coordinate. Ticks ascend, ``[n]``."""

    images: Array
    ticks: Array


def manifold(
    decode: Decode,
    *,
    latent_dim: int = 2,
    units: tuple[int, int] = (0, 1),
    n: int = 20,
    span: float = 2.0,
    spacing: Literal["even", "quantile"] = "even",
    centre: Array | None = None,
) -> Manifold:
    """Decodes an n x n grid in the plane of two units.

    Args:
        decode: codes to images.
        latent_dim: D.
        units: the two units that span the plane.
        n: points a side.
        span: ``"even"``: the grid covers [-span, span].
        spacing: ``"quantile"``: at the standard normal's quantiles (i + 1/2)/n instead, so that each tile stands for
            the same share of the prior (Kingma & Welling 2014, figure 4).
        centre: the code ``[D]`` that the other units keep; None: zero.
    """
    quantile = NormalDist().inv_cdf  # scipy's takes over a second to import
    ticks = np.linspace(-span, span, n) if spacing == "even" else np.array([quantile((i + 0.5) / n) for i in range(n)])
    codes = np.zeros((n, n, latent_dim), np.float32)
    codes[...] = 0 if centre is None else centre
    codes[:, :, units[0]] = ticks[None, :]
    codes[:, :, units[1]] = ticks[::-1, None]
    images = decode(codes.reshape(n * n, latent_dim))
    return Manifold(images.reshape(n, n, *images.shape[1:]), ticks)


class Traversal(NamedTuple):
    """Images ``[units, steps, *data]``, the units, and the values ``[steps]`` that each took."""

    images: Array
    units: tuple[int, ...]
    values: Array


def traverse(
    decode: Decode,
    *,
    latent_dim: int,
    units: Sequence[int],
    steps: int = 11,
    span: float = 2.5,
    centre: Array | None = None,
) -> Traversal:
    """Moves one unit at a time over [-span, span], the others kept at ``centre`` (None: zero)."""
    values = np.linspace(-span, span, steps)
    codes = np.zeros((len(units), steps, latent_dim), np.float32)
    codes[...] = 0 if centre is None else centre
    for row, unit in enumerate(units):
        codes[row, :, unit] = values
    images = decode(codes.reshape(-1, latent_dim))
    return Traversal(images.reshape(len(units), steps, *images.shape[1:]), tuple(units), values)
