"""Planes through the latent space: of two units, of three codes, of the widest spread of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError


class Plane(NamedTuple):
    """The codes z = origin + a across + b up, each ``[D]``; a and b are its coordinates."""

    origin: Array
    across: Array
    up: Array

    def codes(self, a: Array, b: Array) -> Array:
        """Codes ``[len(b), len(a), D]`` on a grid, row 0 at b[0]."""
        return self.origin + a[None, :, None] * self.across + b[:, None, None] * self.up


def plane_of_units(
    latent_dim: int, units: tuple[int | Sequence[int], int | Sequence[int]], centre: Array | None = None
) -> Plane:
    """The plane of two units, from 0, the others kept at ``centre`` ``[D]`` (None: zero); a unit of several numbers, as
    a channel at all places is, has the same value in all of them."""
    origin = np.zeros(latent_dim) if centre is None else np.array(centre, np.float64)
    axes = np.zeros((2, latent_dim))
    for axis, unit in zip(axes, units, strict=True):
        axis[unit if isinstance(unit, int) else list(unit)] = 1.0
    origin[axes.any(0)] = 0.0
    return Plane(origin, axes[0], axes[1])


def plane_through(codes: Array) -> Plane:
    """The plane of three codes ``[3, D]``, which lie at (0, 0), (1, 0) and (0, 1).

    At (1, 1) is the second plus the third less the first, the analogy that a J-diagram shows (White 2016).

    Raises:
        UsageError: they lie on one line, or are not three.
    """
    if codes.ndim != 2 or len(codes) != 3:
        raise UsageError(f"a plane goes through three codes [3, D], and these are {list(codes.shape)}.")
    first, second, third = codes.astype(np.float64)
    plane = Plane(first, second - first, third - first)
    if np.linalg.matrix_rank(np.stack(plane[1:]), rtol=1e-6) < 2:
        raise UsageError("three codes on one line have no plane of their own: choose other images.")
    return plane


class Principal(NamedTuple):
    """The plane of the two directions in which codes vary most, in standard deviations of each about their mean."""

    plane: Plane
    directions: Array  # [2, D], orthonormal
    deviations: Array  # [2]
    shares: Array  # of the variance [2]

    def project(self, codes: Array) -> Array:
        """Codes ``[N, D]`` in the plane, ``[N, 2]``, in the units of the codes."""
        return (codes - self.plane.origin) @ self.directions.T


def principal(codes: Array) -> Principal:
    """The first two principal components of codes ``[N, D]``, each so turned that its largest weight is positive.

    Raises:
        UsageError: fewer than three codes, or codes of one unit.
    """
    if codes.ndim != 2 or len(codes) < 3 or codes.shape[1] < 2:
        raise UsageError(
            f"codes of shape {list(codes.shape)} have no two principal directions: give [N, D], N >= 3, D >= 2."
        )
    mean = codes.mean(0, dtype=np.float64)
    _, values, directions = np.linalg.svd(codes - mean, full_matrices=False)
    first = directions[:2]
    largest = np.take_along_axis(first, np.abs(first).argmax(1)[:, None], 1)
    first = first * np.where(largest < 0, -1.0, 1.0)
    deviations = values[:2] / np.sqrt(len(codes) - 1)
    shares = values[:2] ** 2 / max(float((values**2).sum()), 1e-300)
    across, up = deviations[:, None] * first
    return Principal(Plane(mean, across, up), first, deviations, shares)
