"""The family in words: every kind of model and objective, when to use it, and what goes with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ModelKind = Literal["ae", "vae", "cvae", "ladder", "vqvae", "gan", "cgan", "ppca", "fa"]
ObjectiveKind = Literal[
    "elbo",
    "iwae",
    "tcvae",
    "factor",
    "dip",
    "infovae",
    "constrained",
    "vq",
    "gan",
    "relativistic",
    "wasserstein",
    "exact",
]
Defaults = Mapping[str, Mapping[str, Any]]

VARIATIONAL = ("elbo", "iwae", "tcvae", "factor", "dip", "infovae", "constrained")
ADVERSARIAL = ("relativistic", "gan", "wasserstein")


@dataclass(frozen=True)
class Kind:
    """What is true of every model of a kind.

    Attributes:
        title: its name for people.
        when: when to use it, one sentence.
        objectives: those that go with it, the default first.
        networks: those that it can be built of; empty: all that the data allow.
        infers: whether it says which z made an x, so that it encodes, reconstructs and has a likelihood or its bound.
        closed: whether it is fitted in closed form or by EM, before the first step, of which there is none.
        axes: whether the units of a code are axes that can be walked along, with a rate each.
        point: whether a code has no distribution, so that there is no rate and no prior to sample from.
        conditional: whether y is part of it.
        defaults: values of the configuration that this kind wants and others do not.
    """

    title: str
    when: str
    objectives: tuple[str, ...]
    networks: tuple[str, ...] = ()
    infers: bool = True
    closed: bool = False
    axes: bool = True
    point: bool = False
    conditional: bool = False
    defaults: Defaults = field(default_factory=dict)


GAN: Defaults = {
    "model": {"latent_dim": 64},
    "training": {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.99, "weight_decay": 0.0, "ema": 0.999}
    | {"schedule": "constant", "warmup": 0.0, "clip_norm": 0.0, "batch_size": 64},
}
CLOSED: Defaults = {"training": {"precision": "fp32"}}
GAN_NETWORKS = ("conv", "mlp", "resnet", "course-mlp")

MODELS: dict[str, Kind] = {
    "ae": Kind(
        "Autoencoder",
        "the best reconstructions of a given latent size, and codes for other programs; it samples once a prior is "
        "fitted to its codes",
        ("elbo",),
        point=True,
    ),
    "vae": Kind(
        "Variational autoencoder",
        "the first choice: codes with a distribution, new samples, a bound on the likelihood, a space to walk",
        VARIATIONAL,
    ),
    "cvae": Kind(
        "Conditional variational autoencoder",
        "where labels are known and should be chosen freely: z then holds style alone",
        VARIATIONAL,
        conditional=True,
    ),
    "ladder": Kind(
        "Hierarchical (ladder) variational autoencoder",
        "many levels of detail, from the whole down to the stroke: for larger images and long training",
        ("elbo", "iwae"),
        networks=("mlp", "resnet"),
    ),
    "vqvae": Kind(
        "Vector-quantised variational autoencoder",
        "sharp reconstructions through discrete codes: to compress, or to feed a sequence model",
        ("vq",),
        networks=("mlp", "conv"),
        axes=False,
        defaults={"training": {"learning_rate": 3e-3, "beta2": 0.999, "batch_size": 64, "weight_decay": 0.0}},
    ),
    "gan": Kind(
        "Generative adversarial network",
        "the sharpest samples; it has no encoder and no likelihood",
        ADVERSARIAL,
        networks=GAN_NETWORKS,
        infers=False,
        defaults=GAN,
    ),
    "cgan": Kind(
        "Conditional generative adversarial network",
        "sharp samples of a class that you name; no encoder and no likelihood",
        ADVERSARIAL,
        networks=GAN_NETWORKS,
        infers=False,
        conditional=True,
        defaults=GAN,
    ),
    "ppca": Kind(
        "Probabilistic PCA",
        "the linear model to compare with: fitted exactly in seconds, with an exact likelihood",
        ("exact",),
        networks=("mlp",),
        closed=True,
        defaults=CLOSED,
    ),
    "fa": Kind(
        "Factor analysis",
        "probabilistic PCA where every value has a noise of its own: for measurements of different quality",
        ("exact",),
        networks=("mlp",),
        closed=True,
        defaults=CLOSED,
    ),
}

OBJECTIVES: dict[str, str] = {
    "elbo": "distortion + beta rate: VAE at beta 1, beta-VAE elsewhere; with free bits or a capacity if wanted",
    "iwae": "importance-weighted bound of several samples: a tighter bound, a better likelihood, a worse encoder",
    "tcvae": "beta on the total correlation alone: disentangled units that cost less reconstruction than beta-VAE",
    "factor": "FactorVAE, total correlation by a critic: as tcvae, where batches are too small to estimate it",
    "dip": "asks the codes for a covariance of identity: disentangled units without a critic",
    "infovae": "MMD between codes and prior instead of (some of) the rate: codes that keep more of x",
    "constrained": "lowest rate at a distortion that you name (GECO): ask for a quality instead of guessing beta",
    "vq": "distortion + commitment to the codebook, and a prior learned over the codes beside it",
    "gan": "the non-saturating game of 2014, as courses teach it: watch V(D,G) against -log 4",
    "relativistic": "relativistic pairing with R1 and R2 penalties: the GAN that converges and keeps all modes",
    "wasserstein": "Wasserstein distance with gradient penalty: losses that mean something, at five times the work",
    "exact": "the likelihood itself, maximised in closed form or by EM",
}

# What an objective wants of the rest of the configuration where nothing else is said.
OBJECTIVE_DEFAULTS: dict[str, Defaults] = {
    "relativistic": {"training": {"learning_rate": 2e-3, "schedule": "cosine", "warmup": 0.02}},
    "gan": {"training": {"beta1": 0.5, "beta2": 0.999, "ema": 0.0}},
    "wasserstein": {"objective": {"penalty": 10.0}, "training": {"learning_rate": 1e-4, "beta2": 0.9}},
}

PRIORS: dict[str, str] = {
    "normal": "N(0, I): one round cloud that can be walked and sampled anywhere",
    "mixture": "a learned mixture of Gaussians: data in groups",
    "vamp": "VampPrior, a mixture of posteriors of learned pseudo-inputs: better likelihood, an atlas of prototypes",
    "flow": "a normalising flow: the best likelihood of a flat VAE",
    "conditional": "p(z|y) learned, one Gaussian for each label: cvae only",
}

NETWORKS: dict[str, str] = {
    "mlp": "any data: fast on a CPU, and hard to beat on small images",
    "table": "rows of real columns: a small mlp beside a linear map, which starts as factor analysis",
    "conv": "images: fewer parameters, better with few examples or larger images; what a gan of images is built of",
    "resnet": "images: residual blocks, the best networks here and the slowest",
    "burgess": "32x32 or 64x64 images: the network of disentangling-vae, to compare with published figures",
    "konny-h": "64x64 images: BetaVAE_H of 1Konny/Beta-VAE",
    "konny-b": "64x64 images: BetaVAE_B of 1Konny/Beta-VAE",
    "burda": "two layers of 200 tanh units: the network of Burda et al. 2016, to compare with published likelihoods",
    "course-conv": "28x28 grey images: the course notebook's convolutional network",
    "exported": "any pair of modules that were brought in with zatlas.importers.from_modules",
    "course-mlp": "the course's fully connected network; for a gan the course's generator and discriminator",
}

LIKELIHOODS: dict[str, str] = {
    "bernoulli": "bits, and the grey loss of intensities that courses use",
    "continuous-bernoulli": "intensities in [0, 1], as a density that integrates to one",
    "gaussian": "real values, one fixed sigma (model.sigma)",
    "gaussian-learned": "real values and RGB images, one sigma, learned",
    "gaussian-per-pixel": "real values, a sigma for each value and code: sharp where it is sure",
    "logistic": "8-bit values, discretised: comparable in bits per dimension",
    "logistic-mixture": "8-bit values, several logistics each: better bits per dimension",
    "categorical": "8-bit values, 256 free probabilities each: any shape, many parameters",
}

POSTERIORS: dict[str, str] = {
    "diagonal": "independent units: fast, and axes that mean something",
    "full": "a covariance for each example: tighter bounds for up to some fifty units",
    "flow": "a normalising flow for each example: the tightest bound, no closed-form rate",
}
