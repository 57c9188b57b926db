"""The progress of a training on the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from zatlas.console import clock, console, terms_line
from zatlas.training.watching import Watcher

if TYPE_CHECKING:
    from zatlas.training.loop import Trainer


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
        self._terms = terms_line(trainer.live()) or self._terms  # right after a record there are none yet
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
        target.print(line + "validation " + terms_line(terms), markup=False)

    def finished(self, trainer: Trainer) -> None:
        self.close()

    def close(self) -> None:
        """Takes the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
