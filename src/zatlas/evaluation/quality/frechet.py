"""The Fréchet distance of two sets of features, each taken for a Gaussian."""

from __future__ import annotations

import math

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import check_pair

ADVISED_PER_FEATURE = 10  # there the floor is about a twentieth of the features' variance


def frechet_distance(a: Array, b: Array) -> Score:
    r"""The squared 2-Wasserstein distance of the Gaussians with the sets' moments (Heusel et al. 2017, equation 6).

    .. math:: |\mu_a - \mu_b|^2 + \operatorname{tr} A + \operatorname{tr} B
              - 2 \operatorname{tr} (A^{1/2} B A^{1/2})^{1/2}

    The last trace is the sum of the singular values of A^{1/2} B^{1/2}: real, and exact for singular covariances too,
    where the square root of the product A B is not. Two sets of one distribution, equally spread over the features,
    are about (F + 5) / 4 (1 / N + 1 / M) of its variance apart: compare a distance with one of the same N, and with
    the floor.

    The standard error is over both sets redrawn, and says nothing of that bias. Its first part is linear (Rippl et al.
    2016): with T the linear map that carries the first Gaussian to the second, an example x of the first moves the
    distance by 2 (mu_a - mu_b) (x - mu_a) + (x - mu_a) (I - T) (x - mu_a). As mu and T are of the same examples, it
    counts twice what is quadratic in the difference, which is taken off once; see ``_quadratic``.

    Args:
        a: features ``[N, F]``.
        b: features ``[M, F]``.

    Returns:
        The distance; parts ``means`` and ``covariances`` add up to it. A warning where F needs more examples.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 examples.
    """
    a, b = check_pair(a, b)
    shift = a.mean(axis=0) - b.mean(axis=0)
    centred = [x - x.mean(axis=0) for x in (a, b)]
    roots, inverses = zip(*(_roots(x.T @ x / (len(x) - 1)) for x in centred), strict=True)
    left, singular, right = np.linalg.svd(roots[0] @ roots[1])
    means = float(shift @ shift)
    covariances = float(max(0.0, sum((root**2).sum() for root in roots) - 2 * singular.sum()))
    polar = left @ right  # A^1/2 B^1/2 = (left singular left^T) polar
    maps = (inverses[0] @ polar @ roots[1], inverses[1] @ polar.T @ roots[0])
    moved = [
        2 * sign * (x @ shift) + ((x - x @ (t + t.T) / 2) * x).sum(axis=1)
        for x, t, sign in zip(centred, maps, (1, -1), strict=True)
    ]
    linear = sum(m.var(ddof=1) / len(m) for m in moved)
    error = math.sqrt(max(linear - _quadratic(*centred), linear / 2))
    count, width = min(len(a), len(b)), a.shape[1]
    estimator = f"Fréchet distance of {width} features"
    figure = Figure(means + covariances, error, count, estimator, over="examples of each set")
    return Score(figure, {"means": means, "covariances": covariances}, {}, _few(count, width))


def _roots(covariance: Array) -> tuple[Array, Array]:
    """The symmetric square root of a covariance and its pseudo-inverse, ``[F, F]``."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.where(values > len(values) * np.finfo(np.float64).eps * values.max(), values, 0.0)
    inverse = np.divide(1, np.sqrt(values), out=np.zeros_like(values), where=values > 0)
    return vectors * np.sqrt(values) @ vectors.T, vectors * inverse @ vectors.T


def _quadratic(a: Array, b: Array) -> float:
    r"""The variance of the distance of two sets of one distribution, 2 (1/N + 1/M)^2 E h(x, y)^2.

    .. math:: h(x, y) = \sum_i x_i y_i + \frac12 \sum_{ij}
              \frac{(x_i x_j - \lambda_i \delta_{ij}) (y_i y_j - \lambda_i \delta_{ij})}{\lambda_i + \lambda_j}

    in the axes of their common covariance, with its eigenvalues: the distance is the double sum of h over the
    difference of the two empirical distributions, up to third order. The mean is over pairs of one row of each centred
    set, and so holds for features of any distribution.
    """
    values, vectors = np.linalg.eigh((a.T @ a + b.T @ b) / (len(a) + len(b)))
    values = values.clip(0)
    sums = values[:, None] + values
    weights = np.divide(
        1, sums, out=np.zeros_like(sums), where=sums > len(values) * np.finfo(np.float64).eps * sums.max()
    )
    pairs = min(len(a), len(b))
    x, y = a[:pairs] @ vectors, b[:pairs] @ vectors
    both, own = x * y, (x**2 + y**2 - values) @ (values * np.diag(weights))
    h = both.sum(axis=1) + (((both @ weights) * both).sum(axis=1) - own) / 2
    return float(2 * (1 / len(a) + 1 / len(b)) ** 2 * (h**2).mean())


def _few(count: int, width: int) -> tuple[str, ...]:
    advised = ADVISED_PER_FEATURE * width
    if count > width:
        told = f"{count} examples are few for the covariance of {width} features: {advised} are advised."
        return (told,) if count < advised else ()
    return (
        f"{count} examples leave the covariance of {width} features singular: more than {width} are needed, and "
        f"{advised} are advised.",
    )
