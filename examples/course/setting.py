"""What the chapters share: quick or full, where their runs are kept, and which data they want."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

import zatlas
from zatlas.figures import View

T = TypeVar("T")

BRIEF = os.environ.get("ZATLAS_BOOK") == "brief"  # a few steps of everything, to see that a chapter runs at all
QUICK = BRIEF or "--quick" in sys.argv or os.environ.get("ZATLAS_BOOK") == "quick"
RUNS = Path(os.environ.get("ZATLAS_BOOK_RUNS", "runs/course")) / ("quick" if QUICK else "full")


def setting(quick: T, full: T) -> T:
    """The one for a look in minutes, or the one that reproduces the published outcome."""
    return quick if QUICK else full


def trained(name: str, data: str = "mnist", **words: Any) -> zatlas.open:
    """The run of that name, trained on the first call and opened again on later ones."""
    folder = RUNS / name
    if BRIEF:
        words["steps"] = 30
    if (folder / "run.json").is_file():
        run = zatlas.open(folder)
        if run.folder.record["status"] == "finished":
            return run
        from zatlas.runs.training import resume

        return resume(folder)
    return zatlas.train(data, out=folder, verbose="--verbose" in sys.argv, **words)


def studied(name: str, plan: str, brief: dict[str, list[Any]], **words: Any) -> dict[tuple[Any, ...], zatlas.open]:
    """The runs of a study by the values of what its plan varies; a study that is there is gone on with.

    Args:
        name: of its folder.
        plan: that comes with zatlas.
        brief: fewer values, to see that a chapter runs at all.
        words: over the plan's.
    """
    if BRIEF:
        words = {word: value for word, value in words.items() if word not in ("seconds", "epochs")} | {"steps": 30}
    study = zatlas.study(
        plan=plan,
        grid=brief if BRIEF else None,
        out=RUNS / name,
        workers=0 if BRIEF else None,
        report=not BRIEF,
        verbose="--verbose" in sys.argv,
        **words,
    )
    return {tuple(row[word] for word in study.plan.grid): zatlas.open(study.path / row["run"]) for row in study.table()}


def picture(figure: Figure) -> View:
    """A figure that a notebook shows crisply."""
    return View({}, figure)


def table(rows: list[dict[str, Any]], digits: int = 2) -> None:
    """Rows as aligned text."""
    shown = [[f"{v:.{digits}f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    names = list(rows[0])
    widths = [max(len(name), *(len(line[i]) for line in shown)) for i, name in enumerate(names)]
    for line in (names, ["-" * width for width in widths], *shown):
        print("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)))
