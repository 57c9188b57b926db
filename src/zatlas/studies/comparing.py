"""The members of a study against one another: rate and distortion, figures against parameters, what seeds agree in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from zatlas import figures
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import Figure
from zatlas.evaluation.codes.alignment import reproducibility
from zatlas.evaluation.disentanglement import udr
from zatlas.figures import Model, Panel, Spot
from zatlas.measure.words import unit_of
from zatlas.report import Section, Table
from zatlas.runs.opened import Run
from zatlas.studies.look import MOST_CELLS, Look, cell, name_of, svg, title_of, value_of
from zatlas.studies.members import shown
from zatlas.studies.plan import Goal, names
from zatlas.studies.table import Row, figures_of

MOST_PANELS = 8
AGREE_ROWS = 1000
MOST_GROUPS = 24  # combinations whose seeds are compared
WATCHED = ("elbo", "loss", "distortion", "rate", "active_units", "reconstruction.psnr")


def frontier(look: Look) -> Section | None:
    """Rate against distortion."""
    able = [row for row in look.means if finite(row.get("rate")) and finite(row.get("distortion"))]
    if len(able) < 2:
        return None
    down, across = look.axes()
    if look.drawn():
        down = across = None
    line = down if across else None
    along = across or down
    over = look.study.plan.seeds > 1
    models = [
        Model(
            row["rate"],
            row["distortion"],
            f"{shown(row.get(line))}" if line else "",
            shown(row.get(along)) if along else "",
            row.get("rate_error") if over else None,
            row.get("distortion_error") if over else None,
        )
        for row in able
    ]
    figure = figures.frontier(models, lines=name_of(line) if line else "", along=name_of(along) if along else "")
    best = figures.undominated([(m.rate, m.distortion) for m in models])
    kept = [", ".join(f"{name_of(w)} {shown(able[i].get(w))}" for w in look.varied) for i in best]
    alt = f"Distortion against rate of {len(models)} models; {len(best)} of them are on the frontier."
    caption = (
        "The pale band joins the models that no other beats in rate and distortion together"
        + (f": {'; '.join(kept)}." if len(kept) <= 8 and look.varied else ".")
        + " On a dashed line their sum, the negative ELBO, is the same."
    )
    text = "What the codes cost, the rate, against what they lose, the distortion."
    return Section("Rate and distortion", text, [svg(figure, alt, caption)])


def finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def against(look: Look, goal: Goal | None) -> Iterator[Section]:
    """Each figure against each parameter."""
    every = figures_of(look.rows)
    first = [name for name in dict.fromkeys((*([goal.figure] if goal else []), *WATCHED)) if name in every]
    if "elbo" in first and "loss" in first and not any(_differs(row) for row in look.means):
        every = [name for name in every if name != "loss"]  # which is the negative ELBO
        first.remove("loss")
    wanted = [*first, *(name for name in every if name not in first)][:MOST_PANELS]
    pictures = []
    for word in look.varied:
        if len(look.values(word)) < 2:
            continue
        other = _lines_of(look, word)
        panels = [
            Panel(title_of(name), _unit(name), _lines(look, word, other, name))
            for name in wanted
        ]  # fmt: skip
        try:
            figure = figures.against(
                panels,
                name_of(word),
                others=name_of(other) if other else "",
                log=_log(look, word),
                joined=not look.drawn(),
            )
        except UsageError:
            continue
        fixed = {w: v for w, v in look.others().items() if w not in (word, other)} if not look.drawn() else {}
        at = f" {', '.join(f'{name_of(w)} {shown(v)}' for w, v in fixed.items())}." if fixed else ""
        alt = f"{names([panel.title for panel in panels])} against {name_of(word)}."
        bars = (
            "Bars: one standard error over seeds."
            if look.study.plan.seeds > 1
            else "One seed, so nothing is known of others."
        )
        pictures.append(svg(figure, alt, f"{bars}{at}", f"Against {name_of(word)}"))
    if pictures:
        yield Section("Figures against parameters", "Each figure against each parameter that varies.", pictures)


def _differs(row: Row) -> bool:
    loss, elbo = row.get("loss"), row.get("elbo")
    return loss is not None and elbo is not None and abs(loss + elbo) > 1e-6 * (1 + abs(elbo))


def _log(look: Look, word: str) -> bool | None:
    space = look.study.plan.draws.get(word)
    return getattr(space, "log", None) or None


def _unit(name: str) -> str:
    last = name.rpartition(".")[2]
    return {"psnr": "dB", "rmse": "grey levels", "active_units": "units"}.get(last, unit_of(last, {}))


def _lines_of(look: Look, word: str) -> str | None:
    """The parameter whose values are the lines of a picture against another."""
    if look.drawn():
        return None
    axes = [one for one in look.axes() if one not in (None, word)]
    return next((one for one in axes if one and len(look.values(one)) <= MOST_CELLS), None)


def _lines(look: Look, word: str, other: str | None, name: str) -> dict[str, list[Spot]]:
    fixed = {} if look.drawn() else {w: v for w, v in look.others().items() if w not in (word, other)}
    lines: dict[str, list[Spot]] = {}
    if other:
        lines = {shown(value): [] for value in look.values(other)}
    over = look.study.plan.seeds > 1
    for row in look.means:
        if finite(row.get(name)) and all(row.get(w) == v for w, v in fixed.items()):
            error = row.get(f"{name}_error") if over else None
            line = shown(row.get(other)) if other else ""
            lines.setdefault(line, []).append(Spot(row.get(word), row[name], error))
    return lines


def agreement(look: Look) -> Section | None:
    """What stays over seeds, combination by combination."""
    if look.study.plan.seeds < 2:
        return None
    cells: list[list[Any]] = []
    found: list[dict[str, Figure]] = []
    groups = [row for row in look.means if row["seeds"] > 1][:MOST_GROUPS]
    for row in groups:
        runs = [
            run for folder in row["runs"] if (run := look.run(folder)) is not None and run.kind.infers and run.kind.axes
        ]
        if len(runs) < 2:
            continue
        try:
            agreed = _agreement(runs, look.study.plan.measured_split)
        except ZatlasError as error:
            look.say(str(error))
            continue
        found.append(agreed)
        cells.append([cell(row.get(word)) for word in look.varied])
    if not found:
        return None
    kept = list(dict.fromkeys(name for figures_ in found for name in figures_))
    kept = kept[:6]
    rows = [[*told, *(_with(figures_.get(name)) for name in kept)] for told, figures_ in zip(cells, found, strict=True)]
    columns = [*(name_of(word) for word in look.varied), *(name.replace("_", " ") for name in kept)]
    text = (
        "Codes of the same examples under models that differ by their seed alone, turned onto one another "
        "(zatlas agree): what is near 1 is there whatever the seed, but for the residual, where 0 is best."
    )
    return Section("What stays over seeds", text, tables=[Table(columns, rows)])


def _agreement(runs: Sequence[Run], split: str | None) -> dict[str, Figure]:
    """The figures of :func:`zatlas.measure.agree`, without its pairs and pictures, which take most of its time."""
    rows = runs[0].spread(split or runs[0].held_out(), AGREE_ROWS)
    codes = [run.encode(rows).mean for run in runs]
    rates = None if any(run.kind.point for run in runs) else [run.unit_rates() for run in runs]
    return {**reproducibility(codes), "udr": udr(codes, unit_rates=rates).figure}


def _with(figure: Figure | None) -> str | None:
    if figure is None:
        return None
    error = figure.standard_error
    good = error if error is not None and math.isfinite(error) else None
    return value_of({"value": figure.value, "value_error": good}, "value")
