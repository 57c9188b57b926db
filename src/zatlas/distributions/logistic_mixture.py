"""Mixtures of discretised logistics: a likelihood of 256 values with several peaks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.categorical import draw_class
from zatlas.distributions.logistic import BINS, DiscretisedLogistic
from zatlas.types import Shape

HALF = 0.5 / (BINS - 1)
AT_ONCE = 2**18  # numbers, which stay in a core's cache from one step of the formula to the next
FAR = 1e12  # from every location, in units of the values: no logistic reaches beyond
LEAST = 1e-30  # a probability that float32 holds with all its places; below it logarithms are added instead


def mixture_log_prob(logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, dim: int) -> Tensor:
    """Log probability ``[..., *place]`` of groups of C values at each place that share their component.

    Args:
        logits: of the weights, ``[..., M, *place]``.
        location: ``[..., M, C, *place]``.
        log_scale: of the same shape.
        value: x, ``[..., M or 1, C, *place]``.
        dim: which dimension of the location is M, counted from the last, below -2.
    """
    arguments = (logits, location, log_scale, value)
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    alike = len({of.dtype for of in arguments}) == 1
    if transformed or not alike or value.requires_grad or value.device.type != "cpu":
        return by_logarithms(*arguments, dim)
    shape = torch.broadcast_shapes(location.shape, value.shape)
    leading, (parts, group), place = shape[:dim], shape[dim : dim + 2], shape[dim + 2 :]
    rows = (
        logits.expand(*leading, parts, *place).reshape(-1, parts, place.numel()),
        *(of.expand(shape).reshape(-1, parts, group, place.numel()) for of in (location, log_scale)),
        value.expand(*leading, value.shape[dim], group, *place).reshape(-1, value.shape[dim], group, place.numel()),
    )
    out: Tensor = _MixtureLogProb.apply(*rows)
    return out.reshape(*leading, *place)


def by_logarithms(logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, dim: int) -> Tensor:
    """The same by sums of logarithms, whatever the values and under every transform."""
    within = DiscretisedLogistic(location, log_scale, 1).log_prob_per_unit(value).sum(dim + 1)
    return (logits.log_softmax(dim + 1) + within).logsumexp(dim + 1)


class _MixtureLogProb(torch.autograd.Function):
    r"""The same of ``[N, M, P]``, ``[N, M, C, P]`` and values ``[N, 1, C, P]``, with its gradient in closed form.

    With :math:`a` and :math:`b` the distances of a value's upper and lower bound from :math:`\mu`, in units of s, a
    component gives it the probability :math:`\sigma(a)\, \sigma(b)\, (1 - e^{-(a + b)})`; the last value of the scale
    has its upper bound, and the first its lower one, so far away that a factor is one. Products take a logarithm per
    place, where sums of logarithms take several per component; and what automatic differentiation would keep of each
    step is not kept.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor) -> Tensor:
        out = torch.empty_like(logits[:, 0])
        wanted = any(ctx.needs_input_grad[:3])
        slopes = [torch.empty_like(of) for of in (logits, location, log_scale)] if wanted else []
        size = max(1, AT_ONCE // max(1, location[0].numel())) if len(location) else 1
        for start in range(0, len(location), size):
            rows = slice(start, start + size)
            given = (logits[rows], location[rows], log_scale[rows], value[rows], out[rows], [s[rows] for s in slopes])
            if not _fill(*given):
                _fill_by_logarithms(*given)
        ctx.save_for_backward(logits, location, log_scale, value, *slopes)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        logits, location, log_scale, value, *slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            again = by_logarithms(logits, location, log_scale, value, -3)
            return *torch.autograd.grad(again, (logits, location, log_scale), gradient, create_graph=True), None
        of_each = gradient.unsqueeze(1)
        return slopes[0] * of_each, slopes[1] * of_each.unsqueeze(2), slopes[2] * of_each.unsqueeze(2), None


def _fill(
    logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, out: Tensor, slopes: list[Tensor]
) -> bool:
    """Fills ``out`` and the slopes by products, where none is too small for that."""
    half = torch.full_like(value, HALF)
    up, down = half.masked_fill(value > 1 - HALF, FAR), half.masked_fill(value < HALF, FAR)  # to the bounds of a bin
    size = up + down
    inverse = log_scale.neg().exp_()
    above = (value - location).mul_(inverse)
    below = torch.addcmul(above.neg(), inverse, down)
    above.addcmul_(inverse, up)
    width = (inverse * -size).expm1_().neg_().clamp_min_(1e-12)  # 1 of the first and the last value
    upper, lower = torch.sigmoid(above), torch.sigmoid(below)
    each = (upper * lower).mul_(width)
    weight, group = logits.softmax(1), each.shape[2]
    joint = weight * each[:, :, 0]
    for channel in range(1, group):
        joint.mul_(each[:, :, channel]).mul_(BINS)  # as densities, which are not as small
    total = joint.sum(1, keepdim=True)
    if not bool((total > LEAST).all()):
        return False
    torch.log(total.squeeze(1), out=out).sub_((group - 1) * math.log(BINS))
    if slopes:
        share = joint.div_(total)
        torch.sub(share, weight, out=slopes[0])
        share = share.unsqueeze(2)
        torch.sub(upper, lower, out=slopes[1]).mul_(inverse).mul_(share)
        # minus the sum of each bound's distance times what is beyond it, and of the bin's width times 1/width - 1
        within = width.reciprocal_().sub_(1).mul_(inverse).mul_(size)
        within.addcmul_(upper.neg_().add_(1), above).addcmul_(lower.neg_().add_(1), below)
        torch.mul(within, share.neg(), out=slopes[2])
    return True


def _fill_by_logarithms(
    logits: Tensor, location: Tensor, log_scale: Tensor, value: Tensor, out: Tensor, slopes: list[Tensor]
) -> None:
    """The same where a probability is all but zero."""
    at = [p.detach().requires_grad_(bool(slopes)) for p in (logits, location, log_scale)]
    with torch.set_grad_enabled(bool(slopes)):
        found = by_logarithms(at[0], at[1], at[2], value, -3)
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
        dim = self.dim
        location, log_scale = (of.unsqueeze(dim) for of in (self.components.location, self.components.log_scale))
        x = value.unsqueeze(dim).unsqueeze(dim)  # a group is one value
        return mixture_log_prob(self.logits, location, log_scale, x, dim - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_unit(value).flatten(-len(self.event_shape)).sum(-1)

    def expand(self, batch_shape: Shape, _instance: object = None) -> LogisticMixture:
        def wide(values: Tensor) -> Tensor:
            return values.expand(torch.Size(batch_shape) + values.shape[self.dim :])

        c = self.components
        return LogisticMixture(wide(self.logits), wide(c.location), wide(c.log_scale), len(self.event_shape))
