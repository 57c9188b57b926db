"""From a configuration and data to a game, ready to be trained: what was left open is decided, and parts are put
together."""

from zatlas.recipes.adopting import NOTHING, Given, adopt_modules, adopted, changes, foreign_record, given_again
from zatlas.recipes.assembling import (
    budget,
    build_game,
    build_model,
    context_of,
    optimisation,
    resolve,
    schedule,
    wanted_examples,
)
from zatlas.recipes.deciding import (
    FEW_ROWS,
    Quantity,
    bits_over,
    data_kind,
    decided,
    lacks_grey_levels,
    likelihood_name,
    linear_units,
    network_name,
    quantity,
)
from zatlas.recipes.statistics import statistics
from zatlas.types import Statistics

__all__ = [
    "FEW_ROWS",
    "NOTHING",
    "Given",
    "Quantity",
    "Statistics",
    "adopt_modules",
    "adopted",
    "bits_over",
    "budget",
    "build_game",
    "build_model",
    "changes",
    "context_of",
    "data_kind",
    "decided",
    "foreign_record",
    "given_again",
    "lacks_grey_levels",
    "likelihood_name",
    "linear_units",
    "network_name",
    "optimisation",
    "quantity",
    "resolve",
    "schedule",
    "statistics",
    "wanted_examples",
]
