"""The latent space: into it, out of it, and through it."""

from zatlas.latent.aggregate import ExPostPrior, fit_flow, fit_mixture
from zatlas.latent.codes import Codes, Pictures, decode, draw_codes, encode
from zatlas.latent.directions import Direction
from zatlas.latent.ex_post import EX_POST, fit_ex_post
from zatlas.latent.neighbours import Neighbours
from zatlas.latent.planes import Plane, Principal, plane_of_units, plane_through, principal
from zatlas.latent.separating import fit_direction
from zatlas.latent.units import unit_names
from zatlas.latent.walk import Manifold, Traversal, manifold, ticks, traverse

__all__ = [
    "EX_POST",
    "Codes",
    "Direction",
    "ExPostPrior",
    "Manifold",
    "Neighbours",
    "Pictures",
    "Plane",
    "Principal",
    "Traversal",
    "decode",
    "draw_codes",
    "encode",
    "fit_direction",
    "fit_ex_post",
    "fit_flow",
    "fit_mixture",
    "manifold",
    "plane_of_units",
    "plane_through",
    "principal",
    "ticks",
    "traverse",
    "unit_names",
]
