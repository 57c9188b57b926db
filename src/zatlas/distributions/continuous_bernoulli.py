"""The continuous Bernoulli: intensities in [0, 1] with a density that integrates to one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.types import Shape

# Functions of h, half the logit. Near 0 each is a difference of two large numbers, and its series is taken instead:
# at the border, h = 1/2, what is left out is below 1e-8, and float32 has lost nothing yet on the other side.
BORDER = 0.5


def _inside(h: Tensor) -> tuple[Tensor, Tensor]:
    """Where the series is taken, and h with 1 there: torch.where passes on gradients of both of its sides."""
    inside = h.abs() < BORDER
    return inside, torch.where(inside, torch.ones_like(h), h)


def log_sinhc(h: Tensor) -> Tensor:
    """log(sinh(h) / h), even, 0 at 0."""
    inside, outer = _inside(h)
    size, s = outer.abs(), torch.where(inside, h, torch.zeros_like(h)).square()
    series = s * (1 / 6 - s * (1 / 180 - s * (1 / 2835 - s * (1 / 37800 - s / 467775))))
    return torch.where(inside, series, size + torch.log(-torch.expm1(-2 * size)) - torch.log(2 * size))


def langevin(h: Tensor) -> Tensor:
    """coth(h) - 1/h, the derivative of :func:`log_sinhc`; odd, 0 at 0, within (-1, 1)."""
    inside, outer = _inside(h)
    near = torch.where(inside, h, torch.zeros_like(h))
    s = near.square()
    series = near * (1 / 3 - s * (1 / 45 - s * (2 / 945 - s * (1 / 4725 - s * (2 / 93555)))))
    return torch.where(inside, series, 1 / torch.tanh(outer) - 1 / outer)


def langevin_slope(h: Tensor) -> Tensor:
    """1/h^2 - 1/sinh(h)^2, the derivative of :func:`langevin`; even, 1/3 at 0."""
    inside, outer = _inside(h)
    s = torch.where(inside, h, torch.zeros_like(h)).square()
    series = 1 / 3 - s * (1 / 15 - s * (2 / 189 - s * (1 / 675 - s * (2 / 10395))))
    small = torch.exp(-2 * outer.abs())
    return torch.where(inside, series, outer.square().reciprocal() - 4 * small / (1 - small).square())


class ContinuousBernoulli(Distribution):
    r"""Independent continuous Bernoullis, one event over the last ``event_dims`` dimensions.

    .. math:: \log p(x) = \sum_d x_d \eta_d - \log \frac{e^{\eta_d} - 1}{\eta_d}, \quad 0 \le x_d \le 1

    (Loaiza-Ganem & Cunningham 2019, equation 6, with the natural parameter eta, the logit of their lambda.) It is what
    the grey loss lacks to be a likelihood. Its mean is not sigmoid(eta).

    Args:
        logits: eta, ``[..., *event]``.
        event_dims: how many trailing dimensions form one event.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.independent(constraints.unit_interval, 1)

    def __init__(self, logits: Tensor, event_dims: int = 1) -> None:
        self.logits = logits
        split = logits.dim() - event_dims
        super().__init__(logits.shape[:split], logits.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return 0.5 + 0.5 * langevin(0.5 * self.logits)

    @property
    def variance(self) -> Tensor:
        return 0.25 * langevin_slope(0.5 * self.logits)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """The inverse of the distribution function at a uniform u: log(1 + u (e^eta - 1)) / eta."""
        with torch.no_grad():
            eta = self.logits.expand(torch.Size(sample_shape) + self.logits.shape)
            u = torch.rand(eta.shape, dtype=eta.dtype, device=eta.device)
            # for -|eta|, where nothing overflows, and mirrored; at eta = 0 the limit is u itself
            down = -eta.abs().clamp_min(1e-6)
            x = torch.log1p(u * torch.expm1(down)) / down
            return torch.where(eta > 0, 1 - x, x).clamp(0, 1)

    def log_prob_per_unit(self, value: Tensor) -> Tensor:
        """The log density of each value, ``[..., *event]``."""
        return (value - 0.5) * self.logits - log_sinhc(0.5 * self.logits)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> ContinuousBernoulli:
        shape = torch.Size(batch_shape) + self.event_shape
        return ContinuousBernoulli(self.logits.expand(shape), len(self.event_shape))
