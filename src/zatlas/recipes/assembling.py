"""The game that a configuration names, and how it is trained."""

from __future__ import annotations

from typing import Any

import torch

from zatlas.config import Config, TrainingConfig
from zatlas.errors import UsageError
from zatlas.parts import SORTS, Context, Settings
from zatlas.recipes.adopting import NOTHING, Given
from zatlas.recipes.deciding import decided
from zatlas.training import Budget, Game, Optimisation, Schedule
from zatlas.types import DataSpec, Generates, Statistics

DEFAULT_STEPS, DEFAULT_EPOCHS = 1500, 10


def build_game(
    config: Config, spec: DataSpec, dataset_size: int, stats: Statistics | None = None, given: Given = NOTHING
) -> Game:
    """Model and objective, with weights drawn from torch's global random state.

    Args:
        config: the configuration.
        spec: shape, values and labels of the data.
        dataset_size: N, the number of training examples.
        stats: where decoder offset and standardisation start; None when weights are loaded afterwards.
        given: objects that stand for what the configuration names, and weights to start from.

    Raises:
        UsageError: a combination that cannot be.
    """
    context = context_of(config, spec, dataset_size, stats, given)
    model = context.make("model")
    if given.weights:
        _begin(model, given.weights)
    return Game(model, context.make("objective"))


def _begin(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Puts weights to start from into a model; what they do not name stays as it was drawn.

    Raises:
        UsageError: one of them has no place in it.
    """
    own = model.state_dict()
    for name, tensor in weights.items():
        if name not in own or own[name].shape != tensor.shape:
            has = f"{list(own[name].shape)}" if name in own else "no such tensor"
            raise UsageError(
                f"the weights to start from do not fit: {name} is {list(tensor.shape)}, and the model has {has}; leave "
                "out words that change the model, and show it images with as many channels."
            )
    model.load_state_dict(own | weights)


def context_of(
    config: Config, spec: DataSpec, dataset_size: int, stats: Statistics | None = None, given: Given = NOTHING
) -> Context:
    """What the parts of a configuration are told of the data and of one another.

    Raises:
        UsageError: the data have no labels to condition on, or no likelihood holds them.
    """
    config = decided(config, spec, dataset_size)
    stats = stats or Statistics.unknown(spec, examples=wanted_examples(config))
    return Context(config, spec, stats, dataset_size, condition_dim(config, spec), given.parts)


def build_model(config: Config, spec: DataSpec, stats: Statistics | None = None) -> Generates:
    """The model alone; arguments as for :func:`build_game`."""
    return context_of(config, spec, 0, stats).make("model")


def condition_dim(config: Config, spec: DataSpec) -> int:
    """Y, the number of label columns that the model is given; 0 for one without condition.

    Raises:
        UsageError: the data have no labels to condition on.
    """
    if not config.kind.conditional:
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
    if config.prior is None:
        return 0
    count = config.part("prior").facts.get("examples")
    return int(count(config.prior)) if count else 0


def resolve(config: Config, spec: DataSpec, steps_per_epoch: int, rows: int = 0) -> Config:
    """The configuration with every automatic value written out: it repeats the run even where defaults change."""
    resolved = decided(config, spec, rows)
    context = Context(resolved, spec, None)
    for section in SORTS:
        if isinstance(settings := getattr(resolved, section, None), Settings):
            settings.resolve(context)
    resolved.training.steps = budget(config, steps_per_epoch).steps or None
    return resolved


def budget(config: Config, steps_per_epoch: int) -> Budget:
    """The limits asked for; without any, ten epochs or 1500 steps, whichever is more; none in closed form."""
    training = config.training
    if config.kind.closed:
        return Budget(steps=0)
    if training.epochs is None and training.steps is None and training.seconds is None:
        return Budget(steps=max(DEFAULT_STEPS, DEFAULT_EPOCHS * steps_per_epoch))
    return Budget(steps=training.steps, epochs=training.epochs, seconds=training.seconds)


def schedule(training: TrainingConfig) -> Schedule:
    return Schedule(training.schedule, training.warmup)


def optimisation(training: TrainingConfig) -> Optimisation:
    betas = (training.beta1, training.beta2)
    return Optimisation(training.optimizer, training.learning_rate, betas, training.weight_decay)
