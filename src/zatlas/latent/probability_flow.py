"""The flow of a velocity: draws by solving its equation forwards, log densities by solving it backwards.

A velocity is a function of a time ``[]`` and codes ``[B, D]``, which gives dv/dt ``[B, D]``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from zatlas.arrays import Array
from zatlas.distributions.gaussian import LOG_2PI

VelocityOf = Callable[[Tensor, Tensor], Tensor]
Rates = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

EXACT_UP_TO = 16  # units: beyond, the trace of the Jacobian is estimated


class Estimate(NamedTuple):
    """Log densities of N points with what they may be off, ``[N]`` each, float64.

    Attributes:
        nats: the log density.
        error_nats: standard error of the estimate of the trace; 0 where the trace is exact.
        step_nats: the change when the steps were halved in length: what is left of it is smaller.
    """

    nats: Array
    error_nats: Array
    step_nats: Array


def times(steps: int, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Ends of the steps from 0 to 1, ``[steps + 1]``: shorter near both ends, where velocities turn most.

    >>> [round(float(t), 3) for t in times(4)]
    [0.0, 0.146, 0.5, 0.854, 1.0]
    """
    return (1 - torch.cos(math.pi * torch.linspace(0, 1, steps + 1, dtype=torch.float64))).to(dtype) / 2


@torch.no_grad()
def transported(velocity: VelocityOf, noise: Tensor, *, steps: int) -> Tensor:
    """Where the flow takes noise ``[B, D]`` at t = 0 by t = 1, by so many steps of Runge and Kutta's fourth order."""
    u = noise
    ends = times(steps, dtype=noise.dtype).to(noise.device)
    for t, after in itertools.pairwise(ends):
        u = u + _increment(lambda t, u: (velocity(t, u), u.new_zeros(())), t, after - t, u)[0]
    return u


def log_density(
    velocity: VelocityOf, u: Tensor, *, steps: int, probes: int = 2, generator: torch.Generator | None = None
) -> Estimate:
    r"""log p(u) under the flow of N(0, I) at t = 0, at t = 1 (Chen et al. 2018, equation 8; Song et al. 2021, eq. 39).

    .. math:: \log p_1(u_1) = \log N(u_0; 0, I) - \int_0^1 \mathrm{tr} \frac{\partial v}{\partial u}(u_t, t)\, dt

    along the way that ends at u. Up to ``EXACT_UP_TO`` units the trace is exact, by as many derivatives; beyond, it is
    the mean over probes r of r' J r, r of signs (Hutchinson 1990), the same along the whole way, so that the estimate
    of log p is unbiased but for the steps.

    Args:
        velocity: of the flow.
        u: ``[N, D]``.
        steps: of Runge and Kutta's fourth order; the equation is solved once more with half as many.
        probes: of the trace, at least 2 for a standard error.
        generator: of their signs.
    """
    n, dim = u.shape
    exact = dim <= EXACT_UP_TO
    signs = None
    if not exact:
        drawn = torch.randint(0, 2, (probes, n, dim), generator=generator, device="cpu")
        signs = (2 * drawn - 1).to(u)
    rates: Rates = lambda t, at: _rates(velocity, t, at, signs)
    fine, coarse = (_backwards(rates, u, count) for count in (steps, max(1, steps // 2)))
    error = torch.zeros(n) if exact else fine.std(0) / math.sqrt(probes)
    found = fine.mean(0)
    return Estimate(found.numpy(), error.numpy(), (found - coarse.mean(0)).abs().numpy())


def _backwards(rates: Rates, u: Tensor, steps: int) -> Tensor:
    """log p of u for each probe ``[P, N]``, float64 on the CPU."""
    total = torch.zeros(1, dtype=torch.float64)
    ends = times(steps, dtype=u.dtype).to(u.device)
    for i in range(steps, 0, -1):
        moved, trace = _increment(rates, ends[i], ends[i - 1] - ends[i], u)
        u, total = u + moved, total + trace.double().cpu()
    start = u.double().cpu()
    # the way was walked backwards, so that the traces have their sign already
    return -0.5 * (LOG_2PI + start.square()).sum(-1) + total


def _increment(rates: Rates, t: Tensor, h: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """What u and the integral gain in one step of length h, which is negative backwards (Kutta 1901)."""
    a, ra = rates(t, u)
    b, rb = rates(t + h / 2, u + h / 2 * a)
    c, rc = rates(t + h / 2, u + h / 2 * b)
    d, rd = rates(t + h, u + h * c)
    return h / 6 * (a + 2 * b + 2 * c + d), h / 6 * (ra + 2 * rb + 2 * rc + rd)


def _rates(velocity: VelocityOf, t: Tensor, u: Tensor, signs: Tensor | None) -> tuple[Tensor, Tensor]:
    """The velocity ``[N, D]``, and the trace of its Jacobian ``[P, N]``, one exact row where there are no signs."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        v = velocity(t, u)
        by = lambda weights: torch.autograd.grad((v * weights).sum(), u, retain_graph=True)[0]
        if signs is None:
            units = torch.eye(u.shape[1], dtype=u.dtype, device=u.device)
            trace = torch.stack([by(unit)[:, i] for i, unit in enumerate(units)]).sum(0)[None]
        else:
            trace = torch.stack([(by(row) * row).sum(-1) for row in signs])
    return v.detach(), trace.detach()
