"""The explorer as a Jupyter widget: the same page, whose questions come over the notebook's own connection.

No server listens and no port is opened, so that it works where the kernel is on another machine, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import traitlets
from anywidget import AnyWidget

from zatlas.errors import UsageError, ZatlasError, one_line
from zatlas.explorer.asking import QUESTIONS, Explored
from zatlas.explorer.bundle import static

MOST_RUNS = 2


def answer(runs: Mapping[str, Explored], message: Any) -> tuple[dict[str, Any], list[bytes]]:
    """What is sent back for a message of the page ``{"id", "run", "question", "values"}``.

    Returns:
        ``{"id"}`` and the packed answer, or ``{"id", "error"}`` with one sentence and nothing.
    """
    asked = message if isinstance(message, dict) else {}
    number, run = asked.get("id"), str(asked.get("run"))
    if run not in runs:
        return {"id": number, "error": "there is no such run here."}, []
    try:
        found = runs[run].ask(str(asked.get("question")), asked.get("values", {}))
    except (UsageError, ZatlasError) as error:
        return {"id": number, "error": one_line(str(error))}, []
    except (MemoryError, RuntimeError, ValueError, OSError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return {"id": number, "error": f"the run cannot answer that ({lines[0][:200]})."}, []
    return {"id": number}, [found]


class Explorer(AnyWidget):
    """One run, or two side by side, in a notebook's cell.

    Args:
        explored: the runs.
        height: in pixels.
    """

    _esm = static("widget.js").decode()
    _css = ""  # the page keeps its style to itself, in a shadow root
    style = traitlets.Unicode().tag(sync=True)
    runs: Any = traitlets.List().tag(sync=True)
    height = traitlets.Int(720).tag(sync=True)

    def __init__(self, explored: Sequence[Explored], height: int = 720) -> None:
        if not 1 <= len(explored) <= MOST_RUNS:
            raise UsageError(f"the explorer shows one run, or {MOST_RUNS} side by side, not {len(explored)}.")
        self.explored = dict(zip("ab", explored, strict=False))
        names = [{"id": key, "name": one.run.folder.name} for key, one in self.explored.items()]
        super().__init__(style=static("app.css").decode(), runs=names, height=height)
        self._slow = ThreadPoolExecutor(1, "measure")
        self.on_msg(self._asked)

    def _asked(self, _: Any, message: Any, buffers: Any) -> None:
        question = QUESTIONS.get(str(message.get("question"))) if isinstance(message, dict) else None
        if question is not None and question.slow:  # so that decoding need not wait
            self._slow.submit(self._reply, message)
        else:
            self._reply(message)

    def _reply(self, message: Any) -> None:
        said, packed = answer(self.explored, message)
        self.send(said, packed)
