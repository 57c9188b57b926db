"""The training loop and what it is made of."""

from zatlas.training.averaging import Average
from zatlas.training.budget import Budget, Schedule
from zatlas.training.checkpoint import load_module
from zatlas.training.ensemble import Ensemble
from zatlas.training.game import Game
from zatlas.training.loop import Diverged, Trainer
from zatlas.training.optimisation import Optimisation
from zatlas.training.precision import (
    Arithmetic,
    Precision,
    autocast,
    choose_arithmetic,
    choose_device,
    crowded,
    using_threads,
)
from zatlas.training.randomness import forked_rng
from zatlas.training.state import State
from zatlas.training.watching import Watcher

__all__ = [
    "Arithmetic",
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
    "choose_arithmetic",
    "choose_device",
    "crowded",
    "forked_rng",
    "load_module",
    "using_threads",
]
