"""The only room that pairs data, model and objective by name."""

from zatlas.recipes.likelihoods import Quantity, bits_over, data_kind, lacks_grey_levels, likelihood_name, quantity
from zatlas.recipes.models import build_model, wanted_examples
from zatlas.recipes.objectives import build_objective
from zatlas.recipes.statistics import Statistics, statistics
from zatlas.recipes.training import budget, build_game, optimisation, resolve, schedule

__all__ = [
    "Quantity",
    "Statistics",
    "bits_over",
    "budget",
    "build_game",
    "build_model",
    "build_objective",
    "data_kind",
    "lacks_grey_levels",
    "likelihood_name",
    "optimisation",
    "quantity",
    "resolve",
    "schedule",
    "statistics",
    "wanted_examples",
]
