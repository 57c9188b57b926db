"""Tensors in, Distribution out."""

from zatlas.distributions.bernoulli import Bernoulli
from zatlas.distributions.categorical import Categorical
from zatlas.distributions.codeword import CodeSequence, Codeword
from zatlas.distributions.continuous_bernoulli import ContinuousBernoulli
from zatlas.distributions.flow import Flow
from zatlas.distributions.full import FullGaussian
from zatlas.distributions.gaussian import DiagonalGaussian, standard_normal
from zatlas.distributions.kl import closed_kl, gaussian_kl_per_unit, kl_divergence, rate_per_unit, stopped
from zatlas.distributions.logistic import DiscretisedLogistic
from zatlas.distributions.logistic_mixture import LogisticMixture
from zatlas.distributions.mixture import GaussianMixture
from zatlas.distributions.point import Flat, Point

__all__ = [
    "Bernoulli",
    "Categorical",
    "CodeSequence",
    "Codeword",
    "ContinuousBernoulli",
    "DiagonalGaussian",
    "DiscretisedLogistic",
    "Flat",
    "Flow",
    "FullGaussian",
    "GaussianMixture",
    "LogisticMixture",
    "Point",
    "closed_kl",
    "gaussian_kl_per_unit",
    "kl_divergence",
    "rate_per_unit",
    "standard_normal",
    "stopped",
]
