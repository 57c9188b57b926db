"""Mutual information of binned codes and integer factors, in nats."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.points import Points

BINS = 20  # Locatello et al. 2019, appendix on metrics
ROUNDING_NATS = 1e-12  # differences of entropies leave some 1e-15; one point of a million in another bin is 1e-10


def entropy(probabilities: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """-sum p log p in nats, where 0 log 0 is 0."""
    logs = np.log(probabilities, where=probabilities > 0, out=np.zeros_like(probabilities))
    return -(probabilities * logs).sum(axis=axis)


def histogram_bins(codes: Array, bins: int = BINS) -> Array:
    """For each unit the number 0..bins-1 of its bin of equal width between its extremes, ``[N, D]``."""
    edges = (np.histogram_bin_edges(unit, bins)[:-1] for unit in codes.T)
    return np.stack([np.digitize(unit, edge) - 1 for unit, edge in zip(codes.T, edges, strict=True)], axis=1)


class Information:
    """Mutual information of every unit with every factor by counting, for any weights of the points.

    Args:
        points: codes and factors.
        bins: of equal width, for each unit.
    """

    def __init__(self, points: Points, bins: int = BINS) -> None:
        units = np.arange(points.shape[0]) * bins + histogram_bins(points.codes, bins)
        self.bins, self.shape = bins, points.shape
        self.cells: list[tuple[int, Array, int]] = []  # factor, the cell of (unit, bin, value) [N * D], values
        for f in points.varied:
            values, label = np.unique(points.factors[:, f], return_inverse=True)
            self.cells.append((f, (units * len(values) + label[:, None]).ravel(), len(values)))

    def matrices(self, weights: Array | None = None) -> tuple[Array, Array]:
        """I(z_d; v_f) ``[D, F]`` and H(v_f) ``[F]``, zero for a factor that never changes.

        Zero is exact: what rounding leaves is nothing, or a ratio of two such numbers would be taken for a finding.
        """
        information, entropies = np.zeros(self.shape), np.zeros(self.shape[1])
        repeated = None if weights is None else np.repeat(weights, self.shape[0])
        for f, cells, values in self.cells:
            size = self.shape[0] * self.bins * values
            joint = np.bincount(cells, repeated, size).reshape(self.shape[0], self.bins, values).astype(np.float64)
            joint /= joint[0].sum()
            entropies[f] = entropy(joint[0].sum(axis=0))
            information[:, f] = entropy(joint.sum(axis=2)) + entropies[f] - entropy(joint, axis=(1, 2))
        return np.where(information > ROUNDING_NATS, information, 0.0), entropies
