"""Which member is next, and what is known of each: plain logic over a journal, without models, processes or clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from zatlas.errors import ZatlasError
from zatlas.studies.halving import Board
from zatlas.studies.journal import Journal
from zatlas.studies.members import Member

LOST = ("died", "hung")  # the machine's fault: tried once more, and again whenever the study goes on


class Source(Protocol):
    """Where members come from as a study goes on: a search decides by what is finished."""

    def more(self, scheduler: Scheduler) -> Sequence[Member]: ...


class Scheduler:
    """The state of every member: what the journal says, and what is happening now.

    Args:
        members: those known from the start.
        journal: of the study.
        metrics: what a finished member has to have measured.
        present: whether the run folder of a finished member is still there.
        again: whether members that failed are tried again.
        retries: how often a member whose worker died or hung is started anew.
        board: compares members at their rungs; None: nobody is stopped early.
        source: of more members; None: there are no more.
    """

    def __init__(
        self,
        members: Iterable[Member],
        journal: Journal,
        *,
        metrics: Sequence[str] = (),
        present: Callable[[Member], bool] = lambda member: True,
        again: bool = False,
        retries: int = 1,
        board: Board | None = None,
        source: Source | None = None,
    ) -> None:
        self.journal, self.board, self.source = journal, board, source
        self.metrics, self.retries, self.again, self.present = list(metrics), retries, again, present
        self.members: dict[str, Member] = {}
        self.finished: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.busy: set[str] = set()
        self.lost: dict[str, int] = {}
        self.known = 0  # members that were finished before
        self._waiting: deque[Member] = deque()
        self._last = {e["key"]: e for e in journal.events if e["event"] in ("finished", "failed")}
        if board:
            board.restore(journal.events)
        self.add(members)
        self.known = len(self.finished)

    def add(self, members: Iterable[Member]) -> None:
        """More members; those that are known already are left as they are."""
        for member in members:
            if member.key in self.members:
                continue
            self.members[member.key] = member
            last = self._last.get(member.key)
            if member.refused:
                self.failed[member.key] = {"key": member.key, "reason": member.refused, "kind": "refused"}
            elif last and last["event"] == "finished" and self._complete(member, last):
                self.finished[member.key] = last
            elif last and last["event"] == "failed" and not self.again and last.get("kind") not in LOST:
                self.failed[member.key] = last
            else:
                self._waiting.append(member)

    def _complete(self, member: Member, record: dict[str, Any]) -> bool:
        return set(self.metrics) <= set(record.get("metrics", ())) and self.present(member)

    def take(self) -> Member | None:
        """The next member to be worked on; None: nothing is to be begun now."""
        if not self._waiting and self.source:
            self.add(self.source.more(self))
        if not self._waiting:
            return None
        member = self._waiting.popleft()
        self.busy.add(member.key)
        return member

    def finish(self, member: Member, record: dict[str, Any]) -> None:
        """A member is trained and measured."""
        facts = {"words": dict(member.words), **record, "metrics": self.metrics, "folder": member.folder}
        if member.trial is not None:
            facts["trial"] = member.trial
        self.journal.add("finished", key=member.key, **facts)
        self.busy.discard(member.key)
        self.finished[member.key] = self.journal.events[-1]

    def fail(self, member: Member, reason: str, kind: str = "refused") -> bool:
        """A member failed; says whether it is tried once more."""
        self.busy.discard(member.key)
        if kind in LOST:
            self.lost[member.key] = self.lost.get(member.key, 0) + 1
            if self.lost[member.key] <= self.retries:
                self._waiting.append(member)
                return True
        self.journal.add("failed", key=member.key, words=dict(member.words), reason=reason, kind=kind)
        self.failed[member.key] = self.journal.events[-1]
        return False

    def judge(self, member: Member, rung: int, loss: float) -> bool:
        """Whether a member goes on from a rung."""
        if self.board is None:
            return True
        on = self.board.goes_on(member.key, member.bracket, rung, loss)
        self.journal.add("rung", key=member.key, bracket=member.bracket, rung=rung, loss=loss, goes_on=on)
        return on

    @property
    def left(self) -> int:
        """Members that are neither finished nor failed."""
        return len(self.members) - len(self.finished) - len(self.failed)


class Crew(Protocol):
    """Those who do the work: this process, or several."""

    def free(self) -> bool: ...
    def start(self, member: Member) -> None: ...
    def busy(self) -> bool: ...
    def next(self) -> tuple[Member, str, Any]: ...
    def answer(self, member: Member, on: bool) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


def work_through(
    scheduler: Scheduler, crew: Crew, tell: Callable[[str, Member, Any], None] = lambda what, member, fact: None
) -> None:
    """Works until every member is finished or failed.

    Args:
        scheduler: what there is to do.
        crew: who does it.
        tell: is told ``("finished" | "failed" | "again", member, record or reason)``.

    Raises:
        ZatlasError: the journal cannot be written, or a member found that the disk is full: nothing finished is lost.
    """
    while True:
        while crew.free() and (member := scheduler.take()):
            crew.start(member)
        if not crew.busy():
            return
        member, what, fact = crew.next()
        match what:
            case "rung":
                crew.answer(member, scheduler.judge(member, int(fact["rung"]), float(fact["loss"])))
            case "done":
                scheduler.finish(member, fact)
                tell("finished", member, fact)
            case "disk":  # the next member would fail alike: it is not the member's failure
                scheduler.busy.discard(member.key)
                raise ZatlasError(f"the study stopped at {member.told()}, and goes on when it is begun again: {fact}")
            case "failed" | "died" | "hung":
                kind = "refused" if what == "failed" else what
                once_more = scheduler.fail(member, str(fact), kind)
                tell("again" if once_more else "failed", member, fact)
