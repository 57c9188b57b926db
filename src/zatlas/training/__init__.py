"""The training loop and what it is made of."""

from zatlas.training.averaging import Average
from zatlas.training.budget import Budget, Schedule
from zatlas.training.ensemble import Ensemble
from zatlas.training.game import Game
from zatlas.training.loop import Diverged, State, Trainer, Watcher, load_module
from zatlas.training.optimisation import Optimisation
from zatlas.training.precision import Precision, autocast, choose_device, measure, using_threads

__all__ = [
    "Average",
    "Budget",
    "Diverged",
    "Ensemble",
    "Game",
    "Optimisation",
    "Precision",
    "Schedule",
    "State",
    "Trainer",
    "Watcher",
    "autocast",
    "choose_device",
    "load_module",
    "measure",
    "using_threads",
]
