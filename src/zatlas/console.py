"""The terminal that people read, on stderr, so that stdout holds results alone. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from zatlas.errors import printable

QUOTED = {"bits_per_dimension": "{:.3f} bits/dim", "psnr": "PSNR {:.2f} dB"}


class _Plain(Console):
    """A console to which text is text: no markup, no emoji codes, no control characters, wherever it comes from."""

    def render_str(self, text: str, **words: Any) -> Text:
        return super().render_str(printable(text), **{**words, "markup": False, "emoji": False})


console = _Plain(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(sentence: str) -> None:
    """A sentence for people."""
    console.print(sentence)


def clock(seconds: float) -> str:
    """``0:09``, ``12:34`` or ``1:02:03``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


Counting = Callable[[str, int], AbstractContextManager[Callable[[float], None]]]


@contextmanager
def silent(what: str, total: int) -> Iterator[Callable[[float], None]]:
    """No bar."""
    yield lambda done: None


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal for work over ``total`` examples; gives the function that is told of each part."""
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def terms_line(terms: dict[str, float]) -> str:
    """Terms on one line, in nats where no other unit is named."""
    return "  ".join(QUOTED.get(name, f"{name} {{:.2f}}").format(value) for name, value in terms.items())
