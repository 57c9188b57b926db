"""A study from its plan to its folder: members trained and measured, table and report written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zatlas.data import located
from zatlas.errors import UsageError, ZatlasError
from zatlas.measure import chosen
from zatlas.runs import remote
from zatlas.runs.folder import now
from zatlas.studies.crews import HANG, Here, Processes, on_gpu, share
from zatlas.studies.folder import StudyFolder
from zatlas.studies.halving import Board
from zatlas.studies.journal import Journal
from zatlas.studies.members import Member, check_search, members
from zatlas.studies.plan import Plan
from zatlas.studies.scheduling import Crew, Scheduler, work_through
from zatlas.studies.search import Search
from zatlas.studies.study import Study
from zatlas.studies.table import rows_of, write_table

WORK = "zatlas.studies.work:work"
Say = Callable[[str], None]


def run_study(
    plan: Plan,
    out: Path,
    *,
    workers: int | None = None,
    stack: bool | None = None,
    again: bool = False,
    report: bool = True,
    hang_seconds: float = HANG,
    on: str | None = None,
    say: Say = lambda sentence: None,
    tell: Callable[[Scheduler, str, Member, Any], None] | None = None,
) -> Study:
    """Trains and measures every member of a plan that is not done yet, and writes table and report.

    Args:
        plan: the study.
        out: its folder; a study of the same plan in it is gone on with.
        workers: processes; 0: this process; None: by the rule of :func:`zatlas.studies.crews.share`.
        stack: whether members that differ by numbers of the objective alone, as beta, are trained as one; None: on a
            GPU, where dozens take the time of a few, and not on cores, where workers share them as well.
        again: whether members that failed before are tried again.
        report: whether the page is made.
        hang_seconds: a worker that gives no sign of life for so long is ended, and its member tried once more.
        on: ``"ray"``: members are tasks of a Ray cluster (``zatlas[cluster]``); None: this machine.
        say: is given sentences for people.
        tell: is told of every member that ends, in place of a sentence each.

    Raises:
        UsageError: a plan that cannot be, a folder of another plan, or one that another study works on.
        ZatlasError: a disk that refuses; what is finished is kept, and the same call goes on.
        KeyboardInterrupt: somebody stopped it; everything is saved.
    """
    chosen(plan.metrics)
    how = How(workers, stack, hang_seconds, on)
    how.check()
    plan = replace(plan, source=located(plan.source))  # so that a member is the same from wherever it is asked for
    source = Search(plan) if plan.search else None
    if source:
        check_search(plan)
    known = [] if source else members(plan)
    out = remote.here(out, new=True)
    mirror, heard = remote.mirror_of(out), tell or _told(say)
    folder = StudyFolder(out)
    folder.check()
    with folder.locked():
        folder.begin(plan)
        journal = Journal(folder.journal)
        try:
            scheduler = Scheduler(
                known,
                journal,
                metrics=plan.metrics,
                present=lambda member: (folder.of(member) / "run.json").is_file(),
                again=again,
                board=Board(plan.halving) if plan.halving else None,
                source=source,
            )
            try:
                _work(scheduler, plan, folder, how, say, _mirrored(heard, folder, mirror, say), mirror)
            except BaseException:
                with suppress(ZatlasError):  # what stopped the study is said, and not that the table cannot be written
                    _write(folder, scheduler, plan)
                raise
            _write(folder, scheduler, plan)
        finally:
            journal.close()
        study = Study(out)
        if report:
            study.write_report(say=say, trust=True)  # whoever gave the plan named the code
        remote.push_all(out)
    return study


Tell = Callable[[Scheduler, str, Member, Any], None]


def _mirrored(tell: Tell, folder: StudyFolder, mirror: remote.Mirror | None, say: Say) -> Tell:
    """Also uploads each member that has ended, where the study is on object storage."""
    if mirror is None:
        return tell
    mirror.push()

    def uploading(scheduler: Scheduler, what: str, member: Member, fact: Any) -> None:
        tell(scheduler, what, member, fact)
        try:
            mirror.push(under=folder.of(member))
        except ZatlasError as error:  # what could not go now goes with the next member, or at the end
            say(str(error))

    return uploading


@dataclass(frozen=True)
class How:
    """Who does the work: what a person asked for, as of :func:`run_study`."""

    workers: int | None = None
    stack: bool | None = None
    hang_seconds: float = HANG
    on: str | None = None

    def check(self) -> None:
        """Refuses what cannot be.

        Raises:
            UsageError: the first such thing.
        """
        if self.on not in (None, "ray"):
            raise UsageError(f"--on knows ray, and {self.on!r} is given.")
        if self.stack and self.on:
            raise UsageError("members that are stacked are trained by one worker: leave --on or --stack out.")
        if self.stack and self.workers is not None and self.workers > 1:
            raise UsageError("members that are stacked are trained by one worker: leave --workers or --stack out.")


def _work(
    scheduler: Scheduler,
    plan: Plan,
    folder: StudyFolder,
    how: How,
    say: Say,
    tell: Tell,
    mirror: remote.Mirror | None,
) -> None:
    left = plan.trials * plan.seeds - scheduler.known if plan.search else scheduler.left
    done = f"; {scheduler.known} are finished already" if scheduler.known else ""
    device = _device(scheduler, plan)
    able = not plan.halving and not plan.search and not how.on
    stacked = able and (on_gpu(device) if how.stack is None else how.stack)
    stacks = stacks_of(scheduler) if stacked else {}
    total = plan.trials * plan.seeds if plan.search else len(scheduler.members)
    say(f"Study  {total} members of {plan.source}{done}.")
    if left <= 0:
        say("       There is nothing left to train.")
        return
    with ExitStack() as held:
        if how.on:
            crew: Crew
            crew, where = _on_ray(held, plan, folder, how, mirror)
        else:
            crew, where = _on_this_machine(scheduler, plan, folder, how, device, stacks, left)
        held.callback(crew.close)
        say(f"Where  {folder.path}; {where}")
        say(f"       {_chosen(stacked, stacks, device)}")
        try:
            work_through(scheduler, crew, lambda what, member, fact: tell(scheduler, what, member, fact))
        except KeyboardInterrupt:
            crew.stop()
            say(f"Stopped; everything is saved. The same command goes on, or: zatlas study --resume {folder.path}")
            raise
        except ZatlasError:
            crew.stop()
            raise


def _on_this_machine(
    scheduler: Scheduler,
    plan: Plan,
    folder: StudyFolder,
    how: How,
    device: str,
    stacks: Mapping[str, list[Member]],
    left: int,
) -> tuple[Crew, str]:
    parts = share(max(left, 1), how.workers, device=device, stack=bool(stacks))
    task_of = _tasks(plan, folder, stacks)
    if parts.workers:
        crew = Processes(parts.workers, parts.threads, WORK, task_of, hang_seconds=how.hang_seconds)
        return crew, parts.reason
    from zatlas.studies.worker import do

    here = Here(lambda task, channel: do({**task, "call": WORK}, channel), task_of)
    here.judge = scheduler.judge
    return here, parts.reason


def _on_ray(
    held: ExitStack, plan: Plan, folder: StudyFolder, how: How, mirror: remote.Mirror | None
) -> tuple[Crew, str]:
    """Workers of a Ray cluster; they write where the study is: on a disk that all see, or on object storage."""
    from zatlas.runs.cluster import connected
    from zatlas.studies.cluster import RayCrew

    ray, count, gpus = held.enter_context(connected(how.workers))
    task_of = _tasks(plan, folder, {})

    def there(member: Member) -> Mapping[str, Any]:
        place = folder.of(member)
        url = f"{mirror.url}/{place.relative_to(folder.path).as_posix()}" if mirror else str(place.resolve())
        return {**task_of(member), "folder": url}

    def collect(member: Member) -> None:
        if mirror:
            mirror.pull(folder.of(member))
        if not (folder.of(member) / "run.json").is_file():
            raise ZatlasError("give --out on a disk that all machines of the cluster see, or on object storage.")

    crew = RayCrew(ray, count, gpus, WORK, there, hang_seconds=how.hang_seconds, collect=collect)
    return crew, f"by {count} workers of a Ray cluster{', each with a GPU' if gpus else ''}."


def _device(scheduler: Scheduler, plan: Plan) -> str:
    for member in scheduler.members.values():
        if member.config:
            return str(member.config.get("training", {}).get("device", "auto"))
    return str(plan.words.get("device") or "auto")


def stacks_of(scheduler: Scheduler) -> dict[str, list[Member]]:
    """For each member that is not done, those it may be trained with; none where it is alone."""
    from zatlas.studies.stacking import alike

    left = [m for key, m in scheduler.members.items() if key not in scheduler.finished and key not in scheduler.failed]
    return {member.key: group for group in alike(left) if len(group) > 1 for member in group}


def _chosen(stacked: bool, stacks: Mapping[str, list[Member]], device: str) -> str:
    """What was chosen of stacking, and why."""
    if stacks:
        count = len({id(group) for group in stacks.values()})
        return f"{len(stacks)} members differ by numbers of the objective alone and are stacked: {count} trainings."
    if stacked:
        return "No two members are alike enough to be stacked: each is trained by itself."
    return "Each member is trained by itself: stacking is for GPUs, or for --stack."


def _tasks(
    plan: Plan, folder: StudyFolder, stacks: Mapping[str, list[Member]]
) -> Callable[[Member], Mapping[str, Any]]:
    rungs = list(plan.halving.rungs) if plan.halving else []
    fixed = {"metrics": list(plan.metrics), "split": plan.measured_split, "rungs": rungs}

    def task_of(member: Member) -> Mapping[str, Any]:
        task: dict[str, Any] = {**fixed, "config": dict(member.config), "folder": str(folder.of(member))}
        if member.key in stacks and not folder.of(member).exists():  # one that was begun goes on by itself
            others = [m for m in stacks[member.key] if m is not member and not folder.of(m).exists()]
            task["stack"] = [{"config": dict(m.config), "folder": str(folder.of(m))} for m in others]
        return task

    return task_of


def _told(say: Say) -> Callable[[Scheduler, str, Member, Any], None]:
    """A sentence for each member that ends."""
    began = time.monotonic()

    def tell(scheduler: Scheduler, what: str, member: Member, fact: Any) -> None:
        count = f"[{len(scheduler.finished) + len(scheduler.failed)}/{len(scheduler.members)}]"
        if what == "finished":
            figures = {name: value for name, (value, _) in fact["figures"].items()}
            name = next((n for n in ("elbo", "loss") if n in figures), None)
            shown = f"{name} {figures[name]:.2f}" if name else "done"
            early = ", stopped early" if fact.get("stopped") == "halted" else ""
            say(f"{count} {member.told()}: {shown}{early} ({time.monotonic() - began:.0f} s)")
        elif what == "again":
            say(f"{count} {member.told()}: {fact} It is tried once more.")
        else:
            say(f"{count} {member.told()} failed: {fact}")

    return tell


def _write(folder: StudyFolder, scheduler: Scheduler, plan: Plan) -> None:
    every = list(scheduler.members.values())
    rows = rows_of(
        every, scheduler.finished, scheduler.failed, lambda member: str(folder.of(member).relative_to(folder.path))
    )
    write_table(rows, folder.path)
    folder.update(
        status="finished" if not scheduler.left else "unfinished",
        finished=now(),
        counts={"members": len(every), "finished": len(scheduler.finished), "failed": len(scheduler.failed)},
        members=[
            {"key": m.key, "words": _jsonable(m.words), "group": m.group, "folder": folder.of(m).name, "trial": m.trial}
            for m in every
        ],
    )


def _jsonable(words: Mapping[str, Any]) -> dict[str, Any]:
    return {word: list(value) if isinstance(value, tuple) else value for word, value in words.items()}
