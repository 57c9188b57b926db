"""Networks of a model of real columns that begin as a linear model."""

from __future__ import annotations

import torch
from torch import nn

from zatlas.config import Config
from zatlas.networks import BesideLinear, MLPDecoder, MLPEncoder
from zatlas.recipes.likelihoods import units as units_of
from zatlas.recipes.statistics import Statistics
from zatlas.types import DataSpec

TABLE_WIDTH = {"xs": 32, "s": 64, "m": 128, "l": 256}


def table_networks(
    config: Config, spec: DataSpec, stats: Statistics, label_dim: int, outputs: int, *, start: float
) -> tuple[nn.Module, nn.Module]:
    """Encoder network from standardised columns to ``outputs`` numbers, decoder network to columns in units of their
    noise; both begin as the linear model of ``stats``.

    Args:
        config: the configuration.
        spec: of the data.
        stats: without a linear model where weights are loaded afterwards.
        label_dim: Y, or 0.
        outputs: means, log-variances, and whatever else a posterior wants, which begins as zero.
        start: what the encoder adds to its log-variances.
    """
    width, units = TABLE_WIDTH[config.model.size], config.model.latent_dim
    encoder_net = MLPEncoder(spec.size, (width, width), outputs, label_dim=label_dim)
    decoder_net = MLPDecoder(units, (width, width), spec.shape, label_dim=label_dim)
    encoder = BesideLinear(encoder_net, spec.size, (outputs,))
    decoder = BesideLinear(decoder_net, units, spec.shape)
    if linear := stats.linear:
        variance = 1 / (1 + linear.weight.square().sum(0))
        _, scale = units_of(spec, stats)
        with torch.no_grad():
            for values in (encoder.linear.weight, encoder.linear.bias, decoder.linear.bias):
                values.zero_()
            encoder.linear.weight[:units] = variance[:, None] * (linear.weight * (scale / linear.noise)[:, None]).T
            encoder.linear.bias[units : 2 * units] = variance.log() - start
            decoder.linear.weight.copy_(linear.weight)
    return encoder, decoder
