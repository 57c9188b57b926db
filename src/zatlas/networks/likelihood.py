"""From the decoder's numbers to p(x|z). Each likelihood says how many numbers it wants for one data value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from zatlas.distributions import Bernoulli, DiagonalGaussian, DiscretisedLogistic
from zatlas.distributions.categorical import Categorical
from zatlas.distributions.colour_mixture import CHANNELS, ColourMixture
from zatlas.distributions.continuous_bernoulli import ContinuousBernoulli
from zatlas.distributions.logistic import BINS
from zatlas.distributions.logistic_mixture import LogisticMixture
from zatlas.errors import UsageError
from zatlas.parts import Context, Settings, likelihood
from zatlas.types import DataSpec, Statistics

STEEPEST = 20.0  # an untrained tilt, so that a pixel which was never on can still come on


class Likelihood(Protocol):
    """A module from parameters ``[..., per_value * C, *rest]`` to a Distribution over ``[..., C, *rest]``."""

    per_value: int

    def __call__(self, parameters: Tensor) -> Distribution: ...

    def link(self, mean: Tensor) -> Tensor:
        """The parameter that gives this mean: where an untrained decoder had best start."""
        ...


def tilt_to(mean: Tensor, mean_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Where the increasing function ``mean_of`` takes the value ``mean``, between -20 and 20, by bisection."""
    low, high = torch.full_like(mean, -STEEPEST), torch.full_like(mean, STEEPEST)
    for _ in range(32):
        middle = 0.5 * (low + high)
        below = mean_of(middle) < mean
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return 0.5 * (low + high)


def data_units(spec: DataSpec, stats: Statistics) -> tuple[Tensor, Tensor]:
    """Zero and unit of what a network says of the data, broadcastable with ``*data``: those of each column of real
    values, 0 and 1 otherwise."""
    if spec.values != "real":
        return torch.zeros(()), torch.ones(())
    # a column that never changes keeps the unit 1: dividing by its spread would blow up its rounding errors
    return stats.mean, torch.where(stats.std > 1e-6, stats.std, torch.ones(()))


class OfData(nn.Module):
    """A likelihood that needs to know of the data only how many dimensions an example has."""

    def __init__(self, event_dims: int) -> None:
        super().__init__()
        self.event_dims = event_dims

    @classmethod
    def of(cls, settings: Settings, context: Context) -> OfData:
        """For data of this shape."""
        return cls(len(context.spec.shape))


@likelihood(
    "bernoulli",
    title="Bernoulli",
    when="bits, and the grey loss of intensities that courses use",
    order=1,
    settings=Settings,
    traits="unit bits grey_loss probability",
)
class BernoulliLikelihood(OfData):
    """Logits; p(x|z) of bits, and the grey loss of intensities in [0, 1]."""

    per_value = 1

    def forward(self, parameters: Tensor) -> Bernoulli:
        return Bernoulli(parameters.float(), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        # within +-5, so that a pixel which was never on can still come on
        return torch.logit(mean, eps=1e-6).clamp(-5, 5)


@likelihood(
    "continuous-bernoulli",
    title="continuous Bernoulli",
    when="intensities in [0, 1], as a density that integrates to one",
    source="Loaiza-Ganem & Cunningham 2019",
    order=2,
    settings=Settings,
    traits="unit",
)
class ContinuousBernoulliLikelihood(OfData):
    """Natural parameters; p(x|z) of intensities in [0, 1] that integrates to one (Loaiza-Ganem & Cunningham 2019)."""

    per_value = 1

    def forward(self, parameters: Tensor) -> ContinuousBernoulli:
        return ContinuousBernoulli(parameters.float(), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return tilt_to(mean, lambda logits: ContinuousBernoulli(logits).mean)


class GaussianSettings(Settings):
    """The settings of a Gaussian of one width."""

    sigma: float = Field(1.0, gt=0, description="standard deviation, in units of the data; its start where learned")


def fixed_gaussian(settings: GaussianSettings, context: Context) -> GaussianLikelihood:
    """One sigma, as it is asked for."""
    shift, scale = data_units(context.spec, context.stats)
    scale = context.stats.linear.noise if context.stats.linear else scale
    return GaussianLikelihood(len(context.spec.shape), shift, scale, sigma=settings.sigma, learned=False)


def learned_gaussian(settings: GaussianSettings, context: Context) -> GaussianLikelihood:
    """One sigma that is learned, from the spread of images, or from what is asked for, in units of the columns."""
    shift, scale = data_units(context.spec, context.stats)
    scale = context.stats.linear.noise if context.stats.linear else scale
    of_data = context.spec.values != "real"
    sigma = float(context.stats.std.square().mean().sqrt()) if of_data else settings.sigma
    return GaussianLikelihood(len(context.spec.shape), shift, scale, sigma=sigma, learned=True)


likelihood(
    "gaussian",
    title="Gaussian",
    when="real values, one fixed sigma (likelihood.sigma)",
    order=3,
    settings=GaussianSettings,
    traits="width",
)(fixed_gaussian)
likelihood(
    "gaussian-learned",
    title="Gaussian",
    when="real values and RGB images, one sigma, learned",
    source="Rybkin et al. 2021",
    order=4,
    settings=GaussianSettings,
    traits="width learned_width",
)(learned_gaussian)


class GaussianLikelihood(nn.Module):
    """N(f(z), sigma^2) with one sigma for all values, fixed or learned (sigma-VAE, Rybkin et al. 2021).

    Args:
        event_dims: dimensions of one example.
        scale: unit of the data, broadcastable with ``*data``; sigma counts in it.
        shift: the data's zero; the network's 0 means this value.
        sigma: standard deviation, its start where it is learned.
        learned: whether it is a parameter.
    """

    per_value = 1
    shift: Tensor
    scale: Tensor

    def __init__(self, event_dims: int, shift: Tensor, scale: Tensor, *, sigma: float, learned: bool) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        log_variance = 2 * torch.tensor(sigma).log()
        if learned:
            self.log_variance = nn.Parameter(log_variance)
        else:
            self.register_buffer("log_variance", log_variance)

    def forward(self, parameters: Tensor) -> DiagonalGaussian:
        mean = self.shift + self.scale * parameters.float()
        # a floor of exp(-12), about 1/400 of the data's unit: without it a constant pixel has unbounded density
        log_variance = self.log_variance.clamp_min(-12) + 2 * self.scale.log()
        return DiagonalGaussian(mean, log_variance, self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return (mean - self.shift) / self.scale


@likelihood(
    "gaussian-per-pixel",
    title="Gaussian",
    when="real values, a sigma for each value and code: sharp where it is sure",
    order=5,
    settings=Settings,
)
class PerValueGaussianLikelihood(nn.Module):
    """N(f(z), sigma(z)^2) with the decoder saying sigma for every value."""

    per_value = 2
    shift: Tensor
    scale: Tensor

    def __init__(self, event_dims: int, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.event_dims = event_dims
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    @classmethod
    def of(cls, settings: Settings, context: Context) -> PerValueGaussianLikelihood:
        """In units of the data."""
        return cls(len(context.spec.shape), *data_units(context.spec, context.stats))

    def forward(self, parameters: Tensor) -> DiagonalGaussian:
        mean, log_variance = parameters.float().chunk(2, -self.event_dims)
        # soft floor at exp(-9): a pixel that never changes would otherwise reward ever smaller sigma
        log_variance = F.softplus(log_variance + 9) - 9
        return DiagonalGaussian(self.shift + self.scale * mean, log_variance + 2 * self.scale.log(), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return (mean - self.shift) / self.scale


@likelihood(
    "logistic",
    title="discretised logistic",
    when="8-bit values, discretised: comparable in bits per dimension",
    order=6,
    settings=Settings,
    traits="eight_bit probability",
)
class LogisticLikelihood(OfData):
    """The discretised logistic over 256 values, location and scale for each."""

    per_value = 2

    def forward(self, parameters: Tensor) -> DiscretisedLogistic:
        location, log_scale = parameters.float().chunk(2, -self.event_dims)
        # starts at a scale of exp(-2); from exp(-7) on one bin holds nearly all the mass
        return DiscretisedLogistic(location, (log_scale - 2).clamp(-7, 3), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        # as the location; the location whose mean it is, further out near 0 and 1, was no better after 300 steps:
        # 160.8 nats for 160.1 on the digits, 1,914.9 for 1,913.2 on Frey faces
        return mean


@likelihood(
    "logistic-mixture",
    title="logistic mixture",
    when="8-bit values, several logistics each: better bits per dimension",
    order=7,
    settings=Settings,
    traits="eight_bit probability",
)
class LogisticMixtureLikelihood(OfData):
    """A mixture of discretised logistics over 256 values.

    For each value: a centre, the logits of all components but the first (whose logit is 0), and every component's
    distance from the centre and log scale. With a centre of its own, the mixture can start at the data's mean.

    Args:
        event_dims: dimensions of one example.
        components: M; 3 M numbers for one value.
    """

    def __init__(self, event_dims: int, components: int = 5) -> None:
        super().__init__(event_dims)
        self.per_value = 3 * components
        self.sizes = (1, components - 1, components, components)

    def forward(self, parameters: Tensor) -> LogisticMixture:
        numbers = parameters.float().unflatten(-self.event_dims, (self.per_value, -1))
        centre, logits, distance, log_scale = numbers.split(self.sizes, -self.event_dims - 1)
        logits = torch.cat([torch.zeros_like(centre), logits], -self.event_dims - 1)
        # starts at a scale of exp(-2); from exp(-7) on one bin holds nearly all the mass
        return LogisticMixture(logits, centre + distance, (log_scale - 2).clamp(-7, 3), self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        return mean


class ColourSettings(Settings):
    """The settings of a mixture over colours."""

    components: int = Field(3, ge=3, le=99, multiple_of=3, description="logistics of each channel: 3, 6, 9, ...")


@likelihood(
    "colour-mixture",
    title="colour mixture",
    when="8-bit colour images, three channels at once: the bits per dimension that people compare",
    source="Salimans et al. 2017, section 2.2",
    order=8,
    settings=ColourSettings,
    traits="eight_bit probability",
)
class ColourMixtureLikelihood(nn.Module):
    """A mixture over the colour of each pixel, green given red and blue given both.

    For each pixel: three centres, M logits, and for each component the distances of three locations from the centres,
    three log scales and three slopes: 10 M + 3 numbers, 10 M / 3 + 1 for each value.

    Args:
        components: M, a multiple of three.
    """

    event_dims = 3

    def __init__(self, components: int = 3) -> None:
        super().__init__()
        self.components = components
        self.per_value = 10 * components // CHANNELS + 1

    @classmethod
    def of(cls, settings: ColourSettings, context: Context) -> ColourMixtureLikelihood:
        """For colour images.

        Raises:
            UsageError: the data are none.
        """
        if not context.spec.is_image or context.spec.shape[0] != CHANNELS:
            found = "x".join(map(str, context.spec.shape))
            raise UsageError(
                f"the colour-mixture likelihood wants images of three channels, and these data are {found}: "
                "choose logistic-mixture."
            )
        return cls(settings.components)

    def forward(self, parameters: Tensor) -> ColourMixture:
        m = self.components
        centre, logits, *others = parameters.float().split((CHANNELS, m, *[CHANNELS * m] * 3), -3)
        distance, log_scale, slopes = (of.unflatten(-3, (m, CHANNELS)) for of in others)
        # starts at a scale of exp(-2); from exp(-7) on one bin holds nearly all the mass
        return ColourMixture(logits, centre.unsqueeze(-4) + distance, (log_scale - 2).clamp(-7, 3), slopes.tanh())

    def link(self, mean: Tensor) -> Tensor:
        """The centres."""
        return mean


@likelihood(
    "categorical",
    title="categorical",
    when="8-bit values, 256 free probabilities each: any shape, many parameters",
    order=9,
    settings=Settings,
    traits="eight_bit probability",
)
class CategoricalLikelihood(OfData):
    """A probability for each of 256 values.

    For each value: a tilt t, and the logits of all values but the first (whose logit is 0); t k/255 is added to the
    logit of the value k/255. The tilt is one number for what neighbouring values have in common, and by it the
    probabilities can start at the data's mean.
    """

    per_value = BINS
    slope: Tensor

    def __init__(self, event_dims: int) -> None:
        super().__init__(event_dims)
        slope = torch.linspace(0, 1, BINS)
        slope[0] = -1  # takes the tilt out of the place where it stands
        self.register_buffer("slope", slope.view(-1, *(1,) * event_dims), persistent=False)

    def forward(self, parameters: Tensor) -> Categorical:
        numbers = parameters.float().unflatten(-self.event_dims, (BINS, -1))
        tilt = numbers.narrow(-self.event_dims - 1, 0, 1)
        return Categorical(numbers + tilt * self.slope, self.event_dims)

    def link(self, mean: Tensor) -> Tensor:
        values = torch.linspace(0, 1, BINS, device=mean.device).view(-1, *(1,) * mean.dim())
        return tilt_to(mean, lambda tilt: Categorical(tilt * values, mean.dim()).mean)
