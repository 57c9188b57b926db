"""Mixtures of discretised logistics: a likelihood of 256 values with several peaks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.categorical import draw_class
from zatlas.distributions.logistic import DiscretisedLogistic
from zatlas.types import Shape


class LogisticMixture(Distribution):
    r"""Every value a mixture of M logistics integrated over each of the 256 values k/255.

    .. math:: P(x) = \textstyle\sum_m \pi_m \Big[\sigma\big((x + \tfrac{1}{510} - \mu_m)/s_m\big)
              - \sigma\big((x - \tfrac{1}{510} - \mu_m)/s_m\big)\Big]

    (Salimans et al. 2017, equation 2; without their autoregression over channels.)

    Args:
        logits: of the weights, ``[..., M, *event]``.
        location: mu on the scale of x in [0, 1], ``[..., M, *event]``.
        log_scale: log s, ``[..., M, *event]``.
        event_dims: how many trailing dimensions form one event.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(self, logits: Tensor, location: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        self.dim = -event_dims - 1
        self.logits = logits
        self.components = DiscretisedLogistic(location, log_scale, event_dims)
        shape = logits.shape
        super().__init__(shape[: self.dim], shape[self.dim + 1 :], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The weighted mean of the components' means."""
        return (self.logits.softmax(self.dim) * self.components.mean).sum(self.dim)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            chosen = draw_class(self.logits, sample_shape, self.dim)
            location, log_scale = (
                values.expand(torch.Size(sample_shape) + values.shape).gather(self.dim, chosen).squeeze(self.dim)
                for values in (self.components.location, self.components.log_scale)
            )
            return DiscretisedLogistic(location, log_scale, len(self.event_shape)).sample()

    def log_prob_per_unit(self, value: Tensor) -> Tensor:
        """Log probability of each value, ``[..., *event]``."""
        within = self.components.log_prob_per_unit(value.unsqueeze(self.dim))
        return (self.logits.log_softmax(self.dim) + within).logsumexp(self.dim)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> LogisticMixture:
        def wide(values: Tensor) -> Tensor:
            return values.expand(torch.Size(batch_shape) + values.shape[self.dim :])

        c = self.components
        return LogisticMixture(wide(self.logits), wide(c.location), wide(c.log_scale), len(self.event_shape))
