"""What is minimised, in nats per example."""

from zatlas.objectives.bounds import distortion, importance_bound, log_weights, negative_elbo, rate
from zatlas.objectives.objective import Objective
from zatlas.objectives.variational import Capacity, Variational

__all__ = [
    "Capacity",
    "Objective",
    "Variational",
    "distortion",
    "importance_bound",
    "log_weights",
    "negative_elbo",
    "rate",
]
