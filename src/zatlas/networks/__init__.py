"""Networks, and the conditionals that they make."""

from zatlas.networks.conditional import (
    ConditionalNormal,
    Decoder,
    FlatPrior,
    GaussianEncoder,
    PointEncoder,
    Standardise,
    StandardNormal,
)
from zatlas.networks.conv import ConvDecoder, ConvEncoder
from zatlas.networks.course import CourseConvDecoder, CourseConvEncoder
from zatlas.networks.likelihood import (
    BernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
    LogisticLikelihood,
    PerValueGaussianLikelihood,
)
from zatlas.networks.mlp import MLPDecoder, MLPEncoder, SineFeatures

__all__ = [
    "BernoulliLikelihood",
    "ConditionalNormal",
    "ConvDecoder",
    "ConvEncoder",
    "CourseConvDecoder",
    "CourseConvEncoder",
    "Decoder",
    "FlatPrior",
    "GaussianEncoder",
    "GaussianLikelihood",
    "Likelihood",
    "LogisticLikelihood",
    "MLPDecoder",
    "MLPEncoder",
    "PerValueGaussianLikelihood",
    "PointEncoder",
    "SineFeatures",
    "StandardNormal",
    "Standardise",
]
