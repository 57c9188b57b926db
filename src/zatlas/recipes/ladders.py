"""The hierarchical VAE, on vectors or on images."""

from __future__ import annotations

from zatlas.config import Config
from zatlas.errors import UsageError
from zatlas.models import Ladder
from zatlas.networks import Decoder, image_ladder, vector_ladder
from zatlas.recipes.flat import standardise
from zatlas.recipes.likelihoods import build_likelihood
from zatlas.recipes.networks import MLP_WIDTH, RESNET_BLOCKS, RESNET_WIDTHS
from zatlas.recipes.statistics import Statistics
from zatlas.types import DataSpec


def build_ladder(config: Config, spec: DataSpec, stats: Statistics) -> Ladder:
    """Levels of as many units (mlp) or channels (resnet) each as ``latent_dim`` says."""
    m = config.model
    likelihood = build_likelihood(config, spec, stats)
    out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
    dims = [m.latent_dim] * m.levels
    if m.network == "resnet":
        if not spec.is_image:
            raise UsageError(f"the resnet network wants images, not {spec.shape[0]} columns: choose mlp.")
        rungs, readout = image_ladder(spec.shape, dims, RESNET_WIDTHS[m.size], out_shape, blocks=RESNET_BLOCKS[m.size])
    else:
        rungs, readout = vector_ladder(spec.size, dims, MLP_WIDTH[m.size], out_shape)
    return Ladder(rungs, Decoder(readout, likelihood, stats.mean), standardise(spec, stats))
