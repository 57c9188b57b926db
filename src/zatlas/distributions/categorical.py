"""One of so many values: the likelihood of 8-bit data that assumes nothing of their shape."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.broadcasting import broadcast_shapes
from zatlas.types import Shape


def draw_class(logits: Tensor, sample_shape: Shape, dim: int) -> Tensor:
    """A class along ``dim`` (negative), which stays with size one: the largest of logits plus Gumbel noise.

    torch's own multinomial wants two dimensions and a host's look at the weights; this runs under vmap (Maddison et
    al. 2014, section 2).
    """
    u = torch.rand(torch.Size(sample_shape) + logits.shape, dtype=logits.dtype, device=logits.device)
    return (logits - (-u.log()).log()).argmax(dim, keepdim=True)


class Categorical(Distribution):
    r"""Each value one of V equally spaced, 0, 1/(V-1), ..., 1; one event over the last ``event_dims`` dimensions.

    .. math:: P(x = v/(V-1)) = \exp(l_v) / \textstyle\sum_w \exp(l_w)

    Args:
        logits: l, ``[..., V, *event]``.
        event_dims: how many trailing dimensions form one event.

    >>> Categorical(torch.zeros(5, 256, 1, 28, 28), 3).log_prob(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5])
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(self, logits: Tensor, event_dims: int = 1) -> None:
        self.logits = logits
        self.dim = -event_dims - 1
        shape = logits.shape
        super().__init__(shape[: self.dim], shape[self.dim + 1 :], validate_args=False)

    @property
    def values(self) -> Tensor:
        """The V values, shaped to broadcast with the logits."""
        line = torch.linspace(0, 1, self.logits.shape[self.dim], dtype=self.logits.dtype, device=self.logits.device)
        return line.view(-1, *(1 for _ in self.event_shape))

    @property
    def mean(self) -> Tensor:
        return (self.logits.softmax(self.dim) * self.values).sum(self.dim)

    @property
    def variance(self) -> Tensor:
        distance = self.values - self.mean.unsqueeze(self.dim)
        return (self.logits.softmax(self.dim) * distance.square()).sum(self.dim)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            chosen = draw_class(self.logits, sample_shape, self.dim).squeeze(self.dim)
            return chosen.to(self.logits.dtype) / (self.logits.shape[self.dim] - 1)

    def log_prob_per_unit(self, value: Tensor) -> Tensor:
        """Log probability of each value, ``[..., *event]``."""
        index = (value * (self.logits.shape[self.dim] - 1)).round().long()
        batch = broadcast_shapes(index.shape, self.batch_shape + self.event_shape)
        index = index.expand(batch).unsqueeze(self.dim)
        split = len(batch) - len(self.event_shape)
        logits = self.logits.expand(*batch[:split], *self.logits.shape[self.dim :])
        return logits.gather(self.dim, index).squeeze(self.dim) - self.logits.logsumexp(self.dim)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> Categorical:
        shape = torch.Size(batch_shape) + self.logits.shape[self.dim :]
        return Categorical(self.logits.expand(shape), len(self.event_shape))
