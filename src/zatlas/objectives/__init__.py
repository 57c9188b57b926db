"""What is minimised, in nats per example."""

from zatlas.objectives.adversarial import Adversarial, NonSaturating, Relativistic, Wasserstein
from zatlas.objectives.bounds import distortion, importance_bound, log_weights, negative_elbo, path_rate, rate
from zatlas.objectives.constrained import Constrained
from zatlas.objectives.exact import Exact
from zatlas.objectives.factor import Factor
from zatlas.objectives.importance import Importance
from zatlas.objectives.moments import Discrepancy, Disentangled
from zatlas.objectives.objective import Objective
from zatlas.objectives.quantised import VectorQuantisation
from zatlas.objectives.total_correlation import TotalCorrelation
from zatlas.objectives.variational import Capacity, Variational

__all__ = [
    "Adversarial",
    "Capacity",
    "Constrained",
    "Discrepancy",
    "Disentangled",
    "Exact",
    "Factor",
    "Importance",
    "NonSaturating",
    "Objective",
    "Relativistic",
    "TotalCorrelation",
    "Variational",
    "VectorQuantisation",
    "Wasserstein",
    "distortion",
    "importance_bound",
    "log_weights",
    "negative_elbo",
    "path_rate",
    "rate",
]
