"""The study folder, and what of it is read again.

study.json      what was asked for, by which versions, when; how far it is
plan.toml       the plan: ``zatlas study --plan`` on it repeats the study
journal.jsonl   what happened, line by line
members/        a run folder for each member
table.csv       a line for each member: what varies, what was measured; also .json, and .parquet with pyarrow
report/         the page
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zatlas.errors import UsageError, ZatlasError, shown
from zatlas.files import read_json, write_bytes, write_json, writing
from zatlas.runs.folder import now, provenance
from zatlas.studies.members import Member, fixed_parts
from zatlas.studies.plan import Plan, from_record

SCHEMA = 1


class StudyFolder:
    """A study on disk.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def members(self) -> Path:
        return self.path / "members"

    def of(self, member: Member) -> Path:
        """The run folder of a member, also where it was made under a plan that varied other words."""
        own = self.members / member.folder
        if own.is_dir():
            return own
        return next(self.members.glob(f"*{member.key}"), own)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one study; the lock goes with the process.

        Raises:
            UsageError: another study holds it.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                raise UsageError(
                    f"{self.path} is being worked on by another study: wait for it, or give another --out."
                ) from None
        try:
            yield
        finally:
            lock.release()

    def check(self) -> None:
        """Refuses a folder that is somebody else's, before anything is put into it.

        Raises:
            UsageError: it holds files and no study.
        """
        if self.path.is_dir() and not (self.path / "study.json").is_file():
            others = sorted(p.name for p in self.path.iterdir() if p.name != ".lock" and not p.name.endswith(".part"))
            if others and not set(others) <= {"plan.toml", "journal.jsonl"}:
                raise UsageError(
                    f"{self.path} is not empty and holds no study (it holds {others[0]}): give another --out."
                )

    def record(self) -> dict[str, Any]:
        """study.json.

        Raises:
            UsageError: there is no study here.
            ZatlasError: it is damaged or of a later schema.
        """
        path = self.path / "study.json"
        if not path.is_file():
            raise UsageError(f"{self.path} is no study: it holds no study.json; `zatlas study` makes one.")
        record = read_json(path, "the study's record")
        if record.get("schema") != SCHEMA:
            raise ZatlasError(
                f"the study {self.path} has schema {shown(record.get('schema'))} and this zatlas reads {SCHEMA}."
            )
        if not isinstance(record.get("plan"), dict):
            raise ZatlasError(f"the study's record {path} is damaged: it holds no plan.")
        return record

    def plan(self) -> Plan:
        """The plan that was last worked on."""
        return from_record(self.record()["plan"], str(self.path / "study.json"))

    def begin(self, plan: Plan) -> None:
        """Makes the folder, or goes on with it.

        Raises:
            UsageError: it holds a study of another plan.
            ZatlasError: it cannot be written.
        """
        self.check()
        before = self.record() if (self.path / "study.json").is_file() else {}
        if before:
            refuse_other(from_record(before["plan"], str(self.path)), plan, self.path)
        write_bytes(self.path / "plan.toml", plan.to_toml().encode())
        made = before.get("created") or now()
        record = {"schema": SCHEMA, "created": made, **provenance(), "plan": plan.written(), "status": "running"}
        write_json(self.path / "study.json", record)

    def update(self, **facts: Any) -> None:
        write_json(self.path / "study.json", {**self.record(), **facts})


def refuse_other(before: Plan, now: Plan, path: Path) -> None:
    """Refuses to go on with a study under a plan whose members would be other models.

    Values of a grid, another gridded word, seeds, trials and metrics may be added or left out; what is fixed may not
    change, nor the range of a draw, whose numbered trials would be others.

    Raises:
        UsageError: the first difference.
    """
    first, second = fixed_parts(before, now)
    for section in first.keys() | second.keys():
        for key in sorted(first.get(section, {}).keys() | second.get(section, {}).keys()):
            here, there = first.get(section, {}).get(key), second.get(section, {}).get(key)
            if here != there:
                raise UsageError(
                    f"{path} holds a study of another plan ({section}.{key} is {shown(here)} there and "
                    f"{shown(there)} here): give another --out."
                )
    for word in before.draws.keys() & now.draws.keys():
        if before.draws[word] != now.draws[word]:
            raise UsageError(
                f"{path} holds a study of another plan ({word} is drawn from another range): give another --out."
            )
    for what in ("search", "draw_seed", "goals"):
        if getattr(before, what) != getattr(now, what):
            raise UsageError(
                f"{path} holds a study of another plan (its {what.replace('_', ' ')} differs): give another --out."
            )
    if now.search and before.grid != now.grid:
        raise UsageError(f"{path} holds a search among other choices: give another --out.")
