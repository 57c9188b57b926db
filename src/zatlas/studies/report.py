"""The page of a study: what was found, and the pictures by which such models are compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zatlas import figures
from zatlas.files import write_bytes
from zatlas.measure.words import unit_of
from zatlas.report import File, Headline, Report, Section, Table, render
from zatlas.studies.comparing import WATCHED, against, agreement, frontier
from zatlas.studies.look import Look, Say, cell, name_of, title_of, value_of
from zatlas.studies.members import Member, shown
from zatlas.studies.plan import Goal, Plan, names
from zatlas.studies.study import Study
from zatlas.studies.table import Row, over_seeds, ranked

MOST_ROWS = 200  # of the table on the page; table.csv has all
PROVENANCE = ("command", "zatlas", "torch", "python", "system", "cores", "created", "finished", "status")
FILES = {
    "plan.toml": "the plan; `zatlas study --plan` on it repeats the study",
    "table.csv": "a line for each member: what varies, and every figure with its error",
    "table.parquet": "the same, typed",
    "table.json": "the same, for programs",
    "journal.jsonl": "what happened, line by line",
}


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
    look = Look(study, rows, means, best, say, trust)
    sections = [
        _best(look, goal),
        *look.pictures(),
        frontier(look),
        *against(look, goal),
        agreement(look),
        _table(look),
        _failures(rows, study),
    ]
    record = study.record
    return Report(
        title=_title(study),
        summary=_summary(study, rows),
        headlines=_headlines(study, rows, best, goal),
        sections=[section for section in sections if section is not None],
        configuration=_configuration(study.plan),
        provenance={**{key: record[key] for key in PROVENANCE if key in record}, **record.get("counts", {})},
        files=_files(study),
        eyebrow="zatlas study",
    )


def _configuration(plan: Plan) -> dict[str, dict[str, Any]]:
    fixed = {word: value for word, value in plan.words.items() if value is not None}
    varied = {
        **{word: list(values) for word, values in plan.grid.items()},
        **{word: space.written() for word, space in plan.draws.items()},
        "seeds": plan.seeds,
        **({"trials": plan.trials} if plan.trials else {}),
        "metrics": list(plan.metrics),
    }
    preset = {"preset": plan.preset} if plan.preset else {}
    return {"plan": varied, "fixed": {**fixed, **preset, "set": list(plan.assignments) or None}}


def _files(study: Study) -> list[File]:
    there = [
        File(name, (study.path / name).stat().st_size, what)
        for name, what in FILES.items()
        if (study.path / name).is_file()
    ]
    members = "a run folder for each member: report, explore and evaluate it as any other"
    return [*there, File("members/", None, members)]


def _title(study: Study) -> str:
    words = [name_of(word) for word in study.plan.varied if word != "seed"] or ["seeds"]
    varied = names(words)
    # of a path the last part
    return f"{varied[0].upper() if varied[0] != 'β' else 'β'}{varied[1:]}, on {Path(study.plan.source).name}"


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
        told = ", ".join(f"{name_of(w)} {shown(best.get(w))}" for w in study.plan.varied if w != "seed")
        seeds = f"; mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""
        unit = unit_of(goal.figure.rpartition(".")[2], {})
        error = best.get(f"{goal.figure}_error")
        name = f"best {title_of(goal.figure)}"
        shown_.append(Headline(name, best[goal.figure], unit, error, f"{told or 'the one combination'}{seeds}"))
        for other in ("distortion", "rate", "reconstruction.psnr"):
            if best.get(other) is not None and other != goal.figure:
                unit = "dB" if other.endswith("psnr") else unit_of(other, {})
                shown_.append(Headline(f"its {title_of(other)}", best[other], unit, best.get(f"{other}_error")))
    seconds = sum(row["train_seconds"] or 0.0 for row in rows)
    shown_.append(Headline("training", round(seconds, 1), "s", note="of all members together, in training steps"))
    return shown_


def _best(look: Look, goal: Goal | None) -> Section | None:
    """The best combinations, in order."""
    if goal is None or not look.means:
        return None
    order = ranked(look.means, goal)[:10]
    kept = [name for name in dict.fromkeys((goal.figure, *WATCHED)) if any(row.get(name) is not None for row in order)]
    columns = ["", *(name_of(word) for word in look.varied), *(title_of(name) for name in kept), "seeds"]
    cells = [
        [rank, *(cell(row.get(word)) for word in look.varied), *(value_of(row, name) for name in kept), row["seeds"]]
        for rank, row in enumerate(order, 1)
    ]
    way = "least" if goal.less else "largest"
    split = next((split for row in order if (split := _split(look, row))), "held-out")
    text = f"By {title_of(goal.figure)}, {way} first; figures of the {split} rows."
    over = (
        "± is one standard error over seeds."
        if look.study.plan.seeds > 1
        else "± is the figure's own standard error: with one seed nothing is known of others."
    )
    if look.study.plan.search or look.study.plan.split == "validation":
        over += " The best was chosen by these rows: measure it on the test rows before it is quoted."
    goals = look.study.plan.goals
    if len(goals) > 1:
        both = names([f"{'small' if one.less else 'large'} {title_of(one.figure)}" for one in goals])
        over += f" The search was for {both} together: the best of one is seldom that of the other."
    return Section("Best", [text, over], tables=[Table(columns, cells)])


def _split(look: Look, row: Row) -> str:
    run = look.run(row["run"])
    return look.study.plan.measured_split or (run.held_out() if run else "")


def _table(look: Look) -> Section | None:
    """Every member."""
    rows = look.rows
    if not rows:
        return None
    words = list(look.study.plan.varied)
    kept = [name for name in WATCHED if any(row.get(name) is not None for row in rows)]
    columns = [*(name_of(word) for word in words), "status", *(title_of(name) for name in kept), "seconds", "run"]
    cells = [
        [
            *(cell(row.get(word)) for word in words),
            row["status"],
            *(value_of(row, name) for name in kept),
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
    cells = [[told_of(member), row["reason"]] for member, row in failed[:MOST_ROWS]]
    text = "The rest went on without them; `zatlas study … --again` tries them once more."
    return Section("Failed", text, tables=[Table(["member", "why"], cells)])


def told_of(member: Member) -> str:
    return ", ".join(f"{name_of(word)} {shown(value)}" for word, value in member.words.items())
