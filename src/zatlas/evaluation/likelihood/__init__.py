"""log p(x) by four estimators that check one another, and the ELBO taken apart."""

from zatlas.evaluation.likelihood.annealed import (
    Annealed,
    Bidirectional,
    Price,
    annealed_importance,
    bidirectional,
    price,
)
from zatlas.evaluation.likelihood.gap import AmortisationGap, amortisation_gap
from zatlas.evaluation.likelihood.importance import importance_weighted
from zatlas.evaluation.likelihood.prior import prior_sampled
from zatlas.evaluation.likelihood.quadrature import Quadrature, integrated
from zatlas.evaluation.likelihood.rate import RateParts, rate_parts
from zatlas.evaluation.likelihood.weights import Curve

__all__ = [
    "AmortisationGap",
    "Annealed",
    "Bidirectional",
    "Curve",
    "Price",
    "Quadrature",
    "RateParts",
    "amortisation_gap",
    "annealed_importance",
    "bidirectional",
    "importance_weighted",
    "integrated",
    "price",
    "prior_sampled",
    "rate_parts",
]
