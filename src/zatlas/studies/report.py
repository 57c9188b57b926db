"""The page of a study: what was found, and the pictures by which such models are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from zatlas import figures, walks
from zatlas.arrays import Array
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import Figure
from zatlas.evaluation.codes.alignment import reproducibility
from zatlas.evaluation.disentanglement import udr
from zatlas.figures import Model, Panel, Spot
from zatlas.files import write_bytes
from zatlas.measure.words import of_figure, unit_of
from zatlas.report import File, Headline, Picture, Report, Section, Table, render
from zatlas.runs.folder import RunFolder
from zatlas.runs.opened import Run
from zatlas.studies.members import Member, shown
from zatlas.studies.plan import Goal, names
from zatlas.studies.study import Study
from zatlas.studies.table import Row, figures_of, over_seeds, ranked
from zatlas.studies.work import opened_data
from zatlas.trust import trusting

Say = Callable[[str], None]

SAMPLES = 36  # of a cell
MOST_CELLS = 8  # rows, and columns, of the pictures of samples and manifolds
CELL_PIXELS = 180  # image pixels of a manifold's side, about
MOST_ROWS = 200  # of the table on the page; table.csv has all
MOST_PANELS = 8
AGREE_ROWS = 1000
MOST_GROUPS = 24  # combinations whose seeds are compared
PROVENANCE = ("command", "zatlas", "torch", "python", "system", "cores", "created", "finished", "status")
WATCHED = ("elbo", "loss", "distortion", "rate", "active_units", "reconstruction.psnr")


def write_report(study: Study, say: Say = lambda sentence: None, *, trust: bool = False) -> Path:
    """Writes the page of a study and returns its path.

    Args:
        study: with at least one member.
        say: is told what could not be shown.
        trust: whether code that the runs name by its place may be imported.

    Raises:
        ZatlasError: the disk refuses, or a run is damaged.
    """
    with figures.on_page() as look:
        page = render(describe(study, say, trust=trust), look)
    write_bytes(study.report, page.encode(errors="backslashreplace"))
    return study.report


def describe(study: Study, say: Say = lambda sentence: None, *, trust: bool = False) -> Report:
    """All that the page shows."""
    rows = study.table()
    goal = study.goal
    means = over_seeds(rows, study.members)
    best = ranked(means, goal)[0] if goal and means else None
    look = _Look(study, rows, means, best, say, trust)
    sections = [
        _best(look, goal),
        *look.pictures(),
        _frontier(look),
        *_against(look, goal),
        _agree(look),
        _table(look),
        _failures(rows, study),
    ]
    record = study.record
    plan = study.plan
    counts = record.get("counts", {})
    fixed = {word: value for word, value in plan.words.items() if value is not None}
    return Report(
        title=_title(study),
        summary=_summary(study, rows),
        headlines=_headlines(study, rows, best, goal),
        sections=[section for section in sections if section is not None],
        configuration={
            "plan": {
                **{word: list(values) for word, values in plan.grid.items()},
                **{word: space.written() for word, space in plan.draws.items()},
                "seeds": plan.seeds,
                **({"trials": plan.trials} if plan.trials else {}),
                "metrics": list(plan.metrics),
            },
            "fixed": {
                **fixed,
                **({"preset": plan.preset} if plan.preset else {}),
                "set": list(plan.assignments) or None,
            },
        },
        provenance={
            **{
                key: record[key] for key in ("command", "zatlas", "torch", "python", "system", "cores") if key in record
            },
            **{key: record[key] for key in ("created", "finished", "status") if key in record},
            **counts,
        },
        files=[
            File(name, (study.path / name).stat().st_size, what)
            for name, what in {
                "plan.toml": "the plan; `zatlas study --plan` on it repeats the study",
                "table.csv": "a line for each member: what varies, and every figure with its error",
                "table.parquet": "the same, typed",
                "table.json": "the same, for programs",
                "journal.jsonl": "what happened, line by line",
            }.items()
            if (study.path / name).is_file()
        ]
        + [File("members/", None, "a run folder for each member: report, explore and evaluate it as any other")],
        eyebrow="zatlas study",
    )


def _name(word: str) -> str:
    """A word of the configuration, for people."""
    return {"latent_dim": "latent size", "beta": "β"}.get(word, word.replace("_", " "))


def _title(study: Study) -> str:
    words = [_name(word) for word in study.plan.varied if word != "seed"] or ["seeds"]
    varied = names(words)
    # of a path the last part
    return f"{varied[0].upper() if varied[0] != 'β' else 'β'}{varied[1:]}, on {Path(study.plan.source).name}"


def _figure_name(figure: str) -> str:
    return of_figure(figure.rpartition(".")[2])


def _summary(study: Study, rows: Sequence[Row]) -> str:
    done = sum(row["status"] in ("finished", "stopped early") for row in rows)
    early = sum(row["status"] == "stopped early" for row in rows)
    failed = sum(row["status"] == "failed" for row in rows)
    parts = [f"{done} of {len(rows)} members trained and measured"]
    parts += [f"{early} of them stopped early"] if early else []
    parts += [f"{failed} failed"] if failed else []
    return f"{f'{study.plan.about} ' if study.plan.about else ''}{', '.join(parts)}."


def _headlines(study: Study, rows: Sequence[Row], best: Row | None, goal: Goal | None) -> list[Headline]:
    shown_: list[Headline] = []
    if best and goal:
        told = ", ".join(f"{_name(w)} {shown(best.get(w))}" for w in study.plan.varied if w != "seed")
        seeds = f"; mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""
        unit = unit_of(goal.figure.rpartition(".")[2], {})
        error = best.get(f"{goal.figure}_error")
        name = f"best {_figure_name(goal.figure)}"
        shown_.append(Headline(name, best[goal.figure], unit, error, f"{told or 'the one combination'}{seeds}"))
        for other in ("distortion", "rate", "reconstruction.psnr"):
            if best.get(other) is not None and other != goal.figure:
                unit = "dB" if other.endswith("psnr") else unit_of(other, {})
                shown_.append(Headline(f"its {_figure_name(other)}", best[other], unit, best.get(f"{other}_error")))
    seconds = sum(row["train_seconds"] or 0.0 for row in rows)
    shown_.append(Headline("training", round(seconds, 1), "s", note="of all members together, in training steps"))
    return shown_


class _Look:
    """A study as its page looks at it: tables, and runs opened once with their data shared."""

    def __init__(
        self, study: Study, rows: list[Row], means: list[Row], best: Row | None, say: Say, trust: bool
    ) -> None:
        self.trust = trust
        self.study, self.rows, self.means, self.best, self.say = study, rows, means, best, say
        self.varied = [word for word in study.plan.varied if word != "seed"]
        self._runs: dict[str, Run | None] = {}

    def run(self, folder: str) -> Run | None:
        """The run of a member, with data that all members share; None where it cannot be opened, which is said."""
        if folder not in self._runs:
            try:
                run = RunFolder(self.study.path / folder)
                with trusting(self.trust):
                    source, splits = opened_data(run.config())
                self._runs[folder] = Run(run, source=source, splits=splits, trust=self.trust)
            except ZatlasError as error:
                self.say(str(error))
                self._runs[folder] = None
        return self._runs[folder]

    def axes(self) -> tuple[str | None, str | None]:
        """The two words of rows and columns: latent size and beta where they vary, else the first two."""
        order = sorted(self.varied, key=lambda w: {"latent_dim": 0, "beta": 1}.get(w, 2))
        order = [word for word in order if len({repr(row.get(word)) for row in self.means}) > 1]
        down, across = (*order, None, None)[:2]
        return (down, across) if across is not None or down != "beta" else (None, down)

    def values(self, word: str | None) -> list[Any]:
        """The values of a word that finished members have, in order."""
        if word is None:
            return [None]
        found = list({repr(row.get(word)): row.get(word) for row in self.means}.values())
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in found)
        return sorted(found) if numeric else found

    def others(self) -> dict[str, Any]:
        """What is fixed in the pictures of two words: the other words, at the best combination's values."""
        base = self.best or (self.means[0] if self.means else {})
        return {word: base.get(word) for word in self.varied if word not in self.axes()}

    def cells(self) -> dict[tuple[int, int], Row]:
        """The combination at each place of the layout."""
        down, across = self.axes()
        fixed = self.others()
        found: dict[tuple[int, int], Row] = {}
        rows, columns = self.values(down), self.values(across)
        for row in self.means:
            if all(row.get(word) == value for word, value in fixed.items()):
                at = rows.index(row.get(down) if down else None), columns.index(row.get(across) if across else None)
                found.setdefault(at, row)
        return found

    def pictures(self) -> Iterator[Section]:
        """Samples and manifolds by two words."""
        down, across = self.axes()
        rows, columns = self.values(down), self.values(across)
        if not self.means or self.drawn() or max(len(rows), len(columns)) > MOST_CELLS:
            yield from self.best_pictures()
            return
        if across is None and down is not None:  # one word: side by side
            down, across, rows, columns = None, down, [None], rows
            turned = True
        else:
            turned = False
        samples: dict[tuple[int, int], Array] = {}
        planes: dict[tuple[int, int], Array] = {}
        lost: dict[tuple[int, int], str] = {}
        span = 2.0
        for (i, j), row in self.cells().items():
            at = (j, i) if turned else (i, j)
            if (run := self.run(row["run"])) is None or not run.spec.is_image:
                continue
            if not run.kind.point:
                samples[at] = run.displayable(run.sample(SAMPLES, seed=1)[0].mean)
            if run.kind.axes and run.latent_dim >= 2:
                side = max(4, min(12, CELL_PIXELS // run.spec.shape[-1]))
                label = run.spec.labels[0] if run.kind.conditional and run.spec.label_kind == "class" else None
                with suppress(UsageError):
                    view = walks.manifold(run, n=side, span=span, label=label)
                    mean = view["mean"]
                    planes[at] = run.displayable(mean.reshape(-1, *run.spec.shape))
        lost |= {
            (i, j): "none" for i in range(len(rows)) for j in range(len(columns)) if (i, j) not in (samples or planes)
        }
        named = [f"{_name(down)} {shown(v)}" for v in rows] if down else [""]
        heads = [f"{_name(across)} {shown(v)}" for v in columns] if across else [""]
        told = (
            f"{_name(down)} downwards, {_name(across)} to the right"
            if down and across
            else f"by {_name(across or down or '')}"
        )
        fixed = self.others()
        at_best = f" Shown at {', '.join(f'{_name(w)} {shown(v)}' for w, v in fixed.items())}." if fixed else ""
        if samples:
            figure = figures.layout(samples, named, heads, empty=lost)
            alt = f"{SAMPLES} samples of each model, {told}."
            caption = f"Means of p(x|z) at {SAMPLES} codes drawn from the prior, {told}.{at_best}"
            yield Section("Samples", "Random samples of every model on one page.", [_svg(figure, alt, caption)])
        if planes:
            figure = figures.layout(planes, named, heads, empty=lost)
            alt = f"A plane of the latent space of each model, decoded on a grid, {told}."
            caption = (
                f"Grid samples: the plane of the two units that carry most, from −{span:g} to {span:g}, the others "
                f"at 0, {told}.{at_best}"
            )
            yield Section("Manifolds", "The latent plane of every model on one page.", [_svg(figure, alt, caption)])

    def missing(
        self, rows: Sequence[Any], columns: Sequence[Any], there: Mapping[tuple[int, int], Any]
    ) -> list[tuple[int, int]]:
        return [(i, j) for i in range(len(rows)) for j in range(len(columns)) if (i, j) not in there]

    def drawn(self) -> bool:
        return bool(self.study.plan.draws)

    def best_pictures(self) -> Iterator[Section]:
        """Samples of the best and the worst, where there is no table of all."""
        goal = self.study.goal
        order = ranked(self.means, goal) if goal else self.means
        if not order:
            return
        chosen = [order[round(at)] for at in np.linspace(0, len(order) - 1, min(4, len(order)))]
        cells: dict[tuple[int, int], Array] = {}
        heads = []
        for number, row in enumerate(chosen):
            run = self.run(row["run"])
            if run is None or not run.spec.is_image or run.kind.point:
                continue
            heads.append(["best", *["between"] * (len(chosen) - 2), "worst"][number] if len(chosen) > 1 else "best")
            cells[0, len(cells)] = run.displayable(run.sample(SAMPLES, seed=1)[0].mean)
        if cells and goal:
            told = f"From the best to the worst by {_figure_name(goal.figure)}, of {len(order)} combinations."
            figure = figures.layout(cells, [""], heads)
            yield Section("Samples", told, [_svg(figure, "Samples of four members, from the best to the worst.", told)])


def _svg(figure: Any, alt: str, caption: str = "", title: str = "") -> Picture:
    return Picture(figures.themed_svg(figure, alt=alt), alt=alt, caption=caption, title=title)


def _best(look: _Look, goal: Goal | None) -> Section | None:
    """The best combinations, in order."""
    if goal is None or not look.means:
        return None
    order = ranked(look.means, goal)[:10]
    kept = [name for name in dict.fromkeys((goal.figure, *WATCHED)) if any(row.get(name) is not None for row in order)]
    columns = ["", *(_name(word) for word in look.varied), *(_figure_name(name) for name in kept), "seeds"]
    cells = [
        [rank, *(_cell(row.get(word)) for word in look.varied), *(_value(row, name) for name in kept), row["seeds"]]
        for rank, row in enumerate(order, 1)
    ]
    way = "least" if goal.less else "largest"
    split = next((split for row in order if (split := _split(look, row))), "held-out")
    text = f"By {_figure_name(goal.figure)}, {way} first; figures of the {split} rows."
    over = (
        "± is one standard error over seeds."
        if look.study.plan.seeds > 1
        else "± is the figure's own standard error: with one seed nothing is known of others."
    )
    if look.study.plan.search or look.study.plan.split == "validation":
        over += " The best was chosen by these rows: measure it on the test rows before it is quoted."
    goals = look.study.plan.goals
    if len(goals) > 1:
        both = names([f"{'small' if one.less else 'large'} {_figure_name(one.figure)}" for one in goals])
        over += f" The search was for {both} together: the best of one is seldom that of the other."
    return Section("Best", [text, over], tables=[Table(columns, cells)])


def _split(look: _Look, row: Row) -> str:
    run = look.run(row["run"])
    return look.study.plan.measured_split or (run.held_out() if run else "")


def _cell(value: Any) -> Any:
    return shown(value) if value is None or isinstance(value, float | list | bool) else value


def _value(row: Row, name: str) -> str | None:
    from zatlas.measure.numbers import plain, with_error

    value, error = row.get(name), row.get(f"{name}_error")
    if value is None:
        return None
    text = " ± ".join(with_error(value, error)) if error else plain(value)
    return text.replace(" ", "\u00a0")


def _frontier(look: _Look) -> Section | None:
    """Rate against distortion."""
    able = [row for row in look.means if _finite(row.get("rate")) and _finite(row.get("distortion"))]
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
    figure = figures.frontier(models, lines=_name(line) if line else "", along=_name(along) if along else "")
    best = figures.undominated([(m.rate, m.distortion) for m in models])
    kept = [", ".join(f"{_name(w)} {shown(able[i].get(w))}" for w in look.varied) for i in best]
    alt = f"Distortion against rate of {len(models)} models; {len(best)} of them are on the frontier."
    caption = (
        "The pale band joins the models that no other beats in rate and distortion together"
        + (f": {'; '.join(kept)}." if len(kept) <= 8 and look.varied else ".")
        + " On a dashed line their sum, the negative ELBO, is the same."
    )
    text = "What the codes cost, the rate, against what they lose, the distortion."
    return Section("Rate and distortion", text, [_svg(figure, alt, caption)])


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _against(look: _Look, goal: Goal | None) -> Iterator[Section]:
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
            Panel(_figure_name(name), _unit(name), _lines(look, word, other, name))
            for name in wanted
        ]  # fmt: skip
        try:
            figure = figures.against(
                panels,
                _name(word),
                others=_name(other) if other else "",
                log=_log(look, word),
                joined=not look.drawn(),
            )
        except UsageError:
            continue
        fixed = {w: v for w, v in look.others().items() if w not in (word, other)} if not look.drawn() else {}
        at = f" {', '.join(f'{_name(w)} {shown(v)}' for w, v in fixed.items())}." if fixed else ""
        alt = f"{names([panel.title for panel in panels])} against {_name(word)}."
        bars = (
            "Bars: one standard error over seeds."
            if look.study.plan.seeds > 1
            else "One seed, so nothing is known of others."
        )
        pictures.append(_svg(figure, alt, f"{bars}{at}", f"Against {_name(word)}"))
    if pictures:
        yield Section("Figures against parameters", "Each figure against each parameter that varies.", pictures)


def _differs(row: Row) -> bool:
    loss, elbo = row.get("loss"), row.get("elbo")
    return loss is not None and elbo is not None and abs(loss + elbo) > 1e-6 * (1 + abs(elbo))


def _log(look: _Look, word: str) -> bool | None:
    space = look.study.plan.draws.get(word)
    return getattr(space, "log", None) or None


def _unit(name: str) -> str:
    last = name.rpartition(".")[2]
    return {"psnr": "dB", "rmse": "grey levels", "active_units": "units"}.get(last, unit_of(last, {}))


def _lines_of(look: _Look, word: str) -> str | None:
    """The parameter whose values are the lines of a picture against another."""
    if look.drawn():
        return None
    axes = [one for one in look.axes() if one not in (None, word)]
    return next((one for one in axes if one and len(look.values(one)) <= MOST_CELLS), None)


def _lines(look: _Look, word: str, other: str | None, name: str) -> dict[str, list[Spot]]:
    fixed = {} if look.drawn() else {w: v for w, v in look.others().items() if w not in (word, other)}
    lines: dict[str, list[Spot]] = {}
    if other:
        lines = {shown(value): [] for value in look.values(other)}
    over = look.study.plan.seeds > 1
    for row in look.means:
        if _finite(row.get(name)) and all(row.get(w) == v for w, v in fixed.items()):
            error = row.get(f"{name}_error") if over else None
            line = shown(row.get(other)) if other else ""
            lines.setdefault(line, []).append(Spot(row.get(word), row[name], error))
    return lines


def _agree(look: _Look) -> Section | None:
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
        cells.append([_cell(row.get(word)) for word in look.varied])
    if not found:
        return None
    kept = list(dict.fromkeys(name for figures_ in found for name in figures_))
    kept = kept[:6]
    rows = [[*told, *(_with(figures_.get(name)) for name in kept)] for told, figures_ in zip(cells, found, strict=True)]
    columns = [*(_name(word) for word in look.varied), *(name.replace("_", " ") for name in kept)]
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
    return _value({"value": figure.value, "value_error": good}, "value")


def _table(look: _Look) -> Section | None:
    """Every member."""
    rows = look.rows
    if not rows:
        return None
    words = list(look.study.plan.varied)
    kept = [name for name in WATCHED if any(row.get(name) is not None for row in rows)]
    columns = [*(_name(word) for word in words), "status", *(_figure_name(name) for name in kept), "seconds", "run"]
    cells = [
        [
            *(_cell(row.get(word)) for word in words),
            row["status"],
            *(_value(row, name) for name in kept),
            row["train_seconds"],
            row["run"] and row["run"].rpartition("-")[2][:8],
        ]
        for row in rows[:MOST_ROWS]
    ]
    text = "A row for each member; ± is the figure's own standard error over examples."
    if len(rows) > MOST_ROWS:
        text += f" The first {MOST_ROWS} of {len(rows):,} are shown; table.csv has all."
    return Section("All members", text, tables=[Table(columns, cells)])


def _failures(rows: Sequence[Row], study: Study) -> Section | None:
    failed = [(member, row) for member, row in zip(study.members, rows, strict=True) if row["status"] == "failed"]
    if not failed:
        return None
    cells = [[_told(member), row["reason"]] for member, row in failed[:MOST_ROWS]]
    text = "The rest went on without them; `zatlas study … --again` tries them once more."
    return Section("Failed", text, tables=[Table(["member", "why"], cells)])


def _told(member: Member) -> str:
    return ", ".join(f"{_name(word)} {shown(value)}" for word, value in member.words.items())
