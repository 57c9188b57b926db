"""A study on disk, opened: its table, its runs, its best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from zatlas.studies.folder import StudyFolder
from zatlas.studies.members import Member
from zatlas.studies.plan import Goal, Plan
from zatlas.studies.table import Row, over_seeds, ranked, ranking

if TYPE_CHECKING:
    from zatlas.runs.opened import Run


class Runs(Sequence["Run"]):
    """The runs of a study, each opened when it is asked for.

    Args:
        folders: of the runs.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = list(folders)

    def __len__(self) -> int:
        return len(self.folders)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> Run | Runs:
        from zatlas.runs.opened import Run

        return Runs(self.folders[index]) if isinstance(index, slice) else Run(self.folders[index])

    def __iter__(self) -> Iterator[Run]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} runs>"


class Study:
    """A study on disk.

    Args:
        path: its folder.

    Raises:
        UsageError: there is no study.
        ZatlasError: it is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        from zatlas.runs.remote import here

        self.path = here(path)
        self.folder = StudyFolder(self.path)
        self.record = self.folder.record()
        self.plan: Plan = self.folder.plan()
        self.members = [
            Member(m["key"], m["words"], group=m["group"], trial=m.get("trial")) for m in self.record.get("members", [])
        ]

    def __repr__(self) -> str:
        counts = self.record.get("counts", {})
        failed = f", {counts['failed']} failed" if counts.get("failed") else ""
        return f"<study {self.path}: {counts.get('finished', 0)} of {counts.get('members', 0)} members{failed}>"

    def table(self, *, seeds: bool = True) -> list[Row]:
        """A dict for each member, ready for ``pandas.DataFrame``; nats per example where no figure says otherwise.

        Args:
            seeds: whether each seed has a row of its own; else a row is a combination, with means over seeds.
        """
        path = self.path / "table.json"
        rows: list[Row] = read_json_list(path)
        return rows if seeds else over_seeds(rows, self.members)

    @property
    def runs(self) -> Runs:
        """The finished members as runs, in the table's order; each is opened when it is asked for."""
        return Runs([self.path / row["run"] for row in self.table() if row["run"]])

    @property
    def failed(self) -> dict[str, str]:
        """What failed, and why."""
        told = {member.key: member.told() for member in self.members}
        return {told[row["member"]]: row["reason"] for row in self.table() if row["status"] == "failed"}

    @property
    def goal(self) -> Goal | None:
        """By what members are ranked."""
        return ranking(self.plan, self.table())

    def best(self, by: str | None = None) -> Row | None:
        """The best combination, means over seeds; None where nothing is finished.

        Args:
            by: a figure, as ``"elbo"`` or ``"rate:min"``; None: the study's own.
        """
        goal = self.goal if by is None else Goal.read(by)
        found = ranked(self.table(seeds=False), goal) if goal else []
        return found[0] if found else None

    @property
    def report(self) -> Path:
        """The page; it need not be there."""
        return self.path / "report" / "index.html"

    def write_report(self, say: Callable[[str], None] = lambda sentence: None, *, trust: bool = False) -> Path:
        """Makes the page anew.

        Args:
            say: is told what could not be shown.
            trust: whether code that the runs name by its place, ``package.module:Class``, may be imported.

        Raises:
            ZatlasError: the disk refuses, or a run is damaged.
        """
        from zatlas.studies.report import write_report

        return write_report(self, say=say, trust=trust)


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """A JSON list of objects.

    Raises:
        ZatlasError: the file is missing or damaged.
    """
    import json

    from zatlas.errors import ZatlasError

    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ZatlasError(
            f"the study's table {path} is missing or damaged: begin the study again, which writes it anew."
        )
    return rows
