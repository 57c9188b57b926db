"""From a configuration to a trained run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from zatlas import recipes
from zatlas.arrays import Array
from zatlas.config import Config, make_config
from zatlas.data import Batches, Cut, Source, Splits, evenly_spaced, gathered, located, remarks
from zatlas.data.augmentation import AUGMENTATIONS, in_words, known
from zatlas.data.content import check_room
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import estimate_reconstruction, mean_terms, quoted
from zatlas.latent import code_shape
from zatlas.runs import remote
from zatlas.runs.data import EVALUATION_BATCH, batches, check_same_data, open_data, reopen
from zatlas.runs.features import wanted_features
from zatlas.runs.folder import RunFolder, RunGone, check_free, locked, new_folder, now, provenance
from zatlas.runs.opened import Run
from zatlas.runs.recorder import Recorder
from zatlas.runs.snapshots import drawn_alike
from zatlas.runs.together import begun_before, check_together, facts, follow, opened_in_turn
from zatlas.runs.trackers import tracker
from zatlas.training import (
    Arithmetic,
    Ensemble,
    Game,
    Precision,
    Trainer,
    Watcher,
    choose_arithmetic,
    choose_device,
    crowded,
)
from zatlas.training.distributed import DistributedTrainer, means_of_all
from zatlas.training.team import Team, joined
from zatlas.trust import trusting
from zatlas.types import in_closed_form, inferring

_FEWER = "make the images smaller (--resize), or choose a model that is trained by steps"
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
    torch.manual_seed(t.seed)
    units = recipes.linear_units(config)
    stats = recipes.statistics(source, splits.train, examples=recipes.wanted_examples(config), units=units)
    game = recipes.build_game(config, source.spec, len(splits.train), stats, given).to(device)
    fitted_seconds = _fit_closed(game, config, source, splits, device)
    training = batches(config, source, splits.train, device, training=True)
    held_out = batches(config, source, splits.validation, device) if len(splits.validation) else None
    if held_out is None and (t.target_loss is not None or t.patience is not None):
        raise UsageError("target_loss and patience watch validation data, and data.validation is 0: set it.")
    arithmetic = choose_arithmetic(
        game,
        first := next(iter(training.epoch(0))),
        device,
        precision=None if t.precision == "auto" else t.precision,
        threads=t.threads,
    )
    if team:
        check_together(config, game, first, team)
        training.cut = cut = Cut(team.rank, team.world, pad=True)
        training.window = team.share(training.window)  # by the memory that the first of them found
        if held_out is not None:
            held_out.cut = Cut(team.rank, team.world)
    torch.manual_seed(t.seed + 1)
    resolved = recipes.resolve(config, source.spec, training.steps_per_epoch)
    resolved.training.precision, resolved.training.threads = arithmetic.precision, arithmetic.threads
    resolved.data.shuffle_window = training.window  # a resumed training shows the same order, whatever is free then
    images = None
    if held_out is not None and config.kind.infers and not recipes.lacks_grey_levels(config, source.spec):
        images = batches(config, source, evenly_spaced(splits.validation, VALIDATION_IMAGES), device)
    kind_of_trainer = partial(DistributedTrainer, team=team, cut=cut) if team else Trainer
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
        average=t.ema,
        validate=None
        if held_out is None
        else _validation(config, source, held_out, images, device, arithmetic.precision, team),
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
    held_out: Batches,
    images: Batches | None,
    device: torch.device,
    precision: Precision,
    team: Team | None,
) -> Callable[[Game], dict[str, float]]:
    """What is measured of held-out data, and of how some of their images come back, as training goes on."""

    def validate(game: Game) -> dict[str, float]:
        measure = lambda: mean_terms(game, held_out, device=device, precision=precision)
        terms = means_of_all(measure, held_out, team, EVALUATION_BATCH) if team else measure()
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


def train(
    config: Config,
    *,
    out: Path | None = None,
    watchers: Sequence[Watcher] = (),
    log: Sequence[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
    source: Source | None = None,
    given: recipes.Given = recipes.NOTHING,
    opened: tuple[Source, Splits] | None = None,
) -> Run:
    """Trains what a configuration says into a new run folder.

    Args:
        config: the configuration.
        out: the folder; None: a free name under ``runs/``.
        watchers: are told how it goes, beside the recorder.
        log: trackers that get its figures, as :func:`zatlas.runs.trackers.tracker` knows them.
        say: is given sentences for people.
        source: the data, where they have no name or path.
        given: objects that stand for parts which the configuration names.
        opened: the data of the configuration, where they are open already; None: they are opened.

    Several processes that torchrun, or ``zatlas train --workers``, has begun train it together. The first of them
    writes the folder and returns; the call ends the others, with status 0.

    Raises:
        UsageError, ZatlasError: bad words, bad data, a folder in use, a disk that refuses, a loss that diverges.
        Lost: another process of those that train together died or hangs.
    """
    trackers = [tracker(name) for name in log]
    config = config.model_copy(deep=True)
    if source is None:
        config.data.source, labels = located(config.data.source), config.data.labels
        config.data.labels = labels and located(labels)
    with joined(config.training.device) as team:
        if out is not None and (team is None or team.rank == 0):
            out = remote.here(out, new=True)
        before = begun_before(team, out)
        source, splits = opened or opened_in_turn(team, lambda: open_data(config, source))
        setup = set_up(config, source, splits, given=given, team=team, begins=not before, say=say)
        if team and team.rank:
            follow(setup.trainer)
        if before:  # the last checkpoint of the same launch, whose workers were begun again
            with RunFolder(before).locked():
                dest = RunFolder(before)
                watching = [*watchers, *(of(dest) for of in trackers)]
                return _train(dest, setup, watching, say, resume=True, given=given)
        for remark in given.remarks:
            say(remark)
        out = _new_place(out, setup)
        with locked(out):
            dest = RunFolder.create(out, setup.config, record_of(setup, given))
            return _train(dest, setup, [*watchers, *(of(dest) for of in trackers)], say, resume=False, given=given)


def _new_place(out: Path | None, setup: Setup) -> Path:
    """The folder asked for, seen to be free before a lock is put into it; or a new one that says what it holds."""
    if out is None:
        config = setup.config
        short = Path(config.data.source or setup.source.name).stem.replace(":", "-")[:60] or "data"
        return new_folder(Path("runs"), f"{short}-{config.model.kind}-z{setup.code_size}")
    if not (out / ".lock").exists():
        check_free(out, setup.config.to_toml().encode())
    return out


def resume(
    folder: Path,
    *,
    changes: dict[str, Any] | None = None,
    data: Any = None,
    watchers: Sequence[Watcher] = (),
    log: Sequence[str] = (),
    say: Callable[[str], None] = lambda sentence: None,
    given: recipes.Given = recipes.NOTHING,
    trust: bool = False,
    opened: tuple[Source, Splits] | None = None,
) -> Run:
    """Goes on with a run from its newest sound checkpoint.

    On the CPU, with the same number of threads, the final weights equal an uninterrupted run's bit for bit.

    Args:
        folder: the run.
        changes: other limits (epochs, steps, seconds, target_loss, patience), kept for the next time as well;
            None: those it had.
        data: where the same data lie now, by name or path, or the data themselves; None: where they lay.
        watchers, log: as in :func:`train`.
        say: as in :func:`train`.
        given: objects that stand for parts which the run does not hold.
        trust: whether code that the run names by its place may be imported.
        opened: as in :func:`train`.

    Raises:
        UsageError, ZatlasError: no run, a damaged one, changed data, or one being trained right now.
    """
    trackers = [tracker(name) for name in log]
    folder = remote.here(folder)
    with trusting(trust), ExitStack() as held:
        device = RunFolder(folder).config().training.device
        team = held.enter_context(joined(device))
        if team is None or team.rank == 0:
            held.enter_context(RunFolder(folder).locked())
        dest = RunFolder(folder)  # read anew: another training may have ended between the first look and the lock
        limits = {**dest.record.get("limits", {}), **(changes or {})}
        config = make_config(
            (str(dest.path / "config.toml"), dest.config().model_dump(exclude_none=True)),
            ("the options", {"training": limits}),
        )
        mend = f"`zatlas train DATA --resume {folder}` says where they are now"
        source, splits = opened or opened_in_turn(team, lambda: reopen(dest, config, data, mend))
        check_same_data(dest, source)
        setup = set_up(config, source, splits, given=given, team=team, begins=False)
        if team and team.rank:
            follow(setup.trainer)
        for sentence in recipes.changes(dest.record):
            say(sentence)
        if limits:
            dest.update(limits=limits)
        return _train(dest, setup, [*watchers, *(of(dest) for of in trackers)], say, resume=True, given=given)


def _train(
    dest: RunFolder,
    setup: Setup,
    watchers: Sequence[Watcher],
    say: Callable[[str], None],
    *,
    resume: bool,
    given: recipes.Given,
) -> Run:
    t = setup.config.training
    trainer = setup.trainer
    for sentence in _opening(dest, setup):
        say(sentence)
    recorder = Recorder(
        dest,
        every_seconds=t.checkpoint_every_seconds,
        every_steps=t.checkpoint_every_steps,
        sample=sampler(setup),
    )
    if resume:
        recorder.resume(trainer)
        trainer.begin_again &= dest.record.get("opens") == "best"  # runs from before 0.3 go on as they were
        for sentence in recorder.warnings:
            say(sentence)
    mirror = remote.mirror_of(dest.path)
    trainer.watchers = [recorder, *([remote.Mirroring(mirror, say)] if mirror else []), *watchers]
    try:
        _fit(trainer, recorder)
        run = Run(dest, device=setup.device, source=setup.source, splits=setup.splits, given=given)
        if trainer.state.stopped != "interrupted":
            _close(run, say)
    except RunGone as error:
        last = dest.record.get("checkpoints", {}).get("last", "none")
        raise RunGone(f"{error} Training was at step {trainer.state.step}; its last checkpoint: {last}.") from error
    except ZatlasError as error:
        raise type(error)(f"{error}{_mark_failed(dest, str(error))}") from error
    except KeyboardInterrupt:
        said = f"Stopped at once; step {dest.record['steps']} is saved. Go on with: zatlas train --resume {dest.path}"
        try:
            dest.update(status="interrupted", stopped="interrupted", finished=now())
        except RunGone as gone:
            said = str(gone)
        except ZatlasError:  # a disk that refuses: the checkpoint is there all the same
            pass
        say(said)
        raise
    except Exception as error:
        _mark_failed(dest, f"{type(error).__name__}: {error}")
        raise
    finally:
        for watcher in trainer.watchers:
            watcher.close()
    remote.push_all(dest.path)
    return run


def _fit(trainer: Trainer, recorder: Recorder) -> None:
    """Trains; the best weights are on the disk before anything is said of what was saved."""
    try:
        trainer.fit()
    finally:
        recorder.close()


def _close(run: Run, say: Callable[[str], None]) -> None:
    """What is said and kept of a training that has ended by itself."""
    if parting := run.parting():
        say(parting)
    run.test()


def _opening(dest: RunFolder, setup: Setup) -> list[str]:
    """What a person wants to know before the wait: data, model, machine, folder."""
    c, spec = setup.config, setup.source.spec
    parts = ", ".join(f"{len(rows):,} {name}" for name, rows in setup.splits._asdict().items() if len(rows))
    shape = "x".join(map(str, spec.shape))
    labels = f", {len(spec.labels)} classes" if spec.label_kind == "class" else ""
    sizes = f" {getattr(c.network, 'size', '')}".rstrip()
    count = sum(p.numel() for p in setup.trainer.game.parameters())
    threads = f", {c.training.threads} threads" if setup.device.type == "cpu" and (c.training.threads or 1) > 1 else ""
    busy = crowded() if setup.device.type == "cpu" else None
    return [
        f"Data   {setup.source.name}: {shape}{labels}; {parts}",
        *(f"       {remark}" for remark in [*remarks(setup.source), *_shown(c)]),
        f"Model  {c.model.kind}, z = {setup.code_size}, {c.network_kind}{sizes}, {count:,} parameters",
        f"Where  {setup.device}, {c.training.precision}{threads}; run {dest.path}",
        *([f"Busy   {busy}"] if busy else []),
    ]


def _shown(config: Config) -> list[str]:
    """How training sees the rows."""
    said = [in_words(config.data.augment)] if config.data.augment else []
    if window := config.data.shuffle_window:
        said.append(f"larger than the memory it may take: read in blocks, shuffled within {window:,} rows at a time")
    return said


def _mark_failed(dest: RunFolder, reason: str) -> str:
    """Writes the reason into run.json where that can be, and says where the last good state is."""
    try:
        dest.update(status="failed", stopped=reason, finished=now())
    except RunGone as gone:
        return f" {gone}"
    except ZatlasError:  # the disk that refused the checkpoint may refuse this as well; the reason is on the screen
        pass
    last = dest.record.get("checkpoints", {}).get("last")
    return f" The last good state is {last} in {dest.path}." if last else ""
