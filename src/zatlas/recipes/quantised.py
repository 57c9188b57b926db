"""The VQ-VAE, with a code of slots (mlp) or a map of codes (conv)."""

from __future__ import annotations

from torch import nn

from zatlas.config import Config
from zatlas.errors import UsageError
from zatlas.models import VectorQuantised
from zatlas.networks import (
    CausalTransformer,
    CodeMapDecoder,
    CodeMapEncoder,
    Decoder,
    GradientCodebook,
    MLPDecoder,
    MLPEncoder,
    MovingCodebook,
)
from zatlas.recipes.flat import standardise
from zatlas.recipes.likelihoods import build_likelihood
from zatlas.recipes.networks import MLP_WIDTH
from zatlas.recipes.statistics import Statistics
from zatlas.types import DataSpec

CHANNELS = {"xs": (16, 16), "s": (32, 64), "m": (64, 128), "l": (128, 256)}  # two halvings, as the paper has it
BLOCKS = {"xs": 0, "s": 1, "m": 2, "l": 2}
DECAY = 0.97  # of the codewords' averages: an epoch of MNIST is a thousand batches, and the papers' 0.99 lags
PRIOR = {"xs": (32, 1), "s": (64, 2), "m": (128, 3), "l": (256, 4)}  # width and layers


def build_quantised(config: Config, spec: DataSpec, stats: Statistics) -> VectorQuantised:
    """A VQ-VAE and the prior over its codes."""
    m = config.model
    likelihood = build_likelihood(config, spec, stats)
    out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
    encoder: nn.Module
    decoder: nn.Module
    if m.network == "conv":
        if not spec.is_image or min(spec.shape[1:]) < 5:
            raise UsageError(f"the conv network wants images of 5x5 pixels or more, not {spec.shape}: choose mlp.")
        channels, blocks = CHANNELS[m.size], BLOCKS[m.size]
        maps = CodeMapEncoder(spec.shape, channels, m.code_dim, blocks=blocks)
        encoder, positions = maps, maps.positions
        decoder = CodeMapDecoder(m.code_dim, channels, out_shape, blocks=blocks)
    else:
        w, positions = MLP_WIDTH[m.size], m.latent_dim
        code = positions * m.code_dim
        encoder = MLPEncoder(spec.size, (2 * w, 2 * w, w), code, normalise=True)
        decoder = MLPDecoder(code, (w, w, 2 * w), out_shape, normalise=True)
    book = (MovingCodebook if m.codebook == "ema" else GradientCodebook)(m.codebook_size, m.code_dim, decay=DECAY)
    width, layers = PRIOR[m.size]
    return VectorQuantised(
        encoder,
        book,
        Decoder(decoder, likelihood, stats.mean),
        CausalTransformer(positions, m.codebook_size, width=width, layers=layers),
        standardise=standardise(spec, stats),
    )
