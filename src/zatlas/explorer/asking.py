"""A run that answers questions: all that the page asks, whether over HTTP, from a notebook, or once for a file."""

from __future__ import annotations

from typing import Any

from zatlas.explorer.answers import QUESTIONS
from zatlas.explorer.explored import Explored
from zatlas.runs.opened import Run

__all__ = ["QUESTIONS", "Explored", "open_explored"]


def open_explored(path: Any, *, device: str = "auto", data: str | None = None, say: Any = None) -> Explored:
    """A run opened for the page.

    Raises:
        UsageError, ZatlasError: a run that is not there or damaged.
    """
    run = Run(path, device=device, data=data, **({} if say is None else {"say": say}))
    explored = Explored(run)
    explored.warm()
    return explored
