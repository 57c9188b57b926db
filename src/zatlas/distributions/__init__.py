"""Tensors in, Distribution out."""

from zatlas.distributions.bernoulli import Bernoulli
from zatlas.distributions.gaussian import DiagonalGaussian, standard_normal
from zatlas.distributions.kl import gaussian_kl_per_unit, kl_divergence, rate_per_unit, stopped
from zatlas.distributions.logistic import DiscretisedLogistic
from zatlas.distributions.point import Flat, Point

__all__ = [
    "Bernoulli",
    "DiagonalGaussian",
    "DiscretisedLogistic",
    "Flat",
    "Point",
    "gaussian_kl_per_unit",
    "kl_divergence",
    "rate_per_unit",
    "standard_normal",
    "stopped",
]
