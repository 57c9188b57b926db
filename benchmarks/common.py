"""What the benchmarks share: where the data and the opponents are, and how a command is run and its figures kept.

Every benchmark prints a table and, with --json FILE, keeps its rows. The machines are noisy: run them alone, and quote
medians and ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ZATLAS_SHARED", ROOT.parent / "shared"))
ZATLAS = [sys.executable, "-c", "from zatlas.cli.app import main; main()"]


def parser(about: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--repeats", type=int, default=3, help="runs of each, medians are quoted (default 3)")
    made.add_argument("--json", type=Path, help="also write the rows to this file")
    return made


def need_shared() -> Path:
    """The folder of shared data, where zatlas then finds it, also in processes that are started; or a plain end."""
    if not (SHARED / "data" / "mnist").is_dir():
        sys.exit(f"skipped: no MNIST under {SHARED}; set ZATLAS_SHARED")
    os.environ.setdefault("ZATLAS_DATA", str(SHARED / "data"))
    return SHARED


def train(*words: str, seed: int | None = None) -> dict[str, Any]:
    """``zatlas train mnist … --json`` in a fresh process: what it prints, and the whole process's seconds."""
    need_shared()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *ZATLAS,
            "train",
            "mnist",
            *words,
            *([] if seed is None else ["--seed", str(seed)]),
            "--out",
            f"{folder}/run",
            "--json",
            "-q",
        ]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    return {**json.loads(done.stdout), "process_seconds": seconds}


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def show(title: str, rows: list[dict[str, Any]], keep: Path | None = None) -> None:
    """Rows as a plain table."""
    columns = list(rows[0])
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(c), *(len(line[i]) for line in cells)) for i, c in enumerate(columns)]
    print(f"\n{title}")
    for line in [columns, *cells]:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    if keep is not None:
        keep.write_text(json.dumps({"title": title, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.4f}"
    return "" if value is None else str(value)
