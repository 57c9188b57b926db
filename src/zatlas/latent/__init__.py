"""The latent space: into it, out of it, and through it."""

from zatlas.latent.aggregate import ExPostPrior, fit_flow, fit_mixture
from zatlas.latent.codes import Codes, Pictures, decode, draw_codes, encode
from zatlas.latent.ex_post import EX_POST, fit_ex_post
from zatlas.latent.units import unit_names
from zatlas.latent.walk import Manifold, Traversal, manifold, traverse

__all__ = [
    "EX_POST",
    "Codes",
    "ExPostPrior",
    "Manifold",
    "Pictures",
    "Traversal",
    "decode",
    "draw_codes",
    "encode",
    "fit_ex_post",
    "fit_flow",
    "fit_mixture",
    "manifold",
    "traverse",
    "unit_names",
]
