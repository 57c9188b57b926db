"""The only room that pairs data, model and objective by name."""

from zatlas.recipes.likelihoods import data_kind, likelihood_name
from zatlas.recipes.models import build_model, wanted_examples
from zatlas.recipes.objectives import build_objective
from zatlas.recipes.statistics import Statistics, statistics
from zatlas.recipes.training import budget, build_game, optimisation, resolve, schedule

__all__ = [
    "Statistics",
    "budget",
    "build_game",
    "build_model",
    "build_objective",
    "data_kind",
    "likelihood_name",
    "optimisation",
    "resolve",
    "schedule",
    "statistics",
    "wanted_examples",
]
