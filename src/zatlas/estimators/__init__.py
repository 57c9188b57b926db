"""The scikit-learn face: estimators that train and save the same runs as the command line."""

from zatlas.estimators.kinds import VAE, AutoEncoder, ConditionalVAE
from zatlas.estimators.saving import load

__all__ = ["VAE", "AutoEncoder", "ConditionalVAE", "load"]
