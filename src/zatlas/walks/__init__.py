"""Through the latent space of a run: each walk gives a View, with its arrays, its figure and what it says."""

from zatlas.walks.manifold import manifold
from zatlas.walks.traverse import traverse

__all__ = ["manifold", "traverse"]
