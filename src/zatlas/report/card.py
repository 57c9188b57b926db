"""The model card: every figure that was measured of a run on one page, with the pictures that explain them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zatlas import figures
from zatlas.arrays import Array
from zatlas.measure import METRICS
from zatlas.measure.curves import CURVES, curves
from zatlas.measure.running import ALWAYS
from zatlas.measure.words import about, evidence_of, lines, notes, of_figure, samples
from zatlas.report.page import Picture, Section, Table
from zatlas.report.sections import svg
from zatlas.runs.opened import Run

Record = dict[str, Any]

COLUMNS = 4  # images in a row of a panel
MOST_UNITS = 24  # rows of a heat map
TRUTHS = {"exact": "exact", "quadrature": "quadrature", "annealed": "annealed importance sampling"}
# A measure, the matrix that it is read off, [D, F], what that is divided by, [F], and what a cell says.
HEATS = (
    ("mig", "information", "entropy", "Share of a factor's entropy that a unit tells"),
    ("dci", "importance", None, "Importance of a unit to the trees that tell a factor"),
    ("dci_forest", "importance", None, "Importance of a unit to the trees that tell a factor"),
    ("sap_correlation", "correlation", None, "Squared correlation of unit and factor"),
)


def card(run: Run, split: str, measured: Record) -> Section:
    """Every figure in ``measured``, as :func:`zatlas.measure.evaluate_run` gives it, whenever it was measured.

    Args:
        run: an opened run with its data.
        split: the rows that the figures are about.
        measured: the record of evaluation.json.
    """
    pictures = [
        *_images(run, split),
        *_convergence(measured["figures"], evidence_of(measured)),
        *_reliability(measured),
        *_heats(run, measured),
    ]
    return Section("Model card", list(_text(run, measured)), pictures, [_table(measured)])


def _text(run: Run, measured: Record) -> Iterator[str]:
    floors = any(name.endswith("_floor") for name in measured["figures"])
    yield (
        f"Figures of the {measured['split']} rows of {measured['data']}. {about(measured)}. "
        "Each has its standard error, where there is one, and n: how many examples, or what else is named, it is from."
        f"{' A floor is what test examples reach in place of samples.' if floors else ''}"
    )
    yield from notes(measured)
    found = {name.partition(".")[0] for name in measured["figures"] if "." in name}
    missing = [name for name in METRICS if name not in found and name not in ALWAYS]
    if can := [name for name in missing if METRICS[name].lacks(run) is None]:
        yield f"Not measured yet: {', '.join(can)}; zatlas evaluate RUN --metric NAME adds one."
    scores = measured.get("scores", {}).values()
    yield from dict.fromkeys([*measured.get("warnings", ()), *(told for score in scores for told in score["warnings"])])


def _table(measured: Record) -> Table:
    """A row for each figure, grouped by metric; its floor and what must be known of it beside it."""
    rows: list[list[Any]] = []
    every = list(lines(measured, list(METRICS)))
    floors = any(line.floor for line in every)
    head = ""
    for line in every:
        row: list[Any] = [None if line.metric == head else line.metric, _whole(line.words), _whole(line.shown())]
        if floors:
            row.append(line.floor and _whole(line.shown(line.floor)))
        seconds = round(line.figure["seconds"], 2) if line.metric != head and "seconds" in line.figure else None
        told = (line.estimator, line.caution and f"Caution: {line.caution}")
        row += [
            line.figure["count"] if line.n[-1].isdigit() else _whole(line.n),
            ". ".join(filter(None, told)) or None,
            seconds,
        ]
        rows.append(row)
        head = line.metric
    columns = ["metric", "figure", "value", *(["floor"] if floors else []), "n", "estimator", "seconds"]
    return Table(columns, rows, f"{measured['split']} rows, step {measured['step']:,}")


def _whole(words: str) -> str:
    """Words that stay on one line."""
    return words.replace(" ", "\u00a0")


def _images(run: Run, split: str) -> Iterator[Picture]:
    """Data, what comes back of them, and samples, in one range of grey."""
    if not run.spec.is_image:
        return
    rows = run.spread(split, COLUMNS**2)
    panels: dict[str, Array] = {}
    if run.kind.infers:
        panels["data"], _, decoded = run.reconstruct(rows)
        panels["reconstructions"] = decoded.mean
    else:
        panels["data"] = run.examples(rows)
    if not run.kind.point or run.priors:
        panels["samples"] = run.sample(len(rows), seed=1)[0].mean
    shown = run.displayable(np.concatenate(list(panels.values())))
    figure = figures.beside(list(zip(panels, np.split(shown, len(panels)), strict=True)), columns=COLUMNS)
    alt = f"{len(rows)} images each of {', '.join(panels)}, side by side."
    means = " What the decoder shows is the mean of p(x|z)." if run.kind.infers else ""
    yield svg(figure, alt, f"From the left: {', '.join(panels)}.{means}")


def _convergence(kept: Record, evidence: str = "log p(x)") -> Iterator[Picture]:
    lines = curves(kept)
    if not lines:
        return
    counts = {metric: kept[f"{metric}.log_likelihood"]["count"] for metric in lines}
    named = {f"{CURVES[metric]}, n = {counts[metric]:,}": line for metric, line in lines.items()}
    # a value of other examples would lie elsewhere for that alone
    truths = ((f"{metric}.log_likelihood", name) for metric, name in TRUTHS.items())
    mark = next(
        (
            (kept[key]["value"], name)
            for key, name in truths
            if key in kept and {kept[key]["count"]} == {*counts.values()}
        ),
        None,
    )
    ends = [
        f"by {CURVES[metric]} from {line[0].value:.1f} at {samples(line[0].samples)} to {line[-1].value:.1f} at "
        f"{samples(line[-1].samples)}"
        for metric, line in lines.items()
    ]
    alt = f"{evidence} in nats against the number of samples: {'; '.join(ends)}."
    caption = (
        f"Both rise towards {evidence} from below. Few draws of the prior come near the posterior of an example, and "
        "the more the codes tell, the fewer: what they still miss is their bias, not noise."
        if "prior" in lines
        else "The bound rises towards log p(x) with the number of draws of the posterior."
    )
    yield svg(figures.convergence(named, mark=mark, quantity=evidence), alt, caption)


def _reliability(measured: Record) -> Iterator[Picture]:
    if not (table := measured.get("reliability")):
        return
    figure = figures.reliability(
        *(np.asarray(table[key], float) for key in ("edges", "confidence", "accuracy", "count"))
    )
    error = measured["figures"].get("bayes.calibration_error")
    gap = f"; on average they are {error['value']:.3f} apart" if error else ""
    alt = f"Accuracy of Bayes' rule against its confidence, in bins{gap}."
    caption = "Classification by Bayes' rule: on the dashed line p(y|x) means what it says, below it, it is too sure."
    yield svg(figure, alt, caption)


def _heats(run: Run, measured: Record) -> Iterator[Picture]:
    """The matrices that scores of disentanglement were read off, for the units that tell most."""
    units, factors = run.unit_names, measured.get("factors", [])
    for name, key, divisor, says in HEATS:
        matrices = measured.get("scores", {}).get(name, {}).get("matrices", {})
        if key not in matrices:
            continue
        matrix = np.asarray(matrices[key], float)
        if divisor:
            of = np.asarray(matrices[divisor], float)
            matrix = np.divide(matrix, of, out=np.full_like(matrix, np.nan), where=of > 0)
        if matrix.shape != (len(units), len(factors)):
            continue  # of a table that this program did not write
        best = np.sort(np.argsort(-np.nan_to_num(matrix).max(1), kind="stable")[:MOST_UNITS])
        told = [
            f"{factor} by {units[int(u)]}" for factor, u in zip(factors, np.nan_to_num(matrix).argmax(0), strict=True)
        ]
        figure = figures.heat(matrix[best], [units[u] for u in best], factors)
        few = f" The {MOST_UNITS} units that tell most." if len(units) > MOST_UNITS else ""
        yield svg(figure, f"{says}; the most of {', '.join(told)}.", f"{says}, from 0 to 1.{few}", of_figure(name))
