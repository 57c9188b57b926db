"""Structural similarity of images (Wang et al. 2004)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from zatlas.errors import UsageError

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # of values in [0, 1]


def gaussian_window(size: int = WINDOW, sigma: float = SIGMA) -> Tensor:
    """Weights of a Gaussian on size x size places, which add up to 1."""
    line = torch.exp(-((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    line = line / line.sum()
    return torch.outer(line, line)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    r"""SSIM of images ``[B, C, H, W]`` in [0, 1], the mean over places and channels, ``[B]`` in float64.

    .. math:: \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
              {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}

    with moments under a Gaussian window of 11x11 places and deviation 1.5, C_1 = 0.01^2 and C_2 = 0.03^2, at the places
    where the window lies wholly in the image (Wang et al. 2004, equation 13 and section III.B; no halving first).

    Raises:
        UsageError: images of different shapes, or smaller than the window.

    >>> float(ssim(torch.ones(1, 1, 16, 16), torch.ones(1, 1, 16, 16)))
    1.0
    """
    if x.shape != y.shape or x.dim() != 4 or min(x.shape[2:]) < WINDOW:
        raise UsageError(
            f"SSIM wants two sets of images [N, C, H, W] of {WINDOW}x{WINDOW} pixels or more, not {list(x.shape)} and "
            f"{list(y.shape)}."
        )
    channels = x.shape[1]
    window = gaussian_window().to(x.device).expand(channels, 1, WINDOW, WINDOW)
    a, b = x.double(), y.double()
    mean = lambda values: F.conv2d(values, window, groups=channels)
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return (above / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))).flatten(1).mean(1)
