"""Models by name."""

from __future__ import annotations

from typing import Any

from zatlas.config import Config
from zatlas.config.kinds import MODELS
from zatlas.errors import UsageError
from zatlas.models import LinearGaussian
from zatlas.recipes.adversarial import build_generator
from zatlas.recipes.flat import build_flat
from zatlas.recipes.ladders import build_ladder
from zatlas.recipes.likelihoods import likelihood_name
from zatlas.recipes.quantised import build_quantised
from zatlas.recipes.statistics import Statistics
from zatlas.types import DataSpec


def build_model(config: Config, spec: DataSpec, stats: Statistics | None = None) -> Any:
    """The model that a configuration names, for data of this kind.

    Args:
        config: the configuration.
        spec: shape, values and labels of the data.
        stats: where decoder offset and standardisation start; None when weights are loaded afterwards.

    Raises:
        UsageError: a combination that cannot be.
    """
    stats = stats or Statistics.unknown(spec, examples=wanted_examples(config))
    label_dim = condition_dim(config, spec)
    match config.model.kind:
        case "ae" | "vae" | "cvae":
            return build_flat(config, spec, stats, label_dim)
        case "ladder":
            return build_ladder(config, spec, stats)
        case "vqvae":
            return build_quantised(config, spec, stats)
        case "gan" | "cgan":
            return build_generator(config, spec, stats, label_dim)
        case "ppca" | "fa":
            likelihood_name(config, spec)  # refuses any other than its own
            shared = config.model.kind == "ppca"
            return LinearGaussian(
                spec.shape, config.model.latent_dim, shared_noise=shared, mean=stats.mean, scale=stats.std
            )


def condition_dim(config: Config, spec: DataSpec) -> int:
    """Y, the number of label columns that the model is given; 0 for one without condition.

    Raises:
        UsageError: the data have no labels to condition on.
    """
    if not MODELS[config.model.kind].conditional:
        return 0
    if not spec.label_dim or (spec.label_kind == "class" and spec.label_dim < 2):
        found = f"only one class ({spec.labels[0]})" if spec.label_dim else "no labels"
        raise UsageError(
            f"a conditional model wants labels of at least two classes, and these data have {found}: "
            f"choose {config.model.kind.removeprefix('c')}."
        )
    return spec.label_dim


def wanted_examples(config: Config) -> int:
    """How many training examples the model starts from: the pseudo-inputs of a VampPrior."""
    return config.model.prior_components if config.model.prior == "vamp" else 0
