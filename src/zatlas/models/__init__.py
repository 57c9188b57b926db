"""Models: conditionals composed, answering ``infer`` and ``generate``."""

from zatlas.models.flat import LatentVariableModel
from zatlas.models.generator import Generator
from zatlas.models.ladder import Ladder
from zatlas.models.linear import LinearGaussian
from zatlas.models.quantised import VectorQuantised

__all__ = ["Generator", "Ladder", "LatentVariableModel", "LinearGaussian", "VectorQuantised"]
