"""Networks, and the conditionals that they make."""

from zatlas.networks.adversarial import (
    CourseCritic,
    CourseGenerator,
    ImplicitLikelihood,
    ResidualCritic,
    ResidualGenerator,
    spectrally_normalised,
)
from zatlas.networks.adversarial_conv import (
    ResidualConvCritic,
    ResidualConvGenerator,
    StridedCritic,
    StridedGenerator,
)
from zatlas.networks.burgess import BurgessDecoder, BurgessEncoder
from zatlas.networks.code_maps import CodeMapDecoder, CodeMapEncoder
from zatlas.networks.code_prior import CausalTransformer
from zatlas.networks.codebook import Codebook, GradientCodebook, MovingCodebook
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
from zatlas.networks.exported import ExportedNetwork
from zatlas.networks.konny import KonnyDecoder, KonnyEncoder
from zatlas.networks.ladder import image_ladder, vector_ladder
from zatlas.networks.likelihood import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    Likelihood,
    LogisticLikelihood,
    LogisticMixtureLikelihood,
    PerValueGaussianLikelihood,
)
from zatlas.networks.mlp import BesideLinear, MLPDecoder, MLPEncoder, SineFeatures
from zatlas.networks.posteriors import FlowEncoder, FullGaussianEncoder
from zatlas.networks.priors import FlowPrior, MixturePrior, VampPrior
from zatlas.networks.resnet import ResNetDecoder, ResNetEncoder

__all__ = [
    "BernoulliLikelihood",
    "BesideLinear",
    "BurgessDecoder",
    "BurgessEncoder",
    "CategoricalLikelihood",
    "CausalTransformer",
    "CodeMapDecoder",
    "CodeMapEncoder",
    "Codebook",
    "ConditionalNormal",
    "ContinuousBernoulliLikelihood",
    "ConvDecoder",
    "ConvEncoder",
    "CourseConvDecoder",
    "CourseConvEncoder",
    "CourseCritic",
    "CourseGenerator",
    "Decoder",
    "ExportedNetwork",
    "FlatPrior",
    "FlowEncoder",
    "FlowPrior",
    "FullGaussianEncoder",
    "GaussianEncoder",
    "GaussianLikelihood",
    "GradientCodebook",
    "ImplicitLikelihood",
    "KonnyDecoder",
    "KonnyEncoder",
    "Likelihood",
    "LogisticLikelihood",
    "LogisticMixtureLikelihood",
    "MLPDecoder",
    "MLPEncoder",
    "MixturePrior",
    "MovingCodebook",
    "PerValueGaussianLikelihood",
    "PointEncoder",
    "ResNetDecoder",
    "ResNetEncoder",
    "ResidualConvCritic",
    "ResidualConvGenerator",
    "ResidualCritic",
    "ResidualGenerator",
    "SineFeatures",
    "StandardNormal",
    "Standardise",
    "StridedCritic",
    "StridedGenerator",
    "VampPrior",
    "image_ladder",
    "spectrally_normalised",
    "vector_ladder",
]
