"""What happened in a study: lines that are only ever added, each a JSON object.

A file of states, rewritten at every event, was the alternative: with 10,000 members each event would write megabytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from zatlas.files import sync_folder, writing


class Journal:
    """The journal of a study, open for writing by the one process that holds the study's lock.

    A line that a kill or a full disk cut short is cut off when the journal is opened; what it told is done again, or
    found done in the run folder.

    Args:
        path: the file; it is made where it is missing.

    Raises:
        ZatlasError: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.is_file() else b""
            self._handle = path.open("ab", buffering=0)
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                self._handle.truncate(whole)
            sync_folder(path.parent)
        self._length = whole
        self.events = list(_events(content[:whole]))

    def add(self, event: str, **facts: Any) -> None:
        """Adds a line, and returns when it is on the disk.

        Raises:
            ZatlasError: the disk refuses; what was written before is intact.
        """
        record = {"event": event, **facts}
        line = (json.dumps(record, ensure_ascii=True) + "\n").encode()
        with writing(self.path):
            try:
                written = 0
                while written < len(line):
                    written += self._handle.write(line[written:])
                os.fsync(self._handle.fileno())
            except OSError:
                with suppress(OSError):  # else it is cut when the journal is opened again
                    self._handle.truncate(self._length)
                raise
        self._length += len(line)
        self.events.append(record)

    def close(self) -> None:
        self._handle.close()


def _events(content: bytes) -> Iterator[dict[str, Any]]:
    """The lines that can be read: one that was damaged tells nothing, and its member is looked at again."""
    try:  # at once, which takes a third of the time of line by line
        records = json.loads(b"[" + content.rstrip(b"\n").replace(b"\n", b",") + b"]")
    except ValueError:
        records = _one_by_one(content)
    for record in records:
        if isinstance(record, dict) and isinstance(record.get("event"), str):
            yield record


def _one_by_one(content: bytes) -> Iterator[Any]:
    for line in content.split(b"\n"):
        with suppress(ValueError):
            yield json.loads(line)
