"""A worker: a process that does one member after another, told by lines on stdin and telling by lines on stdout.

``python -m zatlas.studies.worker`` is begun by :class:`zatlas.studies.crews.Processes`. multiprocessing's own processes
were the alternative: they run the caller's script again, which has to guard itself against that, and two of them share
one stderr.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TextIO

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)  # why every other member would fail as well
BEAT = 0.5  # seconds between two signs of life


class Line:
    """The channel of a worker to the study."""

    def __init__(self, out: TextIO, answers: queue.Queue[Any]) -> None:
        self.out, self.answers = out, answers
        self._told = 0.0

    def tell(self, **message: Any) -> None:
        self.out.write(json.dumps(message) + "\n")
        self.out.flush()
        self._told = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._told >= BEAT:
            self.tell(what="beat")

    def ask(self, rung: int, loss: float) -> bool:
        self.tell(what="rung", fact={"rung": rung, "loss": loss})
        return bool(self.answers.get())


def main() -> None:
    """Works until stdin ends: then the study is gone, and so is the worker."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no message
    tasks: queue.Queue[Any] = queue.Queue()
    answers: queue.Queue[Any] = queue.Queue()

    def listen() -> None:
        for text in sys.stdin:
            message = json.loads(text)
            (answers if "answer" in message else tasks).put(message.get("answer", message))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    line = Line(out, answers)
    line.tell(what="ready")
    while True:
        task = tasks.get()
        sys.argv = task.get("argv", sys.argv)  # the command that runs record is the person's
        what, fact = do(task, line)
        line.tell(what=what, fact=fact)


def do(task: Mapping[str, Any], channel: Any) -> tuple[str, Any]:
    """Does one task and says how it ended: done, failed, disk or interrupted, and the record or the reason."""
    from zatlas.errors import ZatlasError, one_line

    module, _, name = task["call"].partition(":")
    try:
        return "done", getattr(import_module(module), name)(task, channel)
    except KeyboardInterrupt:
        return "interrupted", "it was interrupted, and everything is saved."
    except ZatlasError as error:
        return "disk" if _is_disk(error) else "failed", str(error)
    except MemoryError:
        return (
            "failed",
            "there is not enough memory for it: make the model or the batch smaller, or give fewer workers.",
        )
    except Exception as error:
        return "failed", one_line(f"{type(error).__name__}: {error}")


def _is_disk(error: Exception) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL


if __name__ == "__main__":
    main()
