"""Whether a mean of weights can be trusted: the shape k of the Pareto tail of the largest (Vehtari et al. 2024)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

HEAVY = 0.7  # above it no practical number of draws makes the mean accurate (Vehtari et al. 2024, section 3.2.2)
FEWEST_WEIGHTS = 25  # whose largest fifth is the fewest that a tail is fitted to
FEWEST_IN_TAIL = 5
LEVEL = 1e-3  # the largest weights differ by less than this share: their tail is bounded, or mere rounding
PRIOR_K, PRIOR_WEIGHT = 0.5, 10  # the fit is drawn towards 0.5 as by ten more weights (Vehtari et al. 2024, appendix G)


def tail_size(samples: int) -> int:
    """M = min(K / 5, 3 sqrt K) rounded up: how many of K weights the tail is fitted to; 0 for fewer than 25."""
    return 0 if samples < FEWEST_WEIGHTS else math.ceil(min(samples / 5, 3 * math.sqrt(samples)))


def pareto_k(log_w: Tensor) -> Tensor:
    r"""The shape k of a generalised Pareto distribution fitted to the largest weights of each example, ``[B]``.

    The weights have 1/k finite moments: below 0.5 their mean has a variance; from 0.7 on its error falls so slowly with
    the number of draws that an estimate says little. The fit is that of Zhang & Stephens 2009 (a posterior mean over a
    grid of :math:`\theta`, where :math:`k(\theta) = \mathrm{mean} \log(1 - \theta x)` for exceedances x).

    Args:
        log_w: the M + 1 largest log weights of each of B examples, ``[M + 1, B]``, in any order; the least of each is
            the threshold.

    Returns:
        In double precision; 0 where the largest weights are level, infinity where fewer than five exceed the threshold.
    """
    sorted_w = log_w.double().T.sort(1).values
    threshold, largest = sorted_w[:, :1], sorted_w[:, -1:]
    x = (sorted_w[:, 1:] - largest).exp() - (threshold - largest).exp()  # [B, M], those above first being 0 in ties
    size = x.shape[1]
    above = (x > 0).sum(1, keepdim=True)
    level = x[:, -1:] < LEVEL
    fits = ~level & (above >= FEWEST_IN_TAIL)
    x = torch.where(fits, x, torch.linspace(1 / size, 1, size, dtype=x.dtype, device=x.device))  # any tail would do
    above = torch.where(fits, above, size)
    quartile = x.gather(1, size - above + (above / 4 + 0.5).long() - 1)
    points = 30 + math.isqrt(size)
    j = torch.arange(1, points + 1, dtype=x.dtype, device=x.device)
    theta = 1 / x[:, -1:] + (1 - (points / (j - 0.5)).sqrt()) / (3 * quartile)  # [B, G]
    k = torch.log1p(-theta[..., None] * x[:, None]).sum(-1) / above
    log_profile = above * ((-theta / k).log() - k - 1)
    mean_theta = (log_profile.nan_to_num(-math.inf).softmax(1) * theta).sum(1, keepdim=True)
    k = torch.log1p(-mean_theta * x).sum(1, keepdim=True) / above
    k = (above * k + PRIOR_WEIGHT * PRIOR_K) / (above + PRIOR_WEIGHT)
    return torch.where(fits, k, torch.where(level, 0.0, math.inf))[:, 0]
