"""Figures about a model, each with its estimator, count and standard error."""

from zatlas.evaluation.elbo import Elbo, Figure, estimate_elbo, mean_figure, mean_terms

__all__ = ["Elbo", "Figure", "estimate_elbo", "mean_figure", "mean_terms"]
