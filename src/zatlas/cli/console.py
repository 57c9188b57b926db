"""What people see: progress and tables go to stderr, so that stdout holds results alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from zatlas.training.loop import Watcher

if TYPE_CHECKING:
    from zatlas.training.loop import Trainer

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


class _Remaining(ProgressColumn):
    """Time left, from the fraction done of whatever the budget counts."""

    def render(self, task: Task) -> Text:
        done = float(task.fields.get("done", 0))
        spent = float(task.fields.get("spent", 0))
        left = clock(spent * (1 - done) / done) if done > 0 else "-:--"
        return Text(f"{left} left", style="cyan")


class TrainingProgress(Watcher):
    """A live bar on a terminal; a line at every validation elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self._bar: Progress | None = None
        self._shown, self._terms = 0.0, ""

    def started(self, trainer: Trainer) -> None:
        if self.live:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                TextColumn("[progress.percentage]{task.percentage:>3.0f}%"),
                _Remaining(),
                TextColumn("{task.fields[figures]}"),
                console=console,
                transient=True,
            )
            self._bar.add_task("training", total=1.0, figures="", done=0.0, spent=0.0)
            self._bar.start()

    def stepped(self, trainer: Trainer) -> None:
        if self._bar is None or time.monotonic() - self._shown < 0.2:
            return
        self._shown = time.monotonic()
        s = trainer.state
        speed = s.examples / s.seconds if s.seconds else 0.0
        self._terms = _terms(trainer.live()) or self._terms  # right after a record there are none yet
        self._update(trainer, f"epoch {s.epoch + 1}  {speed:,.0f} images/s  {self._terms}")

    def _update(self, trainer: Trainer, figures: str) -> None:
        assert self._bar is not None
        done, spent = trainer.progress, trainer.state.seconds
        self._bar.update(self._bar.task_ids[0], completed=done, figures=figures, done=done, spent=spent)

    def recorded(self, trainer: Trainer, record: dict[str, Any]) -> None:
        if record["split"] != "validation" or self.quiet:
            return
        terms = {n: record[n] for n in record if n not in ("step", "epoch", "seconds", "split")}
        done = f"{trainer.progress:>4.0%}"
        line = f"{done}  epoch {record['epoch']:>7.2f}  step {record['step']:>6}  {clock(record['seconds']):>6}  "
        target = self._bar.console if self._bar else console
        target.print(line + "validation " + _terms(terms), markup=False)

    def finished(self, trainer: Trainer) -> None:
        self.close()

    def close(self) -> None:
        """Takes the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


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


def _terms(terms: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.2f}" for name, value in terms.items())


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
