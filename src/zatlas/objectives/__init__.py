"""What is minimised, in nats per example."""

from zatlas.objectives.bounds import distortion, importance_bound, log_weights, negative_elbo, path_rate, rate
from zatlas.objectives.constrained import Constrained
from zatlas.objectives.factor import Factor
from zatlas.objectives.importance import Importance
from zatlas.objectives.moments import Discrepancy, Disentangled
from zatlas.objectives.objective import Objective
from zatlas.objectives.total_correlation import TotalCorrelation
from zatlas.objectives.variational import Capacity, Variational

__all__ = [
    "Capacity",
    "Constrained",
    "Discrepancy",
    "Disentangled",
    "Factor",
    "Importance",
    "Objective",
    "TotalCorrelation",
    "Variational",
    "distortion",
    "importance_bound",
    "log_weights",
    "negative_elbo",
    "path_rate",
    "rate",
]
