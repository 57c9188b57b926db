"""How good samples are, measured in the features of a named extractor and beside what test examples reach."""

from zatlas.evaluation.quality.features import Extractor, module_extractor, raw_values
from zatlas.evaluation.quality.frechet import frechet_distance
from zatlas.evaluation.quality.kernel import kernel_distance
from zatlas.evaluation.quality.memorisation import copying
from zatlas.evaluation.quality.modes import mode_coverage, stacked_classes
from zatlas.evaluation.quality.neighbours import nearest, overlap
from zatlas.evaluation.quality.suite import Quality, quality

__all__ = [
    "Extractor",
    "Quality",
    "copying",
    "frechet_distance",
    "kernel_distance",
    "mode_coverage",
    "module_extractor",
    "nearest",
    "overlap",
    "quality",
    "raw_values",
    "stacked_classes",
]
