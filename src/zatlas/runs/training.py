"""From a configuration to a trained run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from zatlas import recipes
from zatlas.config import Config, make_config
from zatlas.data import Source, Splits, located, remarks
from zatlas.data.augmentation import in_words
from zatlas.errors import ZatlasError
from zatlas.runs import remote
from zatlas.runs.data import check_same_data, open_data, reopen
from zatlas.runs.folder import RunFolder, RunGone, check_free, locked, new_folder, now
from zatlas.runs.memory import telling
from zatlas.runs.opened import Run
from zatlas.runs.recorder import Recorder
from zatlas.runs.setup import Setup, record_of, sampler, set_up
from zatlas.runs.together import begun_before, follow, opened_in_turn
from zatlas.runs.trackers import tracker
from zatlas.training import (
    Trainer,
    Watcher,
    crowded,
)
from zatlas.training.team import joined
from zatlas.trust import trusting


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
        with telling(config, source.spec):
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
        with telling(config, source.spec):
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
        with telling(setup.config, setup.source.spec):
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
