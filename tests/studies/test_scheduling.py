"""Laws of the scheduler: nothing is trained twice, nothing is lost, whatever ends the process and whenever."""

import gc
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import pytest

from zatlas.errors import ZatlasError
from zatlas.studies import journal as journals
from zatlas.studies.crews import Here
from zatlas.studies.halving import Board
from zatlas.studies.members import Member
from zatlas.studies.plan import Halving
from zatlas.studies.scheduling import Scheduler, work_through

from .fakes import member, trained_once

TRIALS, KILLS = 10_000, 200


@pytest.fixture
def store():
    """In memory where that can be: a journal syncs every line, which says nothing about a kill."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="zatlas-studies-") as folder:
        yield Path(folder)


OPEN = []


def Journal(path):
    """A journal that is closed when the test ends."""
    OPEN.append(journals.Journal(path))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def closed():
    yield
    while OPEN:
        OPEN.pop().close()


def crew_of(store, point=lambda: None):
    return Here(lambda task, channel: ("done", trained_once(store, task["key"], point)), lambda m: {"key": m.key})


def live(store, members, lifetime):
    """One life of a study: it works until it is done, or until so many steps have been made and it is killed."""
    left = lifetime

    def point():
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    journal = Journal(store / "journal.jsonl")
    real = journal.add

    def add(event, **facts):
        point()  # before the line: the work is done and nobody was told
        real(event, **facts)
        point()

    journal.add = add
    work_through(Scheduler(members, journal), crew_of(store, point))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX has them")
def test_ten_thousand_trials_killed_two_hundred_times(store):
    rng = random.Random(0)
    members = [member(number) for number in range(TRIALS)]
    deaths = torn = 0
    while True:
        lifetime = rng.randrange(4 * TRIALS // KILLS * 2) if deaths < KILLS else 10**9
        child = os.fork()
        if child == 0:
            gc.disable()  # a collection would copy all pages of pytest's heap in every child
            code = 99
            try:
                live(store, members, lifetime)
                code = 0
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        deaths += 1
        if rng.random() < 0.3:  # a power cut takes the end of the file along, in the middle of a line
            path = store / "journal.jsonl"
            with path.open("r+b") as file:
                file.truncate(max(0, path.stat().st_size - rng.randrange(1, 400)))
            torn += 1
    assert deaths == KILLS
    assert torn > 30
    trained = (store / "trainings").read_text().split()
    assert len(trained) == TRIALS  # nothing twice
    assert set(trained) == {m.key for m in members}  # nothing lost
    journal = Journal(store / "journal.jsonl")
    scheduler = Scheduler(members, journal)
    assert len(scheduler.finished) == TRIALS
    assert scheduler.take() is None


def test_more_members_train_only_what_is_new(store):
    path = store / "journal.jsonl"
    work_through(Scheduler([member(n) for n in range(3)], Journal(path)), crew_of(store))
    scheduler = Scheduler([member(n) for n in (1, 5, 2, 7)], Journal(path))
    assert (scheduler.known, scheduler.left) == (2, 2)
    work_through(scheduler, crew_of(store))
    assert [int(key, 16) for key in (store / "trainings").read_text().split()] == [0, 1, 2, 5, 7]
    assert list(scheduler.finished) == [member(n).key for n in (1, 2, 5, 7)]


def test_a_run_that_was_removed_is_trained_again_and_a_new_metric_is_measured(store):
    path = store / "journal.jsonl"
    members = [member(0), member(1)]
    work_through(Scheduler(members, Journal(path), metrics=["bound"]), crew_of(store))
    gone = Scheduler(members, Journal(path), metrics=["bound"], present=lambda m: m is not members[1])
    assert gone.left == 1
    assert gone.take() is members[1]
    assert Scheduler(members, Journal(path), metrics=["bound", "rate"]).left == 2


def test_failures_stay_until_they_are_tried_again_and_deaths_do_not(store):
    path, members = store / "journal.jsonl", [member(n) for n in range(3)]
    ways = {
        members[0].key: ("failed", "it diverged."),
        members[1].key: ("died", "killed."),
        members[2].key: ("done", {}),
    }
    begun = []

    def call(task, channel):
        begun.append(int(task["key"], 16))
        return ways[task["key"]]

    heard = []
    crew = Here(call, lambda m: {"key": m.key})
    work_through(Scheduler(members, Journal(path)), crew, lambda what, m, fact: heard.append((m.words["number"], what)))
    assert begun == [0, 1, 2, 1]  # a death is tried once more, a failure is not
    assert heard == [(0, "failed"), (1, "again"), (2, "finished"), (1, "failed")]
    later = Scheduler(members, Journal(path))
    assert later.failed[members[0].key]["reason"] == "it diverged."
    assert later.take() is members[1]
    assert later.take() is None
    assert Scheduler(members, Journal(path), again=True).left == 2


def test_a_combination_that_cannot_be_is_a_failure_and_no_work(store):
    scheduler = Scheduler([Member("a", refused="a gan has no beta."), member(1)], Journal(store / "journal.jsonl"))
    work_through(scheduler, crew_of(store))
    assert scheduler.failed["a"]["reason"] == "a gan has no beta."
    assert len(scheduler.finished) == 1


def test_a_full_disk_under_a_member_stops_the_study_and_is_not_the_members_failure(store):
    path, members = store / "journal.jsonl", [member(n) for n in range(3)]
    crew = Here(lambda task, channel: ("disk", "x could not be written: the disk is full."), lambda m: {"key": m.key})
    with pytest.raises(ZatlasError, match="stopped at number 0, and goes on when it is begun again: x could not"):
        work_through(Scheduler(members, Journal(path)), crew)
    assert Scheduler(members, Journal(path)).left == 3


def test_a_clock_that_jumps_changes_nothing(store, monkeypatch):
    jumps = iter([0, 2e9, -5e8, 1e10] * 10_000)
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    members = [member(n) for n in range(20)]
    work_through(Scheduler(members, Journal(store / "j")), crew_of(store))
    assert Scheduler(members, Journal(store / "j")).left == 0
    assert len((store / "trainings").read_text().split()) == 20


def test_half_a_line_is_cut_off_and_a_damaged_one_tells_nothing(store):
    path = store / "j"
    journal = Journal(path)
    journal.add("finished", key="a")
    journal.add("finished", key="b")
    journal.close()
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(lines[0] + b"\n{broken\n[1]\n" + lines[1][:9])
    again = Journal(path)
    assert [event["key"] for event in again.events] == ["a"]
    again.add("finished", key="c")
    again.close()
    assert [event["key"] for event in Journal(path).events] == ["a", "c"]


def test_a_line_that_the_disk_refuses_is_taken_back(store, monkeypatch):
    journal = Journal(store / "j")
    journal.add("finished", key="a")

    def refuse(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ZatlasError, match="the disk is full"):
        journal.add("finished", key="b")
    monkeypatch.undo()
    journal.add("finished", key="c")
    assert [event["key"] for event in Journal(store / "j").events] == ["a", "c"]


def test_halving_keeps_the_best_of_each_rung_and_remembers_what_it_saw():
    board = Board(Halving(factor=3))
    rng = random.Random(1)
    losses = [rng.random() for _ in range(300)]
    kept = [loss for n, loss in enumerate(losses) if board.goes_on(str(n), "one", 0, loss)]
    assert 100 <= len(kept) < 150  # a third, and those that came before there was anything to compare with
    assert min(losses) in kept
    assert max(losses[3:]) not in kept
    assert board.goes_on("x", "another", 0, 1e9)  # another quantity is not compared
    events = [
        {"event": "rung", "key": str(n), "bracket": "one", "rung": 0, "loss": loss} for n, loss in enumerate(losses)
    ]
    again = Board(Halving(factor=3))
    again.restore(events)
    assert not again.goes_on("new", "one", 0, 0.9)
    assert again.goes_on("new too", "one", 0, 0.0)
    worst = losses.index(max(losses))
    assert not again.goes_on(str(worst), "one", 0, -1.0)  # of a resumed member the loss it had there counts


def test_halving_stops_members_in_a_study(store):
    losses = [3.0, 1.0, 2.0, 9.0, 8.0, 0.5]
    members = [member(n, bracket="one") for n in range(6)]
    asked = []

    def call(task, channel):
        n = int(task["key"], 16)
        for rung in range(2):
            asked.append((n, rung))
            if not channel.ask(rung, losses[n]):
                return "done", {"stopped": "halted"}
        return "done", {"stopped": "budget"}

    scheduler = Scheduler(members, Journal(store / "j"), board=Board(Halving(factor=2)))
    crew = Here(call, lambda m: {"key": m.key})
    crew.judge = scheduler.judge
    work_through(scheduler, crew)
    stopped = [int(key, 16) for key, record in scheduler.finished.items() if record["stopped"] == "halted"]
    assert stopped == [2, 3, 4]
    assert (3, 1) not in asked
    assert Scheduler(members, Journal(store / "j")).left == 0  # one that was stopped early is not trained again
