"""The discretised logistic: a likelihood of 256 grey or colour values."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn import functional as F

from zatlas.types import Shape

BINS = 256


class DiscretisedLogistic(Distribution):
    r"""A logistic density integrated over each of the 256 values k/255 (Salimans et al. 2017, equation 2).

    .. math:: P(x) = \sigma\big((x + \tfrac{1}{510} - \mu)/s\big) - \sigma\big((x - \tfrac{1}{510} - \mu)/s\big)

    with the first and the last bin taking the tails, so that the 256 probabilities sum to one.

    Args:
        location: mu, ``[..., *event]``, on the scale of x in [0, 1].
        log_scale: log s, broadcastable with ``location``.
        event_dims: how many trailing dimensions form one event.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(self, location: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.location, self.log_scale = torch.broadcast_tensors(location, log_scale)
        split = self.location.dim() - event_dims
        super().__init__(self.location.shape[:split], self.location.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean, which the tails that the first and last value take pull away from the location.

        Exactly 1/255 times the sum over k = 1, ..., 255 of P(x >= k/255), each a sigmoid of mu - (k - 1/2)/255: the
        midpoint rule of s softplus(mu/s) - s softplus((mu - 1)/s), which is returned. From s = exp(-7) on the two are
        within 0.1 of a grey value, and 256 sigmoids for every value of an example are spared.
        """
        scale = self.log_scale.exp()
        return scale * (F.softplus(self.location / scale) - F.softplus((self.location - 1) / scale))

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.location.shape
            u = torch.rand(shape, dtype=self.location.dtype, device=self.location.device).clamp(1e-6, 1 - 1e-6)
            x = self.location + self.log_scale.exp() * torch.logit(u)
            return ((x * (BINS - 1)).round() / (BINS - 1)).clamp(0, 1)

    def log_prob_per_unit(self, value: Tensor) -> Tensor:
        """Log probability of each value, ``[..., *event]``."""
        half = 0.5 / (BINS - 1)
        inverse_scale = (-self.log_scale).exp()
        upper = (value - self.location + half) * inverse_scale
        lower = (value - self.location - half) * inverse_scale
        # log(sigmoid(u) - sigmoid(l)) = logsigmoid(u) + logsigmoid(-l) + log(1 - exp(l - u)), finite for any mu and s
        width = (2 * half * inverse_scale).clamp_min(1e-12)
        below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
        inner = below + above + torch.log(-torch.expm1(-width))
        return torch.where(value < half, below, torch.where(value > 1 - half, above, inner))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> DiscretisedLogistic:
        shape = torch.Size(batch_shape) + self.event_shape
        return DiscretisedLogistic(self.location.expand(shape), self.log_scale.expand(shape), len(self.event_shape))
