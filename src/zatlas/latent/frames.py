"""Frames in which codes have mean 0 and variance 1, and the way back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import ZatlasError

# Where codes do not vary the density would be unbounded.
NARROWEST_VARIANCE = 1e-6  # of that along the widest direction
NARROWEST_WIDTH = 1e-3  # of the widest unit's deviation


class White(NamedTuple):
    """z = centre + axes (widths * u), with u of mean 0 and covariance I: ``[D]``, ``[D, D]`` and ``[D]``, float64."""

    centre: Array
    axes: Array
    widths: Array

    @classmethod
    def of(cls, z: Array) -> White:
        """The principal axes of codes ``[N, D]``, none taken to be narrower than ``NARROWEST_VARIANCE`` says.

        Raises:
            ZatlasError: all codes are the same.
        """
        if (z == z[0]).all():
            raise ZatlasError("all codes are the same: there is no distribution to fit.")
        variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(z.T)))
        return cls(z.mean(0), axes, np.sqrt(variances.clip(NARROWEST_VARIANCE * variances[-1])))

    def whiten(self, z: Array) -> Array:
        return (z - self.centre) @ self.axes / self.widths

    def colour(self, u: Array) -> Array:
        return self.centre + (u * self.widths) @ self.axes.T

    @property
    def log_determinant(self) -> float:
        """log |det dz/du|."""
        return float(np.log(self.widths).sum())

    @property
    def spread(self) -> Array:
        """dz/du, a matrix ``[D, D]``."""
        return self.axes * self.widths


class Scaled(NamedTuple):
    """z = centre + widths * u, with u of mean 0 and variance 1: ``[D]`` each, float64."""

    centre: Array
    widths: Array

    @classmethod
    def of(cls, mean: Array, std: Array, shape: tuple[int, ...]) -> Scaled:
        """Mean and deviation of draws from the posteriors: of every unit of a row, of every channel of a map.

        Args:
            mean: of the posteriors ``[N, D]``.
            std: their deviations ``[N, D]``.
            shape: of a code, ``(D,)`` or ``(C, h, w)``.

        Raises:
            ZatlasError: all codes are the same.
        """
        grouped = lambda values: values.reshape(len(values), shape[0], -1)
        # a mean over examples and places of E[z], and of var[z] = E[std^2] + var[mean]
        centre = grouped(mean).mean((0, 2), dtype=np.float64)
        within, between = np.square(grouped(std)), np.square(grouped(mean) - centre[:, None].astype(mean.dtype))
        variance = within.mean((0, 2), dtype=np.float64) + between.mean((0, 2), dtype=np.float64)
        if not variance.max() > 0:
            raise ZatlasError("all codes are the same: there is no distribution to fit.")
        widths = np.sqrt(variance)
        widths = widths.clip(NARROWEST_WIDTH * widths.max())
        places = int(np.prod(shape[1:]))
        return cls(centre.repeat(places), widths.repeat(places))

    def whiten(self, z: Array) -> Array:
        return (z - self.centre) / self.widths

    def colour(self, u: Array) -> Array:
        return self.centre + u * self.widths

    @property
    def log_determinant(self) -> float:
        """log |det dz/du|."""
        return float(np.log(self.widths).sum())

    @property
    def spread(self) -> Array:
        """dz/du: a matrix's diagonal ``[D]``."""
        return self.widths
