"""Mixtures of discretised logistics: a likelihood of 256 values with several peaks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.categorical import draw_class
from zatlas.distributions.logistic import BINS, DiscretisedLogistic
from zatlas.types import Shape

HALF = 0.5 / (BINS - 1)
AT_ONCE = 2**18  # numbers, which stay in a core's cache from one step of the formula to the next
LEAST = 1e-30  # a probability that float32 holds with all its places; below it logarithms are added instead


def mixture_log_prob(logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, dim: int) -> Tensor:
    """Log probability of each value by sums of logarithms, for any shapes that broadcast; ``dim`` is that of M."""
    events = -dim - 1
    within = DiscretisedLogistic(location, log_scale, events).log_prob_per_unit(value)
    return (logits.log_softmax(dim) + within).logsumexp(dim)


class _MixtureLogProb(torch.autograd.Function):
    r"""The same of ``[N, M, E]`` and values ``[N, 1, E]``, with its gradient in closed form.

    With :math:`c = (x - \mu)/s` and :math:`h = 1/(510 s)` a component has the probability
    :math:`\sigma(c + h)\, \sigma(h - c)\, (1 - e^{-2h})`, of which the last value of the scale lacks the first factor,
    the first value the second, and both the third. Products take a logarithm per value, where sums of logarithms take
    several per component; and what automatic differentiation would keep of each step is not kept.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor) -> Tensor:
        out = torch.empty_like(value[:, 0])
        slopes = [torch.empty_like(location) for _ in range(3)] if any(ctx.needs_input_grad[:3]) else []
        size = max(1, AT_ONCE // max(1, location[0].numel())) if len(location) else 1
        for start in range(0, len(location), size):
            rows = slice(start, start + size)
            given = (logits[rows], location[rows], log_scale[rows], value[rows], out[rows], [s[rows] for s in slopes])
            if not _by_products(*given):
                _by_logarithms(*given)
        ctx.save_for_backward(logits, location, log_scale, value, *slopes)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        logits, location, log_scale, value, *slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            again = mixture_log_prob(logits, location, log_scale, value, -2)
            return *torch.autograd.grad(again, (logits, location, log_scale), gradient, create_graph=True), None
        return *(slope * gradient.unsqueeze(1) for slope in slopes), None


def _by_products(
    logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, out: Tensor, slopes: list[Tensor]
) -> bool:
    """Fills ``out`` and the slopes, where no probability is too small for that."""
    first, last = value < HALF, value > 1 - HALF
    inverse = log_scale.neg().exp_()
    c, h = (value - location).mul_(inverse), inverse * HALF
    upper = torch.sigmoid(c + h).masked_fill_(last, 1.0)
    lower = torch.sigmoid(h - c).masked_fill_(first, 1.0)
    width = torch.expm1(-2 * h).neg_().clamp_min_(1e-12).masked_fill_(first | last, 1.0)
    weight = logits.softmax(1)
    joint = (upper * lower).mul_(width).mul_(weight)
    total = joint.sum(1, keepdim=True)
    if not bool((total > LEAST).all()):
        return False
    torch.log(total.squeeze(1), out=out)
    if slopes:
        share = joint.div_(total)
        torch.sub(share, weight, out=slopes[0])
        by_upper, by_lower = upper.neg_().add_(1), lower.neg_().add_(1)
        of_c = (by_upper - by_lower).mul_(share)
        of_h = by_upper.add_(by_lower).add_(width.reciprocal_().sub_(1).mul_(2)).mul_(share)
        torch.mul(of_c, inverse, out=slopes[1]).neg_()
        torch.addcmul(of_c.mul_(c), of_h, h, out=slopes[2]).neg_()
    return True


def _by_logarithms(
    logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, out: Tensor, slopes: list[Tensor]
) -> None:
    """The same where a probability is all but zero."""
    at = [p.detach().requires_grad_(bool(slopes)) for p in (logits, location, log_scale)]
    with torch.set_grad_enabled(bool(slopes)):
        found = mixture_log_prob(at[0], at[1], at[2], value, -2)
        of_each = torch.autograd.grad(found.sum(), at) if slopes else ()
    out.copy_(found.detach())
    for slope, of_it in zip(slopes, of_each, strict=True):
        slope.copy_(of_it)


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
        c, value = self.components, value.unsqueeze(self.dim)
        transformed = torch._C._functorch.peek_interpreter_stack() is not None
        alike = value.dtype == c.location.dtype == self.logits.dtype
        if transformed or not alike or value.requires_grad or value.device.type != "cpu":
            return mixture_log_prob(self.logits, c.location, c.log_scale, value, self.dim)
        shape = torch.broadcast_shapes(self.logits.shape, value.shape)
        parts, event = shape[self.dim], shape[self.dim + 1 :]
        rows = [p.expand(shape).reshape(-1, parts, event.numel()) for p in (self.logits, c.location, c.log_scale)]
        x = value.expand(*shape[: self.dim], 1, *event).reshape(-1, 1, event.numel())
        out: Tensor = _MixtureLogProb.apply(*rows, x)
        return out.reshape(*shape[: self.dim], *event)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> LogisticMixture:
        def wide(values: Tensor) -> Tensor:
            return values.expand(torch.Size(batch_shape) + values.shape[self.dim :])

        c = self.components
        return LogisticMixture(wide(self.logits), wide(c.location), wide(c.log_scale), len(self.event_shape))
