"""The scikit-learn face: estimators that train and save the same runs as the command line."""

from zatlas.estimators.kinds import (
    GAN,
    VAE,
    VQVAE,
    AutoEncoder,
    ConditionalGAN,
    ConditionalVAE,
    FactorAnalysis,
    LadderVAE,
    ProbabilisticPCA,
)
from zatlas.estimators.saving import load

__all__ = [
    "GAN",
    "VAE",
    "VQVAE",
    "AutoEncoder",
    "ConditionalGAN",
    "ConditionalVAE",
    "FactorAnalysis",
    "LadderVAE",
    "ProbabilisticPCA",
    "load",
]
