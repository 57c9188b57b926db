"""Figures about a model, each with its estimator, count and standard error."""

from zatlas.evaluation.elbo import Elbo, estimate_elbo
from zatlas.evaluation.figure import Figure, bits_per_dimension, mean_figure
from zatlas.evaluation.reconstruction import Reconstruction, estimate_reconstruction
from zatlas.evaluation.terms import mean_terms, quoted, term_figures

__all__ = [
    "Elbo",
    "Figure",
    "Reconstruction",
    "bits_per_dimension",
    "estimate_elbo",
    "estimate_reconstruction",
    "mean_figure",
    "mean_terms",
    "quoted",
    "term_figures",
]
