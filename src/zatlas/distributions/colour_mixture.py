"""Mixtures of discretised logistics over colours: the likelihood by which images are compared in bits per dimension."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from zatlas.distributions.categorical import draw_class
from zatlas.distributions.logistic import DiscretisedLogistic
from zatlas.distributions.logistic_mixture import mixture_log_prob
from zatlas.types import Shape

CHANNELS = 3


class ColourMixture(Distribution):
    r"""Every pixel a mixture of M components, each three logistics, green's about red's and blue's about both.

    .. math:: P(r, g, b) = \sum_m \pi_m\, P(r | \mu_r, s_r)\, P(g | \mu_g + \alpha (r - \mu_r), s_g)\,
              P(b | \mu_b + \beta (r - \mu_r) + \gamma (g - \mu_g), s_b)

    (Salimans et al. 2017, section 2.2, whose locations are not taken off r and g: the same family, other numbers), with
    each logistic integrated over the 256 values k/255.

    Args:
        logits: of the weights of each pixel, ``[..., M, H, W]``.
        location: mu on the scale of x in [0, 1], ``[..., M, 3, H, W]``.
        log_scale: log s, ``[..., M, 3, H, W]``.
        slopes: alpha, beta and gamma, ``[..., M, 3, H, W]``.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (torch's own spelling)
    support = constraints.real_vector

    def __init__(self, logits: Tensor, location: Tensor, log_scale: Tensor, slopes: Tensor) -> None:
        self.logits, self.location, self.log_scale, self.slopes = logits, location, log_scale, slopes
        super().__init__(location.shape[:-4], location.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The weighted mean of the components' means, those of green and blue where red and green have theirs.

        To within what the first and last value's tails pull: of a colour beyond the scale the line is not followed.
        """
        r, g, b = self.location.unbind(-3)
        alpha, beta, gamma = self.slopes.unbind(-3)
        red, green, blue = self.log_scale.unbind(-3)
        mean_r = DiscretisedLogistic(r, red, 2).mean
        mean_g = DiscretisedLogistic(g + alpha * (mean_r - r), green, 2).mean
        mean_b = DiscretisedLogistic(b + beta * (mean_r - r) + gamma * (mean_g - g), blue, 2).mean
        weights = self.logits.softmax(-3)
        return torch.stack([(weights * of).sum(-3) for of in (mean_r, mean_g, mean_b)], -3)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with torch.no_grad():
            chosen = draw_class(self.logits, sample_shape, -3).unsqueeze(-3)  # [..., 1, 1, H, W]
            location, log_scale, slopes = (
                values.expand(torch.Size(sample_shape) + values.shape)
                .gather(-4, chosen.expand(*chosen.shape[:-3], CHANNELS, *chosen.shape[-2:]))
                .squeeze(-4)
                .unbind(-3)
                for values in (self.location, self.log_scale, self.slopes)
            )
            r = DiscretisedLogistic(location[0], log_scale[0], 2).sample()
            g = DiscretisedLogistic(location[1] + slopes[0] * (r - location[0]), log_scale[1], 2).sample()
            about = slopes[1] * (r - location[0]) + slopes[2] * (g - location[1])
            b = DiscretisedLogistic(location[2] + about, log_scale[2], 2).sample()
            return torch.stack([r, g, b], -3)

    def log_prob_per_pixel(self, value: Tensor) -> Tensor:
        """Log probability of the three values of each pixel of x ``[..., 3, H, W]``, ``[..., H, W]``."""
        x = value.unsqueeze(-4)
        r, g, _ = (x - self.location).unbind(-3)
        alpha, beta, gamma = self.slopes.unbind(-3)
        about = torch.stack([torch.zeros_like(r), alpha * r, beta * r + gamma * g], -3)
        return mixture_log_prob(self.logits, self.location + about, self.log_scale, x, -4)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_prob_per_pixel(value).sum((-2, -1))

    def expand(self, batch_shape: Shape, _instance: object = None) -> ColourMixture:
        shape = torch.Size(batch_shape)
        logits = self.logits.expand(shape + self.logits.shape[-3:])
        others = (of.expand(shape + of.shape[-4:]) for of in (self.location, self.log_scale, self.slopes))
        return ColourMixture(logits, *others)
