"""GANs: generator and critic by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zatlas.config import Config
from zatlas.errors import UsageError
from zatlas.models import Generator
from zatlas.networks import (
    CourseCritic,
    CourseGenerator,
    Decoder,
    ImplicitLikelihood,
    ResidualConvCritic,
    ResidualConvGenerator,
    ResidualCritic,
    ResidualGenerator,
    Standardise,
    StandardNormal,
    StridedCritic,
    StridedGenerator,
    spectrally_normalised,
)
from zatlas.objectives import Adversarial, NonSaturating, Relativistic, Wasserstein
from zatlas.recipes.likelihoods import units
from zatlas.recipes.networks import MLP_WIDTH, can_convolve
from zatlas.recipes.statistics import Statistics
from zatlas.types import DataSpec

BLOCKS = {"xs": 2, "s": 2, "m": 3, "l": 3}
STRIDED = {"xs": (16, 32), "s": (32, 64), "m": (32, 64, 128), "l": (64, 128, 256)}
STRIDED_HIDDEN = {"xs": 64, "s": 256, "m": 512, "l": 1024}
CHANNELS = {"xs": (16, 32, 32), "s": (32, 64, 128), "m": (64, 128, 256, 256), "l": (128, 256, 512, 512)}
LAZY = 8  # steps between two charges of a convolutional critic's penalty
CONVOLUTIONAL = ("conv", "resnet")


def build_generator(config: Config, spec: DataSpec, stats: Statistics, label_dim: int) -> Generator:
    """The model of a GAN."""
    m = config.model
    net: nn.Module
    match m.network:
        case "course-mlp":
            net = CourseGenerator(m.latent_dim, spec.shape, label_dim=label_dim)
        case "conv":
            _need_images(spec, m.network)
            channels, hidden = STRIDED[m.size], STRIDED_HIDDEN[m.size]
            net = StridedGenerator(m.latent_dim, channels, hidden, spec.shape, label_dim=label_dim)
        case "resnet":
            _need_images(spec, m.network)
            net = ResidualConvGenerator(m.latent_dim, CHANNELS[m.size], spec.shape, label_dim=label_dim)
        case _:
            blocks = BLOCKS[m.size]
            net = ResidualGenerator(m.latent_dim, MLP_WIDTH[m.size], spec.shape, label_dim=label_dim, blocks=blocks)
    # the course ends in a squashing function. The residual networks do not: with one, MNIST's black borders drew every
    # draw into one picture within 150 steps
    squash = m.network == "course-mlp" and spec.values != "real"
    shift, scale = (None, None) if squash else _units(spec, stats)
    likelihood = ImplicitLikelihood(len(spec.shape), squash=squash, shift=shift, scale=scale)
    mean = None if m.network == "course-mlp" else stats.mean  # the course's network learns the mean image by itself
    return Generator(Decoder(net, likelihood, mean), StandardNormal(m.latent_dim), m.latent_dim)


def penalty_every(config: Config) -> int:
    """The interval asked for; else 8 for networks whose penalty is dear: fully connected ones hardly notice it."""
    return config.objective.penalty_every or (LAZY if config.model.network in CONVOLUTIONAL else 1)


def build_adversarial(config: Config, spec: DataSpec, stats: Statistics, label_dim: int) -> Adversarial:
    """The objective of a GAN, which owns the critic."""
    m, o = config.model, config.objective
    critic: nn.Module
    match m.network:
        case "course-mlp":
            critic = CourseCritic(spec.size, label_dim=label_dim)
        case "conv":
            critic = StridedCritic(spec.shape, STRIDED[m.size], STRIDED_HIDDEN[m.size], label_dim=label_dim)
        case "resnet":
            critic = ResidualConvCritic(spec.shape, CHANNELS[m.size], label_dim=label_dim)
        case _:
            critic = ResidualCritic(spec.size, MLP_WIDTH[m.size], label_dim=label_dim, blocks=BLOCKS[m.size])
    if o.spectral_norm:
        critic = spectrally_normalised(critic)
    standardise = Standardise(*_units(spec, stats))
    every = penalty_every(config)
    match o.kind:
        case "gan":
            return NonSaturating(critic, standardise)
        case "wasserstein":
            return Wasserstein(
                critic, o.penalty, critic_steps=o.critic_steps, standardise=standardise, penalty_every=every
            )
        case _:
            return Relativistic(
                critic,
                o.penalty,
                final=o.penalty_final,
                steps=o.penalty_steps,
                penalty_every=every,
                standardise=standardise,
            )


def _units(spec: DataSpec, stats: Statistics) -> tuple[Tensor, Tensor]:
    """Zero and unit: of values in [0, 1] those that make them [-1, 1], as the papers have it; of columns their own."""
    return units(spec, stats) if spec.values == "real" else (torch.full((), 0.5), torch.full((), 0.5))


def _need_images(spec: DataSpec, network: str) -> None:
    if not can_convolve(spec):
        raise UsageError(f"the {network} network wants images of 5x5 pixels or more, not {spec.shape}: choose mlp.")
