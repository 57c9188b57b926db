"""Workers that are real processes: killed, hung, failing, full; and their share of the cores."""

import os
import time

import pytest

from zatlas.errors import UsageError, ZatlasError
from zatlas.studies.crews import Processes, share
from zatlas.studies.halving import Board
from zatlas.studies.journal import Journal
from zatlas.studies.plan import Halving
from zatlas.studies.scheduling import Scheduler, work_through

from .fakes import member

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


def study(tmp_path, orders, *, workers=2, hang=30.0, board=None, **more):
    """A study of fake members with an order each; what was heard, and its scheduler."""
    members = [member(number, bracket="one") for number in range(len(orders))]

    def task_of(m):
        number = m.words["number"]
        facts = {key: value[number] if isinstance(value, list) else value for key, value in more.items()}
        return {"key": m.key, "store": str(tmp_path), "order": orders[number], **facts}

    crew = Processes(workers, 3, "tests.studies.fakes:work", task_of, hang_seconds=hang)
    journal = Journal(tmp_path / "journal.jsonl")
    scheduler = Scheduler(members, journal, board=board)
    heard = []
    try:
        work_through(scheduler, crew, lambda what, m, fact: heard.append((m.words["number"], what, fact)))
    finally:
        crew.close()
        journal.close()
    return scheduler, heard


@pytest.mark.slow
def test_a_death_is_tried_once_more_and_a_second_one_is_reported_and_the_rest_goes_on(tmp_path):
    orders = ["", "die", "die always", "fail", "surprise", ""]
    scheduler, heard = study(tmp_path, orders)
    finished = sorted(int(key, 16) for key in scheduler.finished)
    assert finished == [0, 1, 5]
    reasons = {int(key, 16): record["reason"] for key, record in scheduler.failed.items()}
    assert reasons[2].startswith("its worker was ended by SIGKILL, most likely for want of memory: give fewer workers")
    assert reasons[3] == "it does not want to."
    assert reasons[4] == "KeyError: 'nobody foresaw this'"
    assert sorted((n, what) for n, what, _ in heard if what == "again") == [(1, "again"), (2, "again")]
    assert {record["threads"] for record in scheduler.finished.values()} == {"3"}
    assert sorted((tmp_path / "trainings").read_text().split()) == [member(n).key for n in (0, 1, 5)]


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_and_one_that_is_only_slow_is_not(tmp_path):
    began = time.monotonic()
    scheduler, heard = study(tmp_path, ["hang", ""], hang=2.0, slow=[0, 3.5])
    assert sorted(int(key, 16) for key in scheduler.finished) == [0, 1]
    again = [fact for n, what, fact in heard if what == "again"]
    assert again == ["its worker gave no sign of life for 2 s and was ended."]
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_full_disk_stops_all_and_leaves_what_is_finished(tmp_path):
    with pytest.raises(ZatlasError, match="goes on when it is begun again: x could not be written"):
        study(tmp_path, ["", "full", "", ""], workers=1)
    scheduler, _ = study(tmp_path, ["", "full", "", ""], workers=1)
    assert (scheduler.known, len(scheduler.finished)) == (1, 4)


@pytest.mark.slow
def test_workers_ask_at_rungs_and_are_answered(tmp_path):
    scheduler, _ = study(
        tmp_path, [""] * 4, workers=1, board=Board(Halving(factor=2)), rungs=[[0, 1]] * 4, loss=[1.0, 2.0, 3.0, 0.5]
    )
    stopped = {int(key, 16) for key, record in scheduler.finished.items() if record.get("stopped") == "halted"}
    assert stopped == {1, 2}


def test_the_rule_gives_each_core_a_worker_and_says_so():
    cores = len(os.sched_getaffinity(0))
    assert share(100, device="cpu").workers <= cores
    assert share(1, device="cpu").threads == cores
    assert "one for each member" in share(1, device="cpu").reason or cores == 1
    assert share(100, 5).reason.startswith("by 5 workers of ")
    assert share(9, device="cuda").workers == 1
    with pytest.raises(UsageError, match="-1 workers cannot be"):
        share(9, -1)
