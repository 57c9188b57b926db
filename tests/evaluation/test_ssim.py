"""SSIM against its formula, written out place by place."""

import math

import numpy as np
import pytest
import torch

from zatlas.errors import UsageError
from zatlas.evaluation.ssim import ssim


def written_out(x, y):
    """Equation 13 of Wang et al. 2004 with loops, for one grey image."""
    weights = np.array(
        [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)]
    )
    weights /= weights.sum()
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
            both = (weights * (a - ma) * (b - mb)).sum()
            values.append(
                (2 * ma * mb + 0.01**2) * (2 * both + 0.03**2) / ((ma**2 + mb**2 + 0.01**2) * (va + vb + 0.03**2))
            )
    return np.mean(values)


def test_it_is_the_formula():
    rng = np.random.default_rng(0)
    x = rng.random((2, 3, 14, 17))
    y = np.clip(x + 0.2 * rng.normal(size=x.shape), 0, 1)
    expected = [np.mean([written_out(a, b) for a, b in zip(p, q, strict=True)]) for p, q in zip(x, y, strict=True)]
    np.testing.assert_allclose(ssim(torch.tensor(x), torch.tensor(y)), expected, rtol=1e-9)


def test_it_is_scikit_image_s():
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(1)
    x = rng.random((20, 22))
    y = np.clip(x + 0.1 * rng.normal(size=x.shape), 0, 1)
    _, every = metrics.structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, win_size=11, full=True
    )
    mine = ssim(torch.tensor(x)[None, None], torch.tensor(y)[None, None])
    assert float(mine) == pytest.approx(every[5:-5, 5:-5].mean(), abs=1e-6)


def test_images_smaller_than_the_window():
    with pytest.raises(UsageError, match="11x11 pixels or more"):
        ssim(torch.zeros(1, 1, 10, 12), torch.zeros(1, 1, 10, 12))
