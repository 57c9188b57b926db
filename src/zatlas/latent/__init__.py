"""The latent space: into it, out of it, and through it."""

from zatlas.latent.aggregate import ExPostPrior, fit_flow, fit_mixture
from zatlas.latent.codes import Codes, Pictures, decode, draw_codes, encode
from zatlas.latent.directions import Direction
from zatlas.latent.ex_post import EX_POST, fit_ex_post, need_kind
from zatlas.latent.matching import Place, fit_flow_matching, forget
from zatlas.latent.neighbours import Neighbours
from zatlas.latent.planes import Plane, Principal, plane_of_units, plane_through, principal
from zatlas.latent.separating import fit_direction
from zatlas.latent.units import Address, Unit, addressed, code_shape, gathered_units, summed_units, unit_names, units_of
from zatlas.latent.walk import Manifold, Traversal, manifold, ticks, traverse

__all__ = [
    "EX_POST",
    "Address",
    "Codes",
    "Direction",
    "ExPostPrior",
    "Manifold",
    "Neighbours",
    "Pictures",
    "Place",
    "Plane",
    "Principal",
    "Traversal",
    "Unit",
    "addressed",
    "code_shape",
    "decode",
    "draw_codes",
    "encode",
    "fit_direction",
    "fit_ex_post",
    "fit_flow",
    "fit_flow_matching",
    "fit_mixture",
    "forget",
    "gathered_units",
    "manifold",
    "need_kind",
    "plane_of_units",
    "plane_through",
    "principal",
    "summed_units",
    "ticks",
    "traverse",
    "unit_names",
    "units_of",
]
