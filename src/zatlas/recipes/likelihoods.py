"""The likelihood that suits the data, by name."""

from __future__ import annotations

from typing import Literal

import torch

from zatlas.config import Config
from zatlas.config.kinds import MODELS
from zatlas.config.schema import Likelihood as LikelihoodName
from zatlas.errors import UsageError
from zatlas.networks import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
    LogisticLikelihood,
    LogisticMixtureLikelihood,
    PerValueGaussianLikelihood,
)
from zatlas.recipes.statistics import Statistics
from zatlas.types import DataSpec

Quantity = Literal["probability", "density", "loss", "none"]
BITS = ("logistic", "logistic-mixture", "categorical")  # probabilities of 256 values
UNIT = ("bernoulli", "continuous-bernoulli")  # of values in [0, 1]
# What a model fitted in closed form is: nothing else has such a fit.
GAUSSIAN: dict[str, LikelihoodName] = {"ppca": "gaussian-learned", "fa": "gaussian-per-pixel"}


def likelihood_name(config: Config, spec: DataSpec) -> LikelihoodName:
    """The likelihood that ``auto`` means for these data, or the one asked for.

    Raises:
        UsageError: the likelihood cannot hold such data, or the model has another one.
    """
    kind, name, bits = config.model.kind, config.model.likelihood, config.data.binarise != "none"
    if kind in GAUSSIAN:
        if name not in ("auto", GAUSSIAN[kind]):
            raise UsageError(f"a {kind} is Gaussian through and through, so model.likelihood = {name!r} cannot be.")
        return GAUSSIAN[kind]
    if name == "auto":
        grey = spec.values in ("uint8", "unit") and (not spec.is_image or spec.shape[0] == 1)
        name = "bernoulli" if grey or bits else "gaussian-learned"
    if name in UNIT and spec.values == "real":
        raise UsageError(f"the {name} likelihood wants values in [0, 1], and these are not: choose gaussian-learned.")
    if name in BITS and (spec.values != "uint8" or bits):
        raise UsageError(
            f"the {name} likelihood wants 8-bit values without binarisation: choose gaussian or bernoulli."
        )
    if bits and name != "bernoulli":
        raise UsageError(f"binarised data want the bernoulli likelihood, not {name}.")
    if config.model.network == "table" and (name != "gaussian-learned" or spec.values != "real" or spec.is_image):
        raise UsageError(
            "the table network wants rows of real columns and the gaussian-learned likelihood: choose mlp."
        )
    if config.model.sigma != 1 and name not in ("gaussian", "gaussian-learned"):
        raise UsageError(f"model.sigma is the width of a gaussian likelihood, and this is {name}: choose gaussian.")
    return name


def data_kind(config: Config, spec: DataSpec) -> str:
    """Which data the figures are about: ``grey``, ``static``, ``dynamic``, ``uint8``, ``real``; or ``game`` where a
    model has no likelihood."""
    name = likelihood_name(config, spec)
    if not MODELS[config.model.kind].infers:
        return "game"
    if config.data.binarise != "none":
        return config.data.binarise
    return "grey" if name == "bernoulli" else "uint8" if name in BITS else "real"


def quantity(config: Config, spec: DataSpec) -> Quantity:
    """What the exponential of log p(x|z) is: the ``"probability"`` of bits or of 8-bit values, a ``"density"``, the
    grey ``"loss"``, which is neither, or ``"none"`` where a model has no likelihood.

    Not a function of the data alone: PPCA of binarised data has a density.
    """
    kind = data_kind(config, spec)
    if kind in ("game", "grey"):
        return "none" if kind == "game" else "loss"
    return "probability" if likelihood_name(config, spec) in ("bernoulli", *BITS) else "density"


def bits_over(config: Config, spec: DataSpec) -> int | None:
    """The number of values that nats are divided by for bits per dimension; None where nobody would: of bits, which
    are quoted in nats, of a density, whose bits depend on the data's unit, and of what bounds no probability."""
    eight_bits = data_kind(config, spec) == "uint8" and not MODELS[config.model.kind].point
    return spec.size if eight_bits else None


def lacks_grey_levels(config: Config, spec: DataSpec) -> str | None:
    """Why errors of reconstructions are not counted in decibels and grey levels; None where they are."""
    if not spec.is_image:
        return "its data are columns and no images"
    if spec.values == "real" or config.data.binarise != "none":
        return "its images are real-valued or binarised, and have no grey levels"
    return None


def units(spec: DataSpec, stats: Statistics) -> tuple[torch.Tensor, torch.Tensor]:
    """Zero and unit of what a network says of the data, broadcastable with ``*data``: those of each column of real
    values, 0 and 1 otherwise."""
    if spec.values != "real":
        return torch.zeros(()), torch.ones(())
    # a column that never changes keeps the unit 1: dividing by its spread would blow up its rounding errors
    return stats.mean, torch.where(stats.std > 1e-6, stats.std, torch.ones(()))


def build_likelihood(config: Config, spec: DataSpec, stats: Statistics) -> Likelihood:
    dims = len(spec.shape)
    shift, scale = units(spec, stats)
    match likelihood_name(config, spec):
        case "bernoulli":
            return BernoulliLikelihood(dims)
        case "continuous-bernoulli":
            return ContinuousBernoulliLikelihood(dims)
        case "logistic":
            return LogisticLikelihood(dims)
        case "logistic-mixture":
            return LogisticMixtureLikelihood(dims)
        case "categorical":
            return CategoricalLikelihood(dims)
        case "gaussian-per-pixel":
            return PerValueGaussianLikelihood(dims, shift, scale)
        case name:
            learned = name == "gaussian-learned"
            if stats.linear:
                scale = stats.linear.noise
            from_data = learned and spec.values != "real"
            sigma = float(stats.std.square().mean().sqrt()) if from_data else config.model.sigma
            return GaussianLikelihood(dims, shift, scale, sigma=sigma, learned=learned)
