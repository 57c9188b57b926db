"""Through the latent space of a run: each walk gives a View, with its arrays, its figure and what it says."""

from collections.abc import Callable
from typing import Any

from zatlas.parts import SORTS
from zatlas.walks.centroids import centroid
from zatlas.walks.describe import describe
from zatlas.walks.directions import apply, attribute
from zatlas.walks.examples import codes, decode, encode, reconstruct, sample
from zatlas.walks.interpolate import interpolate
from zatlas.walks.manifold import manifold
from zatlas.walks.outliers import outliers
from zatlas.walks.relabel import relabel, transfer
from zatlas.walks.scatter import scatter
from zatlas.walks.similar import similar
from zatlas.walks.traverse import traverse

__all__ = [
    "apply",
    "attribute",
    "centroid",
    "codes",
    "decode",
    "describe",
    "encode",
    "interpolate",
    "manifold",
    "outliers",
    "reconstruct",
    "relabel",
    "sample",
    "scatter",
    "similar",
    "transfer",
    "traverse",
]


def __getattr__(name: str) -> Callable[..., Any]:
    """A walk that another module or package declares."""
    part = None if name.startswith("_") else SORTS["walk"].find(name)
    if part is None:
        raise AttributeError(f"module 'zatlas.walks' has no attribute {name!r}")
    return part.target
