"""Models of one layer of z: AE, VAE and CVAE, with every prior and posterior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zatlas.config import Config
from zatlas.config.kinds import MODELS
from zatlas.models import LatentVariableModel
from zatlas.networks import (
    ConditionalNormal,
    Decoder,
    FlatPrior,
    FlowEncoder,
    FlowPrior,
    FullGaussianEncoder,
    GaussianEncoder,
    MixturePrior,
    PointEncoder,
    Standardise,
    StandardNormal,
    VampPrior,
)
from zatlas.recipes.likelihoods import build_likelihood
from zatlas.recipes.networks import build_networks
from zatlas.recipes.statistics import Statistics
from zatlas.recipes.tables import table_networks
from zatlas.types import DataSpec

START_LOG_VARIANCE = -4.0  # see WARMUP_STEPS in objectives.py
FLOW_CONTEXT = 64  # numbers by which a flow posterior is told of x


def build_flat(config: Config, spec: DataSpec, stats: Statistics, label_dim: int) -> LatentVariableModel:
    """An AE, VAE or CVAE."""
    m = config.model
    likelihood = build_likelihood(config, spec, stats)
    if m.network == "table":
        start = start_log_variance(config)
        encoder_net, decoder_net = table_networks(config, spec, stats, label_dim, _outputs(config), start=start)
    else:
        out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
        encoder_net, decoder_net = build_networks(config, spec, label_dim, _outputs(config), out_shape)
    course = m.network.startswith("course-")
    encoder = _encoder(config, encoder_net, None if course else standardise(spec, stats))
    decoder = Decoder(decoder_net, likelihood, None if course else stats.mean)
    prior = _prior(config, encoder, spec, stats, label_dim)
    return LatentVariableModel(encoder, decoder, prior, m.latent_dim)


def standardise(spec: DataSpec, stats: Statistics) -> Standardise:
    """What an encoder does to x first."""
    # a column that hardly varies must not be magnified, so an image has one scale and a vector one a feature
    scale = torch.ones(()) if spec.values != "real" else torch.where(stats.std > 1e-6, stats.std, torch.ones(()))
    return Standardise(stats.mean, scale)


def start_log_variance(config: Config) -> float:
    """The start asked for; else narrow, but for the course's networks, which start as the course has them."""
    if config.model.start_log_variance is not None:
        return config.model.start_log_variance
    return 0.0 if config.model.network.startswith("course-") else START_LOG_VARIANCE


def _outputs(config: Config) -> int:
    """How many numbers the encoder's network says."""
    m = config.model
    if MODELS[m.kind].point:
        return m.latent_dim
    match m.posterior:
        case "diagonal":
            return 2 * m.latent_dim
        case "full":
            return FullGaussianEncoder.outputs(m.latent_dim)
        case "flow":
            return FlowEncoder.outputs(m.latent_dim, FLOW_CONTEXT)


def _encoder(config: Config, net: nn.Module, first: nn.Module | None) -> nn.Module:
    m = config.model
    if MODELS[m.kind].point:
        return PointEncoder(net, first)
    start = start_log_variance(config)
    match m.posterior:
        case "diagonal":
            return GaussianEncoder(net, first, log_variance=start)
        case "full":
            return FullGaussianEncoder(m.latent_dim, net, first, log_variance=start)
        case "flow":
            size = {"layers": m.flow_layers, "hidden": m.flow_width}
            return FlowEncoder(m.latent_dim, net, first, log_variance=start, context_dim=FLOW_CONTEXT, **size)


def _prior(config: Config, encoder: nn.Module, spec: DataSpec, stats: Statistics, label_dim: int) -> nn.Module:
    m = config.model
    if MODELS[m.kind].point:
        return FlatPrior(m.latent_dim)
    match m.prior:
        case "normal":
            return StandardNormal(m.latent_dim)
        case "conditional":
            return ConditionalNormal(m.latent_dim, label_dim)
        case "mixture":
            return MixturePrior(m.latent_dim, m.prior_components)
        case "vamp":
            limits = None if spec.values == "real" else (0.0, 1.0)
            return VampPrior(encoder, _pseudo_inputs(stats, m.prior_components), limits)
        case "flow":
            return FlowPrior(
                m.latent_dim, layers=m.flow_layers, hidden=m.flow_width, depth=m.flow_depth, label_dim=label_dim
            )


def _pseudo_inputs(stats: Statistics, count: int) -> Tensor:
    """Training examples ``[M, *data]``, once more from the start where there are fewer."""
    return stats.examples[torch.arange(count) % len(stats.examples)]
