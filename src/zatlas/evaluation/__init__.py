"""Figures about a model, each with its estimator, count and standard error."""

from zatlas.evaluation.elbo import Elbo, estimate_elbo
from zatlas.evaluation.figure import Figure, mean_figure
from zatlas.evaluation.terms import mean_terms, term_figures

__all__ = ["Elbo", "Figure", "estimate_elbo", "mean_figure", "mean_terms", "term_figures"]
