"""The mutual information gap, of binned means and of draws from the posterior."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.information import BINS, Information, entropy
from zatlas.evaluation.disentanglement.points import Points, check_codes, check_points
from zatlas.evaluation.disentanglement.score import Score, if_unknown, jackknife_error, top_gap
from zatlas.evaluation.figure import Figure

_ROWS_AT_ONCE = 64  # a block of densities stays in the cache


def normalised_gaps(information: Array, entropies: Array) -> Array:
    """The gap of each factor as a share of its entropy, ``[F]``; zero where that is zero."""
    return np.divide(top_gap(information), entropies, out=np.zeros_like(entropies), where=entropies > 0)


def _mean(gaps: Array, points: Points) -> float:
    return float(gaps[list(points.varied)].mean()) if points.varied else 0.0


def mig_histogram(codes: Array, factors: Array, *, bins: int = BINS, seed: int = 0) -> Score:
    r"""Mutual information gap with each unit in a histogram (Chen et al. 2018; as estimated by Locatello et al. 2019).

    .. math:: \frac1F \sum_f \frac{I(z_{(1)}; v_f) - I(z_{(2)}; v_f)}{H(v_f)}

    where (1) and (2) are the two units that tell most of factor f. Counting is biased upwards by about
    (bins - 1)(values - 1) / 2N nats, much the same for both units of a gap.

    Args:
        codes: posterior means ``[N, D]``.
        factors: integers ``[N, F]``.
        bins: of equal width between a unit's extremes.
        seed: of the groups that the standard error is from.

    Returns:
        The score; ``"information"`` ``[D, F]`` and ``"entropy"`` ``[F]`` in nats, ``"gap"`` ``[F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.

    >>> grid = np.indices((3, 4, 5)).reshape(3, -1).T
    >>> round(mig_histogram(grid, grid).value, 6)
    1.0
    """
    points = check_points(codes, factors)
    counted = Information(points, bins)
    information, entropies = counted.matrices()
    gaps = normalised_gaps(information, entropies)
    error = jackknife_error(lambda w: _mean(normalised_gaps(*counted.matrices(w)), points), len(points), seed)
    figure = Figure(
        _mean(gaps, points),
        error,
        len(points),
        f"MIG, posterior means in {bins} bins of equal width",
        over="points",
        caution=if_unknown(error),
    )
    return Score(figure, {}, {"information": information, "entropy": entropies, "gap": gaps}, points.warnings)


def mig_sampled(means: Array, log_variances: Array, factors: Array, *, samples: int = 10_000, seed: int = 0) -> Score:
    r"""Mutual information gap with draws from q(z|x), as it was first defined (Chen et al. 2018, section 4.1).

    .. math:: I(z_d; v_f) = E\left[\log q(z_d | v_f) - \log q(z_d)\right],\qquad
              q(z_d | v) = \frac1{N_v} \sum_{n: v_n = v} q(z_d | x_n)

    over draws of a point and of z from its posterior. Both terms are taken at the same draws, so that what is noise in
    one is noise in the other. No bins, and no dependence on the units' scale.

    Args:
        means: ``[N, D]``.
        log_variances: ``[N, D]``, of the Gaussian posteriors.
        factors: integers ``[N, F]``.
        samples: draws, one a point; N where that is less.
        seed: of the draws.

    Returns:
        The score; ``"information"`` ``[D, F]`` and ``"entropy"`` ``[F]`` in nats, ``"gap"`` ``[F]``.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    points = check_points(means, factors, "the means")
    log_variances = check_codes(log_variances, "the log-variances")
    if log_variances.shape != points.codes.shape:
        raise UsageError(
            f"the log-variances are {log_variances.shape} and the means {points.codes.shape}; they must be alike."
        )
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(points))[:samples]
    labels, shares = _one_hot(points)
    entropies = np.zeros(points.shape[1])
    entropies[list(points.varied)] = [entropy(share[share > 0]) for share in shares.T]
    pointwise = np.zeros((len(rows), *points.shape))
    for d in range(points.shape[0]):
        noise = rng.standard_normal(len(rows))
        found = _log_ratios(points.codes[:, d], log_variances[:, d], rows, noise, labels, shares)
        pointwise[:, d, list(points.varied)] = found
    information = pointwise.mean(axis=0)
    gaps = normalised_gaps(information, entropies)
    figure = Figure(
        _mean(gaps, points),
        math.nan,
        len(rows),
        "MIG, draws from q(z|x) under the aggregate of all posteriors",
        over="draws",
        caution="Its standard error is not known: every draw is beside the same aggregate of all points.",
    )
    return Score(figure, {}, {"information": information, "entropy": entropies, "gap": gaps}, points.warnings)


def _one_hot(points: Points) -> tuple[Array, Array]:
    """Every value of every varied factor as a column of 0 and 1 ``[N, V]``, and the shares ``[V, F varied]``."""
    columns, owner = [], []
    for i, f in enumerate(points.varied):
        values = np.unique(points.factors[:, f])
        columns.append(points.factors[:, f, None] == values)
        owner += [i] * len(values)
    if not columns:
        return np.zeros((len(points), 0), np.float32), np.zeros((0, 0))
    labels = np.concatenate(columns, axis=1).astype(np.float32)
    shares = np.zeros((labels.shape[1], len(points.varied)))
    shares[np.arange(len(owner)), owner] = labels.mean(axis=0, dtype=np.float64)
    return labels, shares


def _log_ratios(mean: Array, log_variance: Array, rows: Array, noise: Array, labels: Array, shares: Array) -> Array:
    """log q(z|v_f) - log q(z) for one unit at z = mean + stddev * noise of ``rows``, ``[S, F varied]``.

    Densities are relative to that of the draw's own posterior, which is in both sums: neither can underflow.
    """
    log_stddev = log_variance / 2
    middle = mean.mean(dtype=np.float64)  # differences of float32 are taken near zero
    scale, log_scale, centre = (x.astype(np.float32) for x in (np.exp(-log_stddev), log_stddev, mean - middle))
    draws = (mean[rows] - middle + np.exp(log_stddev[rows]) * noise).astype(np.float32)
    offset = (log_stddev[rows] + noise**2 / 2).astype(np.float32)
    out = np.empty((len(rows), shares.shape[1]))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        own = rows[part]
        density = draws[part, None] - centre
        density *= scale
        density *= density
        density *= np.float32(-0.5)
        density += offset[part, None] - log_scale
        np.exp(density, out=density)
        by_value = density @ labels / len(mean)  # the joint density of z and of each value
        of_own = (by_value * labels[own]) @ (shares > 0)
        share = labels[own] @ shares
        out[part] = np.log(of_own / share) - np.log(density.mean(axis=1, dtype=np.float64))[:, None]
    return out
