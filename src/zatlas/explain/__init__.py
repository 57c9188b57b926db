"""What people ask about deep generative models, worked out with numbers: each answer is a View."""

from zatlas.explain.conv_transpose import conv_transpose
from zatlas.explain.elbo import elbo
from zatlas.explain.gaussian_kl import gaussian_kl
from zatlas.explain.kl import discrete_kl, kl_curves
from zatlas.explain.kl_fit import kl_fit
from zatlas.explain.reparameterisation import reparameterisation

__all__ = ["conv_transpose", "discrete_kl", "elbo", "gaussian_kl", "kl_curves", "kl_fit", "reparameterisation"]
