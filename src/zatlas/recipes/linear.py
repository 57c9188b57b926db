"""Factor analysis as the start of a model of real columns."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch

from zatlas.types import Linear

Array = npt.NDArray[np.float64]


def linear_start(x: Array, latent_dim: int) -> Linear:
    r"""Factor analysis of rows ``[N, P]``, turned so that the posterior's units are independent.

    With :math:`\Psi^{-1/2} W = U S V^T`, z turned by V leaves the density as it is and makes M diagonal:

    .. math:: x = \mu + \Psi^{1/2} (U S z + \epsilon), \quad
              p(z|x) = N(\tfrac{S}{1 + S^2} U^T \Psi^{-1/2} (x - \mu), \tfrac{1}{1 + S^2})

    so a diagonal Gaussian posterior is exact, and the bound is log p(x). Three floors keep a column from earning an
    unbounded density. One row more is counted whose variance is all noise, so that no noise variance falls below
    1 / (N + 1) of its column's. No noise falls below the rounding error of values that lie a step apart,
    step / sqrt(12): of digits in 0..16 some columns are 0 but for a single 1, and a 5 in a new row would cost 16,000
    nats. A column that never changes has a noise of 1.
    """
    from sklearn.decomposition import FactorAnalysis

    n, size = x.shape
    spread = x.std(0)
    varies = spread > 1e-6
    scale = np.where(varies, spread, 1.0)
    rows = (x - x.mean(0)) / scale
    units = min(latent_dim, int(varies.sum()), n - 1)
    weight, noise = np.zeros((size, latent_dim)), np.ones(size)
    if units:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not all the way to the optimum is far enough for a start
            found = FactorAnalysis(units, tol=1e-4 * n, svd_method="lapack").fit(rows[:, varies])
        weight[varies, :units] = found.components_.T
        noise[varies] = (n * found.noise_variance_ + 1) / (n + 1)
    steps = np.array([np.diff(np.unique(column)).min(initial=np.inf) for column in x.T])
    noise[varies] = np.maximum(noise, (steps / scale) ** 2 / 12)[varies]
    turned, strength, _ = np.linalg.svd(weight / np.sqrt(noise)[:, None], full_matrices=False)
    full = np.zeros((size, latent_dim))  # more units than columns: the others say nothing
    full[:, : len(strength)] = turned * strength
    as_float = lambda values: torch.from_numpy(np.ascontiguousarray(values)).float()
    return Linear(as_float(full), as_float(scale * np.sqrt(noise)))
