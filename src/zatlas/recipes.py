"""The only file that pairs data, model and objective by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from zatlas.config import Config, TrainingConfig
from zatlas.config import Likelihood as LikelihoodName
from zatlas.data import Rows, Source
from zatlas.errors import UsageError, ZatlasError
from zatlas.models import LatentVariableModel
from zatlas.networks import (
    BernoulliLikelihood,
    ConditionalNormal,
    ConvDecoder,
    ConvEncoder,
    CourseConvDecoder,
    CourseConvEncoder,
    Decoder,
    FlatPrior,
    GaussianEncoder,
    GaussianLikelihood,
    Likelihood,
    LogisticLikelihood,
    MLPDecoder,
    MLPEncoder,
    PerValueGaussianLikelihood,
    PointEncoder,
    Standardise,
    StandardNormal,
)
from zatlas.objectives import (
    Capacity,
    Constrained,
    Discrepancy,
    Disentangled,
    Factor,
    Importance,
    Objective,
    TotalCorrelation,
    Variational,
)
from zatlas.training import Budget, Game, Optimisation, Schedule
from zatlas.types import DataSpec

MLP_WIDTH = {"xs": 64, "s": 256, "m": 512, "l": 1024}
CONV_WIDTHS = {"xs": (8, 16, 32), "s": (32, 64, 64), "m": (32, 64, 128, 128), "l": (64, 128, 256, 256)}
CONV_HIDDEN = {"xs": 64, "s": 256, "m": 256, "l": 512}
FEW_UNITS = 2  # up to so many latent units are a bottleneck, and the mlp is built for one
# Together they keep the decoder from learning to ignore z while z is still noise: the course's network ended between
# 149.9 and 157.1 nats on MNIST for four seeds with both, and at 206 for one of them as the course has it.
WARMUP_STEPS = 300  # of beta; also worth 2 nats at 2500 steps and 5 at 600 (mlp, MNIST, z = 16)
START_LOG_VARIANCE = -4.0
COURSE_WIDTHS = (400,)
DEFAULT_STEPS, DEFAULT_EPOCHS = 1500, 10


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the training data, ``[*data]`` each, as the model sees it."""

    mean: Tensor
    std: Tensor


def statistics(source: Source, rows: Rows, most: int = 10_000) -> Statistics:
    """Over at most ``most`` evenly spaced rows.

    Raises:
        ZatlasError: all rows are the same, so there is nothing to learn.
    """
    chosen = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]
    scale = 255.0 if source.spec.values == "uint8" else 1.0
    total = np.zeros(source.spec.shape)
    squares = np.zeros(source.spec.shape)
    for part in np.array_split(chosen, -(-len(chosen) // 1000)):
        x = source.read(part).astype(np.float64) / scale
        total += x.sum(0)
        squares += np.square(x).sum(0)
    mean = total / len(chosen)
    variance = np.maximum(squares / len(chosen) - np.square(mean), 0)
    if variance.max() <= 0 and len(chosen) > 1:
        raise ZatlasError(f"every training example of {source.name} is the same: there is nothing to learn.")
    return Statistics(torch.tensor(mean).float(), torch.tensor(np.sqrt(variance)).float())


def likelihood_name(config: Config, spec: DataSpec) -> LikelihoodName:
    """The likelihood that ``auto`` means for these data, or the one asked for.

    Raises:
        UsageError: the likelihood cannot hold such data.
    """
    name = config.model.likelihood
    grey = spec.values in ("uint8", "unit") and (not spec.is_image or spec.shape[0] == 1)
    if name == "auto":
        name = "bernoulli" if grey or config.data.binarise != "none" else "gaussian-learned"
    if name == "bernoulli" and spec.values == "real":
        raise UsageError("the bernoulli likelihood wants values in [0, 1], and these are not: choose gaussian-learned.")
    if name == "logistic" and (spec.values != "uint8" or config.data.binarise != "none"):
        raise UsageError(
            "the logistic likelihood wants 8-bit values without binarisation: choose gaussian or bernoulli."
        )
    if config.data.binarise != "none" and name != "bernoulli":
        raise UsageError(f"binarised data want the bernoulli likelihood, not {name}.")
    return name


def data_kind(config: Config, spec: DataSpec) -> str:
    """Which data the figures are about: ``grey``, ``static``, ``dynamic``, ``uint8`` or ``real``."""
    name = likelihood_name(config, spec)
    if config.data.binarise != "none":
        return config.data.binarise
    return {"bernoulli": "grey", "logistic": "uint8"}.get(name, "real")


def _likelihood(config: Config, spec: DataSpec, stats: Statistics) -> Likelihood:
    dims = len(spec.shape)
    if spec.values == "real":
        # a column that never changes keeps the unit 1: dividing by its spread would blow up its rounding errors
        shift, scale = stats.mean, torch.where(stats.std > 1e-6, stats.std, torch.ones(()))
    else:
        shift, scale = torch.zeros(()), torch.ones(())
    match likelihood_name(config, spec):
        case "bernoulli":
            return BernoulliLikelihood(dims)
        case "logistic":
            return LogisticLikelihood(dims)
        case "gaussian-per-pixel":
            return PerValueGaussianLikelihood(dims, shift, scale)
        case name:
            learned = name == "gaussian-learned"
            sigma = (
                config.model.sigma if not learned or spec.values == "real" else float(stats.std.square().mean().sqrt())
            )
            return GaussianLikelihood(dims, shift, scale, sigma=sigma, learned=learned)


def _networks(
    config: Config, spec: DataSpec, label_dim: int, outputs: int, out_shape: Sequence[int]
) -> tuple[nn.Module, nn.Module]:
    """Encoder network to ``outputs`` numbers, decoder network to ``out_shape``."""
    model = config.model
    match model.network:
        case "mlp":
            # measured on MNIST. z = 2: a third encoder layer is worth 2.5 nats, sine features 1, a third decoder
            # layer nothing, and normalisation, residual connections and dropout lose half a nat and more. z = 16:
            # normalisation is worth 4, and sine features make the posterior collapse
            w, few = MLP_WIDTH[model.size], model.latent_dim <= FEW_UNITS
            return (
                MLPEncoder(spec.size, (2 * w, 2 * w, w), outputs, label_dim=label_dim, normalise=not few),
                MLPDecoder(
                    model.latent_dim,
                    (w, w, 2 * w),
                    out_shape,
                    label_dim=label_dim,
                    sines=w if few else 0,
                    normalise=not few,
                ),
            )
        case "course-mlp":
            return (
                MLPEncoder(spec.size, COURSE_WIDTHS, outputs, label_dim=label_dim, activation=nn.ReLU),
                MLPDecoder(model.latent_dim, COURSE_WIDTHS, out_shape, label_dim=label_dim, activation=nn.ReLU),
            )
        case "conv":
            if not spec.is_image or min(spec.shape[1:]) < 5:
                raise UsageError(f"the conv network wants images of 5x5 pixels or more, not {spec.shape}: choose mlp.")
            channels, hidden = CONV_WIDTHS[model.size], CONV_HIDDEN[model.size]
            return (
                ConvEncoder(spec.shape, channels, hidden, outputs, label_dim=label_dim),
                ConvDecoder(model.latent_dim, channels, hidden, out_shape, label_dim=label_dim),
            )
        case "course-conv":
            if spec.shape != (1, 28, 28):
                found = "x".join(map(str, spec.shape))
                raise UsageError(
                    f"the course-conv network is made for 1x28x28 images and these are {found}: "
                    "choose conv, or resize with --resize 28 --channels 1."
                )
            return (
                CourseConvEncoder(outputs, label_dim=label_dim),
                CourseConvDecoder(model.latent_dim, parameters=out_shape[0], label_dim=label_dim),
            )


def build_model(config: Config, spec: DataSpec, stats: Statistics | None = None) -> LatentVariableModel:
    """The model that a configuration names, for data of this kind.

    Args:
        config: the configuration.
        spec: shape, values and labels of the data.
        stats: where decoder offset and standardisation start; None when weights are loaded afterwards.

    Raises:
        UsageError: a combination that cannot be.
    """
    kind = config.model.kind
    label_dim = spec.label_dim if kind == "cvae" else 0
    if kind == "cvae" and (not label_dim or (spec.label_kind == "class" and label_dim < 2)):
        found = f"only one class ({spec.labels[0]})" if label_dim else "no labels"
        raise UsageError(
            f"a conditional model wants labels of at least two classes, and these data have {found}: choose vae."
        )
    if stats is None:
        stats = Statistics(torch.full(spec.shape, 0.5), torch.ones(spec.shape))
    likelihood = _likelihood(config, spec, stats)
    latent = config.model.latent_dim
    outputs = latent if kind == "ae" else 2 * latent
    out_shape = (likelihood.per_value * spec.shape[0], *spec.shape[1:])
    encoder_net, decoder_net = _networks(config, spec, label_dim, outputs, out_shape)
    course = config.model.network.startswith("course-")
    # a column that hardly varies must not be magnified, so an image has one scale and a vector one a feature
    scale = torch.ones(()) if spec.values != "real" else torch.where(stats.std > 1e-6, stats.std, torch.ones(()))
    standardise = None if course else Standardise(stats.mean, scale)
    encoder: nn.Module = PointEncoder(encoder_net, standardise)
    if kind != "ae":
        encoder = GaussianEncoder(encoder_net, standardise, log_variance=start_log_variance(config))
    decoder = Decoder(decoder_net, likelihood, None if course else stats.mean)
    prior: nn.Module = StandardNormal(latent)
    if kind == "ae":
        prior = FlatPrior(latent)
    elif config.model.conditional_prior:
        prior = ConditionalNormal(latent, label_dim)
    return LatentVariableModel(encoder, decoder, prior)


def start_log_variance(config: Config) -> float:
    """The start asked for; else narrow, but for the course's networks, which start as the course has them."""
    if config.model.start_log_variance is not None:
        return config.model.start_log_variance
    return 0.0 if config.model.network.startswith("course-") else START_LOG_VARIANCE


def warmup_steps(config: Config) -> int:
    """The steps asked for; else none for an mlp of few units, which does not collapse and would lose over a nat."""
    if config.objective.beta_warmup_steps is not None:
        return config.objective.beta_warmup_steps
    model = config.model
    safe = model.network == "mlp" and model.latent_dim <= FEW_UNITS
    return 0 if safe or model.kind == "ae" else WARMUP_STEPS


def build_objective(config: Config, dataset_size: int) -> Objective:
    """The objective that a configuration names, for so many training examples."""
    o = config.objective
    match o.kind:
        case "elbo" if o.capacity_nats is not None:
            return Capacity(o.capacity_nats, steps=o.capacity_steps, gamma=o.gamma)
        case "elbo":
            return Variational(
                o.beta,
                warmup_steps=warmup_steps(config),
                free_bits_nats=o.free_bits_nats,
                sticking_the_landing=o.sticking_the_landing,
            )
        case "iwae":
            return Importance(o.samples, doubly_reparameterised=o.doubly_reparameterised)
        case "tcvae":
            return TotalCorrelation(dataset_size, o.beta, estimator=o.estimator)
        case "factor":
            return Factor(config.model.latent_dim, o.factor_gamma)
        case "dip":
            return Disentangled(o.dip_kind, off=o.dip_off, on=o.dip_on, beta=o.beta)
        case "infovae":
            return Discrepancy(alpha=o.mmd_alpha, weight=o.mmd_weight)
        case "constrained":
            assert o.target_nats is not None  # the configuration saw to it
            return Constrained(o.target_nats, constrain=o.constrain)


def build_game(config: Config, spec: DataSpec, dataset_size: int, stats: Statistics | None = None) -> Game:
    """Model and objective, with weights drawn from torch's global random state."""
    return Game(build_model(config, spec, stats), build_objective(config, dataset_size))


def resolve(config: Config, spec: DataSpec, steps_per_epoch: int) -> Config:
    """The configuration with every automatic value written out: it repeats the run even where defaults change."""
    resolved = config.model_copy(deep=True)
    resolved.model.likelihood = likelihood_name(config, spec)
    if config.model.kind != "ae":
        resolved.model.start_log_variance = start_log_variance(config)
    if config.model.kind != "ae" and config.objective.kind == "elbo":
        resolved.objective.beta_warmup_steps = warmup_steps(config)
    resolved.training.steps = budget(config.training, steps_per_epoch).steps
    return resolved


def budget(training: TrainingConfig, steps_per_epoch: int) -> Budget:
    """The limits asked for; without any, ten epochs or 1500 steps, whichever is more."""
    if training.epochs is None and training.steps is None and training.seconds is None:
        return Budget(steps=max(DEFAULT_STEPS, DEFAULT_EPOCHS * steps_per_epoch))
    return Budget(steps=training.steps, epochs=training.epochs, seconds=training.seconds)


def schedule(training: TrainingConfig) -> Schedule:
    return Schedule(training.schedule, training.warmup)


def optimisation(training: TrainingConfig) -> Optimisation:
    betas = (training.beta1, training.beta2)
    return Optimisation(training.optimizer, training.learning_rate, betas, training.weight_decay)
