"""The figures of a run, computed and kept in evaluation.json."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zatlas.console import Counting, silent
from zatlas.data import evenly_spaced
from zatlas.errors import UsageError, ZatlasError
from zatlas.files import write_json
from zatlas.measure.catalog import METRICS, chosen
from zatlas.measure.metric import Found, Options, Refused
from zatlas.measure.verdict import verdict_of
from zatlas.runs.folder import now
from zatlas.runs.opened import Run

ALWAYS = ("bound", "game")  # whose figures need no prefix: a run has one of them


def evaluate_run(
    run: Run,
    split: str | None = None,
    *,
    metrics: Sequence[str] | None = None,
    options: Options = Options(),  # noqa: B008 (frozen)
    counting: Counting | None = None,
) -> dict[str, Any]:
    """Measures some rows and writes the figures to evaluation.json, beside those measured before of the same weights.

    A metric that the model cannot have is left out, with its reason. The file is written after every metric, so that
    one that fails, or a Ctrl-C, takes no other with it; where it cannot be written, the record's ``not_kept`` says so.

    Args:
        run: an opened run.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``; None: the test rows, or what there is of them.
        metrics: names of :data:`METRICS`, or ``"all"``; None: the usual ones.
        options: how much is computed.
        counting: ``(what, how many)`` to a context that gives the function to be told of every example done.

    Raises:
        UsageError: an unknown metric; or one alone was asked for and the model cannot have it.
        ZatlasError: one alone was asked for, and its figures would mislead.
    """
    start = time.perf_counter()
    names = chosen(metrics)
    _check_draws(names, options)
    split = split or run.held_out()
    rows = run.rows(split)
    record: dict[str, Any] = {
        "run": str(run.folder.path),
        "step": run.step,
        "data": run.source.name,
        "data_sha256": run.source.fingerprint(),
        "data_kind": run.folder.record["data_kind"],
        "quantity": run.quantity,
        "conditional": run.kind.conditional,
        "split": split,
        "rows_sha256": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(),
        "figures": {},
        "left_out": {},
    }
    path = run.folder.path / "evaluation.json"
    _keep(record, path)
    for name in names:
        metric = METRICS[name]
        if reason := metric.lacks(run):
            if metrics and len(names) == 1:
                raise UsageError(f"{run.folder.path} cannot be measured by {name}: {reason}.")
            record["left_out"][name] = reason
            continue
        some = evenly_spaced(rows, metric.count(run, options))
        began = time.perf_counter()
        prefix = "" if name in ALWAYS else f"{options.named(name)}."
        try:
            with (counting or silent)(name, len(some)) as progress:
                found = metric.measure(run, some, options, progress)
        except Refused as refused:
            if metrics and len(names) == 1:
                raise ZatlasError(f"{run.folder.path} is not measured by {name}: {refused}.") from None
            record["left_out"][name] = str(refused)
            found = Found({})
        seconds = round(time.perf_counter() - began, 3)
        if prefix:  # fewer samples make a shorter curve, whose old end would stay; and what is refused was no better
            record["figures"] = {key: one for key, one in record["figures"].items() if not key.startswith(prefix)}
        for figure, value in found.figures.items():
            record["figures"][prefix + figure] = {**value.to_json(), "seconds": seconds}
        record |= found.more
        _write(record, path, start)
    if sentence := verdict_of(run, record):
        record["verdict"] = sentence
    _write(record, path, start)
    return record


def _check_draws(names: Sequence[str], options: Options) -> None:
    """Raises:
    UsageError: a prior or guidance for a metric that looks at no draws; or guidance without a prior.
    """
    if options.prior is None:
        if options.guidance is not None:
            raise UsageError("guidance is of an ex-post prior, and none is named: add --prior flow-matching.")
        return
    drawing = [name for name, metric in METRICS.items() if metric.draws]
    for name in names:
        if name not in drawing:
            raise UsageError(
                f"--prior is for metrics that look at new examples, which {name} does not: add "
                f"{' or '.join(f'--metric {one}' for one in drawing)}, and no other."
            )


def _write(record: dict[str, Any], path: Path, start: float) -> None:
    """Keeps the figures; a disk that refuses does not take away what was computed."""
    record.pop("not_kept", None)
    record |= {"seconds": round(time.perf_counter() - start, 3), "when": now()}
    try:
        write_json(path, record)
    except ZatlasError as error:
        record["not_kept"] = str(error)


def tell_if_not_kept(run: Run, record: dict[str, Any]) -> None:
    """Says that figures could not be written down, where they are a step on the way to something else."""
    if sentence := record.get("not_kept"):
        run.say(f"The figures are used here and not kept: {sentence}")


def _keep(record: dict[str, Any], path: Path) -> None:
    """Copies what was measured before, where it is about the same weights and rows."""
    before: Any = None
    with suppress(OSError, ValueError, RecursionError):
        before = json.loads(path.read_text(encoding="utf-8"))
    same = ("step", "data_sha256", "split", "data_kind")
    if isinstance(before, dict) and all(before.get(key) == record[key] for key in same):
        kept = before.get("figures")
        record["figures"] = dict(kept) if isinstance(kept, dict) else {}
        for key in ("unit_rates", "scores", "factors", "reliability", "warnings"):
            if key in before:
                record[key] = before[key]
