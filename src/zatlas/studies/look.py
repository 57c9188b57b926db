"""A study as its page looks at it: tables, runs opened once, and the pictures that are laid out by two words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from zatlas import figures, walks
from zatlas.arrays import Array
from zatlas.errors import UsageError, ZatlasError
from zatlas.measure.words import of_figure
from zatlas.report import Picture, Section
from zatlas.runs.folder import RunFolder
from zatlas.runs.opened import Run
from zatlas.studies.members import shown
from zatlas.studies.study import Study
from zatlas.studies.table import Row, ranked
from zatlas.studies.work import opened_data
from zatlas.trust import trusting

Say = Callable[[str], None]
Cells = dict[tuple[int, int], Array]

SAMPLES = 36  # of a cell
MOST_CELLS = 8  # rows, and columns, of the pictures of samples and manifolds
CELL_PIXELS = 180  # image pixels of a manifold's side, about
SPAN = 2.0  # of a manifold, both ways, in standard deviations of the prior


def name_of(word: str) -> str:
    """A word of the configuration, for people."""
    return {"latent_dim": "latent size", "beta": "β"}.get(word, word.replace("_", " "))


def title_of(figure: str) -> str:
    return of_figure(figure.rpartition(".")[2])


def svg(figure: Any, alt: str, caption: str = "", title: str = "") -> Picture:
    return Picture(figures.themed_svg(figure, alt=alt), alt=alt, caption=caption, title=title)


def cell(value: Any) -> Any:
    return shown(value) if value is None or isinstance(value, float | list | bool) else value


def value_of(row: Row, name: str) -> str | None:
    from zatlas.measure.numbers import plain, with_error

    value, error = row.get(name), row.get(f"{name}_error")
    if value is None:
        return None
    text = " ± ".join(with_error(value, error)) if error else plain(value)
    return text.replace(" ", "\u00a0")


class Look:
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
        samples, planes = self._drawn_cells(turned)
        lost = {
            (i, j): "none" for i in range(len(rows)) for j in range(len(columns)) if (i, j) not in (samples or planes)
        }
        named = [f"{name_of(down)} {shown(v)}" for v in rows] if down else [""]
        heads = [f"{name_of(across)} {shown(v)}" for v in columns] if across else [""]
        told = (
            f"{name_of(down)} downwards, {name_of(across)} to the right"
            if down and across
            else f"by {name_of(across or down or '')}"
        )
        at_best = self._at_best()
        if samples:
            figure = figures.layout(samples, named, heads, empty=lost)
            alt = f"{SAMPLES} samples of each model, {told}."
            caption = f"Means of p(x|z) at {SAMPLES} codes drawn from the prior, {told}.{at_best}"
            yield Section("Samples", "Random samples of every model on one page.", [svg(figure, alt, caption)])
        if planes:
            figure = figures.layout(planes, named, heads, empty=lost)
            alt = f"A plane of the latent space of each model, decoded on a grid, {told}."
            caption = (
                f"Grid samples: the plane of the two units that carry most, from −{SPAN:g} to {SPAN:g}, the others "
                f"at 0, {told}.{at_best}"
            )
            yield Section("Manifolds", "The latent plane of every model on one page.", [svg(figure, alt, caption)])

    def _drawn_cells(self, turned: bool) -> tuple[Cells, Cells]:
        """Samples and manifolds at each place of the layout."""
        samples: Cells = {}
        planes: Cells = {}
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
                    mean = walks.manifold(run, n=side, span=SPAN, label=label)["mean"]
                    planes[at] = run.displayable(mean.reshape(-1, *run.spec.shape))
        return samples, planes

    def _at_best(self) -> str:
        """At which values of the other words the pictures are."""
        fixed = self.others()
        return f" Shown at {', '.join(f'{name_of(w)} {shown(v)}' for w, v in fixed.items())}." if fixed else ""

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
            told = f"From the best to the worst by {title_of(goal.figure)}, of {len(order)} combinations."
            figure = figures.layout(cells, [""], heads)
            yield Section("Samples", told, [svg(figure, "Samples of four members, from the best to the worst.", told)])
