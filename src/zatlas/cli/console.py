"""Figures and comparisons as tables, and results as JSON. Nothing here imports torch, and rich only when called."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zatlas.errors import ZatlasError

if TYPE_CHECKING:
    from rich.table import Table

    from zatlas.measure import Group
    from zatlas.measure.words import Line

BARE = ("bound", "game", "")  # metrics whose figures need no heading


def print_json(record: dict[str, Any]) -> None:
    """Exactly one JSON object on stdout.

    Raises:
        ZatlasError: there is no stdout.
    """
    if sys.stdout is None:
        raise ZatlasError("stdout is closed, and --json writes its result there: leave it open, or leave --json out.")
    sys.stdout.write(json.dumps(record) + "\n")  # escapes keep it readable under any locale
    sys.stdout.flush()  # a closed pipe or a full disk is noticed here and not when the process ends


def figures_table(title: str, lines: Iterable[Line]) -> Table:
    """Figures with unit, standard error, n and estimator; a figure's caution and floor below it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, justify in (("figure", "left"), ("value", "right"), ("n", "right"), ("estimator", "left")):
        table.add_column(name, justify=justify, no_wrap=name != "estimator")  # type: ignore[arg-type]
    metric = ""
    for line in lines:
        if line.metric not in (metric, *BARE):
            table.add_row(Text(line.metric, "bold"))
        metric = line.metric
        indent = "" if metric in BARE else "  "
        table.add_row(f"{indent}{line.words}", line.shown(), line.n, line.estimator)
        if line.floor:
            table.add_row(f"{indent}  floor", line.shown(line.floor))
    return table


def say_cautions(lines: Iterable[Line]) -> None:
    """The sentences without which some figures mislead, each after the names of its figures."""
    from zatlas.console import say

    told: dict[str, list[str]] = {}
    for line in lines:
        if line.caution:
            name = line.words if line.metric in BARE else f"{line.metric} {line.words}"
            told.setdefault(line.caution, []).append(name)
    for caution, names in told.items():
        say(f"Caution, {', '.join(names)}: {caution.rstrip('.')}.")


def comparison_table(group: Group, runs: Sequence[str], width: int) -> tuple[str, Table, list[str]]:
    """The title of a group of runs, their table in so many columns of a terminal, and its cautions.

    Args:
        group: the runs of the table.
        runs: the folders of all runs, from which their names tell them apart.
        width: of the terminal.
    """
    from rich.table import Table

    from zatlas.measure import beside, short_names

    shown = beside(group, dict.fromkeys(runs, ""))
    wide = {name: max(len(word) for word in name.split()) for name in shown.columns}
    for name, *cells in zip(shown.columns, *shown.cells, strict=True):
        wide[name] = max(wide[name], *map(len, cells))  # of the names nothing yet: they get the room that is left
    if "model" in wide:
        wide["model"] = min(wide["model"], 12)  # which wraps at blanks
    gap = 2 if sum(wide.values()) - wide["run"] + 2 * len(wide) + 16 <= width else 1
    room = width - sum(wide.values()) + wide["run"] - gap * len(wide)
    shown = beside(group, short_names(runs, max(room, 8)))
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for name in shown.columns:
        words = name in ("run", "model")
        header = name.replace(" ", "\n")
        table.add_column(header, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    for cells in shown.cells:
        table.add_row(*cells)
    return shown.title, table, shown.cautions
