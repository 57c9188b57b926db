"""A training that is ready to go, from a configuration and its data; and what is recorded of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch

from zatlas import recipes
from zatlas.arrays import Array
from zatlas.config import Config
from zatlas.data import Batches, Cut, Source, Splits, evenly_spaced, gathered
from zatlas.data.augmentation import AUGMENTATIONS, known
from zatlas.data.content import check_room
from zatlas.errors import UsageError
from zatlas.evaluation import estimate_reconstruction, mean_terms, quoted
from zatlas.latent import code_shape
from zatlas.runs.data import batches, evaluation_batch
from zatlas.runs.features import wanted_features
from zatlas.runs.folder import provenance
from zatlas.runs.memory import check_memory, room_for_weights
from zatlas.runs.snapshots import drawn_alike
from zatlas.runs.together import check_together, facts
from zatlas.training import (
    Arithmetic,
    Ensemble,
    Game,
    Precision,
    Trainer,
    Watcher,
    choose_arithmetic,
    choose_device,
)
from zatlas.training.batching import MOST, suited_batch_size
from zatlas.training.distributed import DistributedTrainer, means_of_all
from zatlas.training.memory import first_rows
from zatlas.training.precision import fast_bf16
from zatlas.training.team import Team
from zatlas.types import Batch, DataSpec, in_closed_form, inferring

_FEWER = "make the images smaller (--resize), or choose a model that is trained by steps"
DECAY = 0.98  # of the average of few rows: over about 50 steps
VALIDATION_IMAGES = 500  # whose PSNR is shown as training goes on: encoded and decoded in hundredths of a second


@dataclass
class Setup:
    """Everything that a training needs, ready to go."""

    config: Config
    source: Source
    splits: Splits
    trainer: Trainer
    device: torch.device
    code_size: str  # 16, or 4x8x8 of a spatial code
    arithmetic: Arithmetic
    team: Team | None = None


def set_up(
    config: Config,
    source: Source,
    splits: Splits,
    *,
    watchers: Sequence[Watcher] = (),
    given: recipes.Given = recipes.NOTHING,
    team: Team | None = None,
    begins: bool = True,
    say: Callable[[str], None] = lambda sentence: None,
) -> Setup:
    """Builds the game and its trainer; the configuration that comes back has every automatic value written out.

    Args:
        config: the configuration.
        source: the data.
        splits: their rows.
        watchers: are told how it goes.
        given: objects that stand for parts which the configuration names, and weights to start from.
        begins: False where a checkpoint will be loaded, which holds what a beginning would have to fetch.
        say: is given sentences for people.
        team: the processes that train together; None: this one alone.

    Raises:
        UsageError: a combination that cannot be.
    """
    t = config.training
    device = team.device if team else choose_device(t.device)
    if begins:
        config, given = wanted_features(config, source, splits.train, given, say)
    usual, network = (recipes.network_name(config, source.spec, rows) for rows in (0, len(splits.train)))
    if network != usual:
        say(f"Few    images, which an mlp would learn by heart: {network} is slower and better; --network sets another")
    torch.manual_seed(t.seed)
    units = recipes.linear_units(config)
    stats = recipes.statistics(source, splits.train, examples=recipes.wanted_examples(config), units=units)
    with room_for_weights(config, source.spec):
        game = recipes.build_game(config, source.spec, len(splits.train), stats, given)
    game = game.to(device)
    config = _with_batch_size(config, game, source.spec, device, team, say)
    config = _with_average(config, game, len(splits.train))
    t = config.training
    fitted_seconds = _fit_closed(game, config, source, splits, device)
    training = batches(config, source, splits.train, device, training=True)
    held_out = batches(config, source, splits.validation, device) if len(splits.validation) else None
    if held_out is None and (t.target_loss is not None or t.patience is not None):
        raise UsageError("target_loss and patience watch validation data, and data.validation is 0: set it.")
    first = next(iter(training.epoch(0)))
    arithmetic = _arithmetic(config, source, splits, game, first, device, team, say)
    kind_of_trainer: Callable[..., Trainer] = Trainer
    if team:
        cut = _shared(training, held_out, config, game, first, team)
        kind_of_trainer = partial(DistributedTrainer, team=team, cut=cut)
    torch.manual_seed(t.seed + 1)
    resolved = recipes.resolve(config, source.spec, training.steps_per_epoch, len(splits.train))
    resolved.training.precision, resolved.training.threads = arithmetic.precision, arithmetic.threads
    resolved.data.shuffle_window = training.window  # a resumed training shows the same order, whatever is free then
    images = _images(config, source, splits, device)
    trainer = kind_of_trainer(
        game,
        training,
        budget=recipes.budget(config, training.steps_per_epoch),
        optimisation=recipes.optimisation(t),
        schedule=recipes.schedule(t),
        device=device,
        threads=arithmetic.threads,
        precision=arithmetic.precision,
        clip_norm=t.clip_norm or None,
        average=t.ema or 0.0,
        validate=_validation(config, source, held_out, images, device, arithmetic.precision, team),
        validations=t.validations,
        validation_rows=len(splits.validation) + (0 if images is None else 2 * len(images)),
        target_loss=t.target_loss,
        patience=t.patience,
        validate_start=units > 0,
        begin_again=comparable(game) and t.overfitting == "begin_again",
        watchers=watchers,
    )
    trainer.state.seconds = fitted_seconds
    shape = "x".join(map(str, code_shape(game.model)))
    return Setup(resolved, source, splits, trainer, device, shape, arithmetic, team)


def _with_batch_size(
    config: Config,
    game: Game,
    spec: DataSpec,
    device: torch.device,
    team: Team | None,
    say: Callable[[str], None],
) -> Config:
    """The configuration with a size of batches in the place of none; one that is not the usual is said."""
    if config.training.batch_size is not None:
        return config
    config = config.model_copy(deep=True)
    size = config.training.batch_size = suited_batch_size(game, spec, device, workers=team.world if team else 1)
    if size != MOST:
        say(f"Batch  {size} examples a step, as their convolutions are costly on a CPU; --batch-size sets another")
    return config


def _with_average(config: Config, game: Game, rows: int) -> Config:
    """The configuration with a decay of the average of the weights in the place of none.

    Where a validation of a few examples finds the weights that a long training was best at, they are those of one noisy
    step of a high learning rate; their average is better, and the more so the longer the training
    (``benchmarks/small.py``). It is not used where losses cannot be compared, and so no weights are the best.
    """
    if config.training.ema is not None:
        return config
    config = config.model_copy(deep=True)
    few = rows < recipes.FEW_ROWS and comparable(game) and not config.kind.closed
    config.training.ema = DECAY if few else 0.0
    return config


def _arithmetic(
    config: Config,
    source: Source,
    splits: Splits,
    game: Game,
    first: Batch,
    device: torch.device,
    team: Team | None,
    say: Callable[[str], None],
) -> Arithmetic:
    """Precision and threads, for a training that has been seen to fit into memory.

    Raises:
        OutOfMemory: it takes more than there is.
    """
    t = config.training
    wanted: Precision | None = None if t.precision == "auto" else t.precision
    found = check_memory(
        config,
        source.spec,
        game,
        first,
        device,
        precision=wanted or ("bf16" if fast_bf16(device) else "fp32"),
        held_out=len(splits.validation),
        looked=evaluation_batch(source.spec.size),
        processes=team.world if team else 1,
        say=say,
    )
    # the products are counted in float32, where a batch may not fit that fits in bfloat16
    rows = min(len(first.x), 8) if found and found.tight else len(first.x)
    part = first if rows == len(first.x) else first_rows(first, rows)
    return choose_arithmetic(game, part, device, precision=wanted, threads=t.threads, share=rows / len(first.x))


def _shared(training: Batches, held_out: Batches | None, config: Config, game: Game, first: Batch, team: Team) -> Cut:
    """Cuts the batches among the processes of a team, and gives this one's part of those for training.

    Raises:
        UsageError: a loss that cannot be cut.
    """
    check_together(config, game, first, team)
    training.cut = cut = Cut(team.rank, team.world, pad=True)
    training.window = team.share(training.window)  # by the memory that the first of them found
    if held_out is not None:
        held_out.cut = Cut(team.rank, team.world)
    return cut


def _images(config: Config, source: Source, splits: Splits, device: torch.device) -> Batches | None:
    """Held-out images of which it is measured how they come back; None where there are none, or no grey levels."""
    shown = config.kind.infers and not recipes.lacks_grey_levels(config, source.spec)
    if not (shown and len(splits.validation)):
        return None
    return batches(config, source, evenly_spaced(splits.validation, VALIDATION_IMAGES), device)


def _fit_closed(game: Game, config: Config, source: Source, splits: Splits, device: torch.device) -> float:
    """Fits a model that has a closed form, or EM, and gives the seconds; 0 for one that is trained by steps."""
    if not config.kind.closed:
        return 0.0
    if config.data.augment:
        raise UsageError(
            f"{config.model.kind} is fitted in closed form, without steps for which data.augment could change the "
            "images: leave it out."
        )
    check_room(4 * source.spec.size * len(splits.train), f"{source.name}, fitted in closed form,", _FEWER)
    start = time.perf_counter()
    in_closed_form(game.model).fit(gathered(batches(config, source, splits.train, device).epoch(0)))
    return time.perf_counter() - start


def _validation(
    config: Config,
    source: Source,
    held_out: Batches | None,
    images: Batches | None,
    device: torch.device,
    precision: Precision,
    team: Team | None,
) -> Callable[[Game], dict[str, float]] | None:
    """What is measured of held-out data, and of how some of their images come back, as training goes on."""
    if held_out is None:
        return None

    def validate(game: Game) -> dict[str, float]:
        measure = lambda: mean_terms(game, held_out, device=device, precision=precision)
        terms = means_of_all(measure, held_out, team, evaluation_batch(source.spec.size)) if team else measure()
        shown = None
        if images is not None:
            shown = estimate_reconstruction(
                inferring(game.model), images, conditional=config.kind.conditional, device=device, precision=precision
            )
        return quoted(terms, bits_over=recipes.bits_over(config, source.spec), shown=shown)

    return validate


def data_record(source: Source, splits: Splits, config: Config | None = None) -> dict[str, Any]:
    """What run.json says of the data, and of how a training changed them."""
    augment = known(config.data.augment) if config else ()
    return {
        **({"augment": {name: AUGMENTATIONS[name] for name in augment}} if augment else {}),
        "name": source.name,
        "sha256": source.fingerprint(),
        "count": len(source),
        "splits": {name: len(rows) for name, rows in splits._asdict().items()},
        "spec": source.spec.to_json(),
        "factors": list(source.factor_names),
        "about": source.about,
    }


def facts_of(setup: Setup) -> dict[str, Any]:
    """What is recorded of a training that is ready to go: its device, arithmetic, data and size."""
    config = setup.config
    return {
        "device": str(setup.device),
        "precision": config.training.precision,
        "threads": config.training.threads,
        "arithmetic": setup.arithmetic.reason,
        "seed": config.training.seed,
        "data": data_record(setup.source, setup.splits, config),
        "data_kind": recipes.data_kind(config, setup.source.spec),
        "parameters": sum(p.numel() for p in setup.trainer.game.parameters()),
        "steps_per_epoch": setup.trainer.batches.steps_per_epoch,
        "opens": opens(setup),
        **facts(setup.team),
    }


def record_of(setup: Setup, given: recipes.Given = recipes.NOTHING) -> dict[str, Any]:
    """What run.json says of it: also by which program, and of whose parts."""
    began = {"started_from": dict(given.origin)} if given.origin else {}
    return {**provenance(), **facts_of(setup), **recipes.foreign_record(setup.config, given), **began}


def opens(setup: Setup) -> Literal["best", "last"]:
    """Which weights are a run's: the best by validation, where validation losses at two steps can be compared."""
    t, trainer = setup.config.training, setup.trainer
    return "best" if t.patience or (trainer.validate and comparable(trainer.game)) else "last"


def comparable(game: Game | Ensemble) -> bool:
    """Whether losses at two steps can be compared.

    They cannot where a second player moves what the first one's loss is measured by: a critic, or a multiplier.
    """
    return len(game.players) == 1


def sampler(setup: Setup) -> Callable[[Game], Array] | None:
    """Samples of a training for its snapshots; None for a model without a prior to draw from."""
    return drawn_alike(setup.config, setup.source.spec, setup.device)
