"""What people see: progress and tables go to stderr, so that stdout holds results alone. Nothing here imports torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(sentence: str) -> None:
    """A sentence for people."""
    console.print(sentence, markup=False)


def print_json(record: dict[str, Any]) -> None:
    """Exactly one JSON object on stdout."""
    sys.stdout.write(json.dumps(record) + "\n")  # escapes keep it readable under any locale
    sys.stdout.flush()  # a closed pipe or a full disk is noticed here and not when the process ends


def clock(seconds: float) -> str:
    """``0:09``, ``12:34`` or ``1:02:03``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal for work over ``total`` examples; gives the function that is told of each part."""
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def figures_table(title: str, figures: dict[str, dict[str, Any]]) -> Table:
    """Figures with standard error, count and estimator."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, justify in (
        ("figure", "left"),
        ("value", "right"),
        ("± s.e.", "right"),
        ("n", "right"),
        ("estimator", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=name != "estimator")  # type: ignore[arg-type]
    for name, figure in figures.items():
        error = figure["standard_error"]
        value = figure["value"]
        table.add_row(
            name.replace("_", " "),
            f"{value:.3f}" if isinstance(value, float) else str(value),
            "" if error is None else f"{error:.3f}",
            f"{figure['count']:,}",
            escape(figure["estimator"]),
        )
    return table


def comparison_table(rows: list[dict[str, Any]]) -> Table:
    """Runs beside one another; a figure that a run does not have is a dash."""
    first = rows[0]
    title = f"{first['data']}  ·  {first['split']} rows  ·  nats per example, {first['data_kind']} data"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = ("run", "model", "objective", "z", "β", "-ELBO", "± s.e.", "distortion", "rate", "active", "seconds")
    for name in names:
        table.add_column(name, justify="left" if name in names[:3] else "right", no_wrap=name != "run")
    for row in rows:
        figures = row["figures"]
        shown = lambda key, digits=2, sign=1, of=figures: f"{sign * of[key]['value']:.{digits}f}" if key in of else "–"
        error = figures.get("elbo", {}).get("standard_error")
        table.add_row(
            escape(row["run"]),
            row["model"],
            row["objective"],
            str(row["latent_dim"]),
            f"{row['beta']:g}" if row["objective"] == "elbo" and "elbo" in figures else "–",
            shown("elbo", sign=-1),
            "–" if error is None else f"{error:.2f}",
            shown("distortion"),
            shown("rate"),
            shown("active_units", digits=0),
            f"{row['train_seconds']:.0f}",
        )
    return table
