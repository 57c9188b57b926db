"""A training killed anywhere, also in the middle of any write, ends where the uninterrupted one ends."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from zatlas.errors import UsageError
from zatlas.runs import training
from zatlas.runs.folder import RunFolder, locked
from zatlas.training import checkpoint
from zatlas.training.interrupt import interruptible

from .trial import STEPS, At, assert_same, config, go_on, in_child, killed, raises

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="wants fork")

# the calls of which the write protocol is made: what they are about to do has not happened when the kill comes
CALLS = ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "unlink"), (shutil, "rmtree"))


def train_and_die(folder, at_call, *, resume=False):
    """Trains in a child that kills itself before its n-th call of the write protocol; True where it came so far."""

    def act():
        count = 0

        def counted(real):
            def call(*args, **kwargs):
                nonlocal count
                count += 1
                if count == at_call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for owner, name in CALLS:
            setattr(owner, name, counted(getattr(owner, name)))
        training.resume(folder) if resume else training.train(config(), out=folder)

    status = in_child(act)
    assert killed(status) or status == 0
    return killed(status)


@pytest.mark.parametrize("at_call", [pytest.param(6, marks=pytest.mark.slow), 50])  # the slow ones have the others
def test_killed_while_writing(at_call, tmp_path, whole):
    assert train_and_die(tmp_path / "run", at_call)
    go_on(tmp_path / "run", config())
    assert_same(tmp_path / "run", whole)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.thorough)])
def test_killed_before_every_single_call(stride, tmp_path, whole):
    """In CI before every eleventh; ``make thorough`` before each."""
    at_call = 1
    while train_and_die(tmp_path / f"{at_call}", at_call):
        go_on(tmp_path / f"{at_call}", config())
        assert_same(tmp_path / f"{at_call}", whole)
        shutil.rmtree(tmp_path / f"{at_call}")
        at_call += stride
    assert at_call > 100  # or nothing was counted


@pytest.mark.slow
@pytest.mark.parametrize("stride", [23, pytest.param(5, marks=pytest.mark.thorough)])
def test_killed_again_while_resuming(stride, tmp_path, whole):
    """Kill points of the resumed training, over the debris of a first kill."""
    assert train_and_die(tmp_path / "first", 60)
    at_call = 1
    while True:  # some of them: the protocol is the same as in the first training
        run = shutil.copytree(tmp_path / "first", tmp_path / f"{at_call}")
        if not train_and_die(run, at_call, resume=True):
            break
        go_on(run, config())
        assert_same(run, whole)
        shutil.rmtree(run)
        at_call += stride
    assert at_call > 50


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow), 12, pytest.param(STEPS, marks=pytest.mark.slow)]
)
def test_killed_after_a_step(step, tmp_path, whole):
    kill = At(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert killed(in_child(lambda: training.train(config(), out=tmp_path / "run", watchers=[kill])))
    assert RunFolder(tmp_path / "run").record["status"] == "running"
    training.resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_stops_after_the_step_and_goes_on_as_if_nothing_had_been(number, tmp_path, whole):
    ask = At(8, lambda: signal.raise_signal(number))
    stopped = training.train(config(), out=tmp_path / "run", watchers=[ask])
    assert stopped.folder.record["status"] == "interrupted"
    assert stopped.folder.record["steps"] == 8
    assert stopped.folder.record["checkpoints"]["last"] == checkpoint.name_of(8)
    assert "result" not in stopped.folder.record
    training.resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_asked_twice_it_stops_at_once_and_still_goes_on(tmp_path, whole):
    def ask():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    heard = []
    with pytest.raises(KeyboardInterrupt):
        training.train(config(), out=tmp_path / "run", watchers=[At(8, ask)], say=heard.append)
    assert heard[-1].startswith("Stopped at once; step 6 is saved. Go on with: zatlas train --resume")
    assert RunFolder(tmp_path / "run").record["status"] == "interrupted"
    training.resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_training_killed_before_its_first_checkpoint_begins_again(tmp_path, whole):
    with pytest.raises(RuntimeError):
        training.train(config(), out=tmp_path / "run", watchers=[At(1, raises(RuntimeError("mine")))])
    run = RunFolder(tmp_path / "run")
    assert (run.record["status"], run.record["stopped"]) == ("failed", "RuntimeError: mine")
    run.update(checkpoints=None)  # as it was just after run.json was written
    shutil.rmtree(run.checkpoints_path)
    run.metrics_path.unlink(missing_ok=True)
    training.resume(tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_checkpoints_that_somebody_deleted_are_not_a_beginning(tmp_path):
    training.train(config(steps=2), out=tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(training.ZatlasError, match="no checkpoint"):
        training.resume(tmp_path / "run")


def test_a_finished_run_resumed_without_new_limits_stays_what_it_is(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "moved" / "run")  # moved as well: nothing in a run says where it lies
    training.resume(tmp_path / "moved" / "run")
    assert_same(tmp_path / "moved" / "run", whole)


@pytest.mark.slow
def test_new_limits_are_kept_for_the_next_time(tmp_path):
    training.train(config(steps=6), out=tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    training.resume(tmp_path / "one", changes={"steps": 12})
    stop = At(8, lambda: signal.raise_signal(signal.SIGINT))
    training.resume(tmp_path / "two", changes={"steps": 12}, watchers=[stop])
    assert training.resume(tmp_path / "two").run.record["steps"] == 12
    assert_same(tmp_path / "one", tmp_path / "two")


def test_a_step_is_saved_once_however_often_saving_is_due(tmp_path, monkeypatch):
    """Replacing a checkpoint by itself would open a moment without any."""
    saved, real = [], checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda folder, *rest: (saved.append(folder.name), real(folder, *rest)))
    training.train(config(steps=8, checkpoint_every_seconds=1e-9), out=tmp_path / "run")
    assert saved == [checkpoint.name_of(step) for step in range(9)]


def test_two_trainings_never_share_a_folder(tmp_path, whole):
    run = shutil.copytree(whole, tmp_path / "run")
    before = sorted(run.rglob("*"))
    child = os.fork()
    if child == 0:  # holds the lock until it is killed
        with locked(run):
            (tmp_path / "held").touch()
            signal.pause()
        os._exit(0)
    try:
        while not (tmp_path / "held").exists():
            pass
        with pytest.raises(UsageError, match="is being trained by another process"):
            training.resume(run)
        with pytest.raises(UsageError, match="is being trained by another process"):
            training.train(config(), out=run)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert sorted(run.rglob("*")) == before
    training.resume(run)  # the lock went with the process
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [{"target_loss": 60.0}, {"patience": 1}])
def test_killed_after_a_target_was_met_it_does_not_train_on(stop, tmp_path):
    slow = {"learning_rate": 1e-9, "validations": 8} if "patience" in stop else {}
    ended = training.train(config(**stop, **slow), out=tmp_path / "one")
    assert ended.folder.record["stopped"] in ("target", "patience")
    step = ended.folder.record["steps"]
    kill = At(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    made = config(**stop, **slow, checkpoint_every_steps=1)
    assert killed(in_child(lambda: training.train(made, out=tmp_path / "two", watchers=[kill])))
    assert training.resume(tmp_path / "two").run.record["steps"] == step
