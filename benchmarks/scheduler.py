"""The scheduler of studies at the size of a thousand workers, in simulated time.

    python benchmarks/scheduler.py                                     # 10,000 trials, 1,000 workers, 200 kills
    python benchmarks/scheduler.py --trials 100000 --workers 1000
    python benchmarks/scheduler.py --halving                           # stop hopeless trials at rungs

The scheduling code is the real one: Scheduler, Journal, Board, work_through. The trials are fakes that take simulated
time, keep a checkpoint every five minutes of it, and run on workers of which each dies once in thirty days. The study
itself is killed at random moments, also between the work and the line that tells of it; a third of the kills cut the
end of the journal off. It fails unless every trial is trained once and none is lost.

Of real time it measures what the study's one process takes: of each trial, and to go on after a kill.
"""

from __future__ import annotations

import heapq
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import parser, show

from zatlas.studies.halving import Board
from zatlas.studies.journal import Journal
from zatlas.studies.members import Member
from zatlas.studies.plan import Halving
from zatlas.studies.scheduling import Scheduler, work_through

HOUR, DAY = 3600.0, 86400.0
CHECKPOINT = 300.0  # simulated seconds between two checkpoints of a trial
RESTART = 60.0  # simulated seconds until a killed study is begun again; its workers train on only to a checkpoint
DEATHS = 30 * DAY  # mean time until a worker dies


class Killed(BaseException):
    """The study's process ends here."""


class World:
    """What outlasts a kill: the clock, and what each trial has trained and kept in its run folder."""

    def __init__(self, trials: int, rng: random.Random) -> None:
        self.now, self.rng = 0.0, rng
        self.need = {f"{n:016x}": rng.lognormvariate(0.0, 0.5) * HOUR for n in range(trials)}
        self.kept = dict.fromkeys(self.need, 0.0)
        self.done: dict[str, int] = dict.fromkeys(self.need, 0)  # how often each was trained to its end
        self.spent = 0.0  # worker seconds


class Crew:
    """A thousand workers in simulated time, with the face of those that are processes.

    Args:
        world: the clock and the run folders.
        workers: how many.
        point: called wherever a kill may come.
        rungs: shares of the training at which trials ask.
    """

    def __init__(self, world: World, workers: int, point: Callable[[], None], rungs: tuple[float, ...]) -> None:
        self.world, self.workers, self.point, self.rungs = world, workers, point, rungs
        self.queue: list[tuple[float, int, Member, str]] = []
        self.begun: dict[str, float] = {}
        self.passed: dict[str, int] = {}
        self._count = 0

    def free(self) -> bool:
        return len(self.begun) < self.workers

    def busy(self) -> bool:
        return bool(self.begun)

    def start(self, member: Member) -> None:
        self.point()
        self.begun[member.key] = self.world.now
        self.passed[member.key] = sum(self._share(member.key, 0.0) > rung for rung in self.rungs)
        self._plan(member)

    def _share(self, key: str, seconds: float) -> float:
        return (self.world.kept[key] + seconds) / self.world.need[key]

    def _plan(self, member: Member) -> None:
        """What the trial will be heard of next: a rung, its end, or its worker's death before either."""
        key, world = member.key, self.world
        rung = self.passed[key]
        goal = self.rungs[rung] * world.need[key] if rung < len(self.rungs) else world.need[key]
        left = max(goal - world.kept[key] - (world.now - self.begun[key]), 0.0)
        dies = world.rng.expovariate(1 / DEATHS)
        what = "died" if dies < left else "rung" if rung < len(self.rungs) else "done"
        self._count += 1
        heapq.heappush(self.queue, (world.now + min(left, dies), self._count, member, what))

    def next(self) -> tuple[Member, str, Any]:
        self.point()
        when, _, member, what = heapq.heappop(self.queue)
        self.world.now = max(when, self.world.now)
        key = member.key
        if what == "rung":
            self.passed[key] += 1
            return member, "rung", {"rung": self.passed[key] - 1, "loss": int(key, 16) * 0.618034 % 1}
        self._keep(key, whole=what == "done")
        if what == "died":
            return member, "died", "its worker died."
        self.world.done[key] += 1
        self.point()
        return member, "done", {"figures": {}, "steps": 1}

    def answer(self, member: Member, on: bool) -> None:
        if on:
            self._plan(member)
            return
        self._keep(member.key, whole=True)
        self.world.need[member.key] = self.world.kept[member.key]  # stopped early: this was all of it
        self._count += 1
        self.begun[member.key] = self.world.now
        heapq.heappush(self.queue, (self.world.now, self._count, member, "done"))

    def _keep(self, key: str, *, whole: bool) -> None:
        """What a trial's run folder holds when its worker ends: all of it, or up to the last checkpoint."""
        trained = self.world.now - self.begun.pop(key)
        self.world.spent += trained
        self.world.kept[key] += trained if whole else trained // CHECKPOINT * CHECKPOINT

    def end(self) -> None:
        """The study was killed: each worker notices, and what it has kept stays."""
        for key in list(self.begun):
            self._keep(key, whole=False)

    def stop(self) -> None: ...
    def close(self) -> None: ...


class Finding(Crew):
    """Finds trials finished that were trained before a kill, as zatlas.studies.work does by the run's record."""

    def start(self, member: Member) -> None:
        if self.world.done[member.key]:
            self.begun[member.key] = self.world.now
            self._count += 1
            heapq.heappush(self.queue, (self.world.now, self._count, member, "found"))
            return
        super().start(member)

    def next(self) -> tuple[Member, str, Any]:
        if self.queue and self.queue[0][3] == "found":
            self.point()
            _, _, member, _ = heapq.heappop(self.queue)
            self.begun.pop(member.key)
            return member, "done", {"figures": {}, "steps": 1}
        return super().next()


def life(world: World, members: list[Member], path: Path, workers: int, halving: Halving | None, steps: float) -> None:
    """One life of the study, which is killed after so many steps."""
    left = steps

    def point() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    journal = Journal(path)
    real = journal.add

    def add(event: str, **facts: Any) -> None:
        point()  # the work is done, and nobody was told
        real(event, **facts)
        point()

    journal.add = add  # type: ignore[method-assign]
    crew = Finding(world, workers, point, tuple(halving.rungs) if halving else ())
    try:
        scheduler = Scheduler(members, journal, board=Board(halving) if halving else None, retries=10**6)
        try:
            work_through(scheduler, crew)
        except Killed:
            crew.end()
            raise
    finally:
        journal.close()
    assert len(scheduler.finished) == len(members), "a trial is lost"


def simulate(trials: int, workers: int, kills: int, halving: bool, seed: int) -> dict[str, float | str]:
    rng = random.Random(seed)
    world = World(trials, rng)
    members = [Member(key, {"number": number}, bracket="one") for number, key in enumerate(world.need)]
    whole = sum(world.need.values())
    rungs = Halving() if halving else None
    deaths = 0
    shm = Path("/dev/shm")
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        path = Path(folder) / "journal.jsonl"
        while True:
            steps = rng.uniform(0, 1.55 * (workers + 5 * trials / max(kills, 1))) if deaths < kills else float("inf")
            try:
                life(world, members, path, workers, rungs, steps)
                break
            except Killed:
                deaths += 1
                world.now += RESTART
                if rng.random() < 1 / 3:
                    with path.open("r+b") as file:
                        file.truncate(max(0, path.stat().st_size - rng.randrange(1, 400)))
        before = time.perf_counter()
        journal = Journal(path)
        again = Scheduler(members, journal, board=Board(rungs) if rungs else None)
        resuming = time.perf_counter() - before
        journal.close()
        size = path.stat().st_size
    cpu = time.process_time() - began
    assert set(world.done.values()) == {1}, "a trial was trained twice, or is lost"
    assert len(again.finished) == trials
    needed = sum(world.need.values())
    return {
        "trials": trials,
        "workers": workers,
        "kills": deaths,
        "simulated h": world.now / HOUR,
        "workers busy": world.spent / (workers * world.now),
        "trained again": (world.spent - needed) / needed,
        "stopped early": 1 - needed / whole,
        "CPU ms a trial": 1000 * cpu / trials,
        "s to go on": resuming,
        "journal MB": size / 1e6,
    }


def main() -> None:
    asked = parser(__doc__.splitlines()[0])
    asked.add_argument("--trials", type=int, default=10_000)
    asked.add_argument("--workers", type=int, default=1000)
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--halving", action="store_true", help="stop hopeless trials at rungs")
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    rows = [simulate(given.trials, given.workers, given.kills, given.halving, given.seed)]
    show("Studies of a thousand workers, simulated", rows, given.json)


if __name__ == "__main__":
    main()
