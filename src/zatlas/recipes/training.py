"""The game that a configuration names, and how it is trained."""

from __future__ import annotations

from zatlas.config import Config, TrainingConfig
from zatlas.config.kinds import MODELS
from zatlas.config.rules import OBJECTIVE_KEYS
from zatlas.recipes.adversarial import penalty_every
from zatlas.recipes.flat import start_log_variance
from zatlas.recipes.likelihoods import likelihood_name
from zatlas.recipes.models import build_model
from zatlas.recipes.networks import with_network
from zatlas.recipes.objectives import build_objective, warmup_steps
from zatlas.recipes.statistics import Statistics
from zatlas.training import Budget, Game, Optimisation, Schedule
from zatlas.types import DataSpec

DEFAULT_STEPS, DEFAULT_EPOCHS = 1500, 10


def build_game(config: Config, spec: DataSpec, dataset_size: int, stats: Statistics | None = None) -> Game:
    """Model and objective, with weights drawn from torch's global random state."""
    config = with_network(config, spec)
    model = build_model(config, spec, stats)
    stats = stats or Statistics.unknown(spec, examples=0)
    return Game(model, build_objective(config, spec, stats, dataset_size))


def resolve(config: Config, spec: DataSpec, steps_per_epoch: int) -> Config:
    """The configuration with every automatic value written out: it repeats the run even where defaults change."""
    config = with_network(config, spec)
    resolved = config.model_copy(deep=True)
    kind = MODELS[config.model.kind]
    if kind.infers:
        resolved.model.likelihood = likelihood_name(config, spec)
    if config.model.kind in ("vae", "cvae"):
        resolved.model.start_log_variance = start_log_variance(config)
    if not kind.point and config.objective.is_weighted_elbo:
        resolved.objective.beta_warmup_steps = warmup_steps(config)
    if config.objective.kind in OBJECTIVE_KEYS["penalty_every"]:
        resolved.objective.penalty_every = penalty_every(config)
    resolved.training.steps = budget(config, steps_per_epoch).steps or None
    return resolved


def budget(config: Config, steps_per_epoch: int) -> Budget:
    """The limits asked for; without any, ten epochs or 1500 steps, whichever is more; none in closed form."""
    training = config.training
    if MODELS[config.model.kind].closed:
        return Budget(steps=0)
    if training.epochs is None and training.steps is None and training.seconds is None:
        return Budget(steps=max(DEFAULT_STEPS, DEFAULT_EPOCHS * steps_per_epoch))
    return Budget(steps=training.steps, epochs=training.epochs, seconds=training.seconds)


def schedule(training: TrainingConfig) -> Schedule:
    return Schedule(training.schedule, training.warmup)


def optimisation(training: TrainingConfig) -> Optimisation:
    betas = (training.beta1, training.beta2)
    return Optimisation(training.optimizer, training.learning_rate, betas, training.weight_decay)
