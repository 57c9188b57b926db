"""How well units of a code stand for factors of the data: measures of disentanglement, each with its estimator."""

from zatlas.evaluation.disentanglement.beta_vae import beta_vae
from zatlas.evaluation.disentanglement.dci import dci, dci_forest
from zatlas.evaluation.disentanglement.factor_vae import factor_vae
from zatlas.evaluation.disentanglement.irs import irs
from zatlas.evaluation.disentanglement.mig import mig_histogram, mig_sampled
from zatlas.evaluation.disentanglement.modularity import explicitness, modularity
from zatlas.evaluation.disentanglement.sampling import FactorTable, Represent
from zatlas.evaluation.disentanglement.sap import sap, sap_correlation
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.disentanglement.suite import score_all
from zatlas.evaluation.disentanglement.udr import udr

__all__ = [
    "FactorTable",
    "Represent",
    "Score",
    "beta_vae",
    "dci",
    "dci_forest",
    "explicitness",
    "factor_vae",
    "irs",
    "mig_histogram",
    "mig_sampled",
    "modularity",
    "sap",
    "sap_correlation",
    "score_all",
    "udr",
]
