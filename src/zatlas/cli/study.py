"""The command that trains and compares many models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.cli import completing
from zatlas.cli.commands import MAKE, command
from zatlas.cli.train import Json
from zatlas.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from zatlas.studies.plan import Plan
    from zatlas.studies.study import Study

VARIES, HOW, FIXED = "What varies", "How", "What is the same in all members"
GRID = typer.Option(
    help="Values of any key: latent_dim=2,10,25; repeat it, all combinations are trained.",
    metavar="KEY=V,V,…",
    rich_help_panel=VARIES,
)
DRAW = typer.Option(
    help="A range, learning_rate=1e-4..1e-2:log, or choices, network=mlp|conv; repeat it.",
    metavar="KEY=RANGE",
    rich_help_panel=VARIES,
)


def _option(panel: str, text: str, *names: str, complete: completing.Complete | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, autocompletion=complete)


@command("study", panel=MAKE, order=2)
def study(
    source: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="A name or a path, as of train.", autocompletion=completing.complete_data),
    ] = None,
    plan: Annotated[
        str | None,
        _option(VARIES, "A TOML plan, or one that comes with zatlas: course-weights, course-latent-size."),
    ] = None,
    grid: Annotated[list[str] | None, GRID] = None,
    draw: Annotated[list[str] | None, DRAW] = None,
    trials: Annotated[int | None, _option(VARIES, "How many draws, or how many trials of a search.")] = None,
    seeds: Annotated[int | None, _option(VARIES, "How often each combination is trained. (default: 1)")] = None,
    search: Annotated[
        bool | None, _option(VARIES, "Let Optuna choose the values, in place of random draws.", "--search")
    ] = None,
    goal: Annotated[
        list[str] | None, _option(VARIES, "Of the search: elbo, rate:min, …; repeat it. (default: elbo)")
    ] = None,
    stop_early: Annotated[
        bool, _option(VARIES, "Stop hopeless members at rungs of their training.", "--stop-early")
    ] = False,
    metric: Annotated[
        list[str] | None, _option(HOW, "What is measured, as of evaluate; repeat it. (default: bound, reconstruction)")
    ] = None,
    split: Annotated[
        str | None, _option(HOW, "Rows that are measured. (default: test; of a search validation)")
    ] = None,
    best: Annotated[str | None, _option(HOW, "The figure that ranks the members: elbo, rate:min, ….")] = None,
    workers: Annotated[int | None, _option(HOW, "Processes; 0: this one. (default: by cores and memory)")] = None,
    stack: Annotated[
        bool | None, _option(HOW, "Train members alike in shape as one. (default: on a GPU)", "--stack/--no-stack")
    ] = None,
    on: Annotated[
        str | None, _option(HOW, "ray: on the cluster of RAY_ADDRESS, or one on this machine. (default: processes)")
    ] = None,
    hang: Annotated[
        float, typer.Option(help="Seconds without a sign of life after which a worker is ended.", rich_help_panel=HOW)
    ] = 600.0,
    out: Annotated[
        Path | None, _option(HOW, "Study folder. (default: one under runs/ named after what varies)", "--out", "-o")
    ] = None,
    resume: Annotated[Path | None, _option(HOW, "Go on with this study by the plan in it.")] = None,
    again: Annotated[bool, _option(HOW, "Try members that failed once more.", "--again")] = False,
    no_report: Annotated[bool, _option(HOW, "Make no page.", "--no-report")] = False,
    model: Annotated[str | None, _option(FIXED, "As of train.", complete=completing.complete_model)] = None,
    latent_dim: Annotated[int | None, _option(FIXED, "Number of latent units.", "--latent-dim", "-z")] = None,
    objective: Annotated[str | None, _option(FIXED, "As of train.", complete=completing.complete_objective)] = None,
    beta: Annotated[float | None, _option(FIXED, "Weight of the rate.")] = None,
    network: Annotated[str | None, _option(FIXED, "As of train.", complete=completing.complete_network)] = None,
    scale: Annotated[str | None, _option(FIXED, "xs, s, m or l.", "--size")] = None,
    epochs: Annotated[int | None, _option(FIXED, "Passes over the training rows.")] = None,
    steps: Annotated[int | None, _option(FIXED, "Optimiser steps.")] = None,
    seconds: Annotated[float | None, _option(FIXED, "Seconds of training steps of each member.")] = None,
    preset: Annotated[
        str | None, _option(FIXED, "A named configuration of train.", complete=completing.complete_preset)
    ] = None,
    set_: Annotated[list[str] | None, _option(FIXED, "Any value: --set section.key=value; repeat it.", "--set")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=HOW)] = False,
    json: Json = False,
) -> None:
    """Train and compare many models of DATA: a grid, draws or a search, with seeds; one folder, one table, one page.

    zatlas study mnist --grid latent_dim=2,10,25,50 --grid beta=1,5 --seeds 3  ·  zatlas study --plan course-weights

    A study that was stopped goes on where it was by the same command; a value added to a grid trains what is new.
    """
    from zatlas.console import say
    from zatlas.studies.running import run_study
    from zatlas.studies.start import folder_for

    given: dict[str, Any] = {
        "model": model, "latent_dim": latent_dim, "objective": objective, "beta": beta, "network": network,
        "size": scale, "epochs": epochs, "steps": steps, "seconds": seconds,
    }  # fmt: skip
    asked: dict[str, Any] = {
        "source": source, "preset": preset, "trials": trials, "seeds": seeds, "search": search, "goals": goal,
        "metrics": metric, "split": split, "best": best, "set": set_, "halving": {} if stop_early else None,
    }  # fmt: skip
    words = {word: value for word, value in given.items() if value is not None}
    asked = {key: value for key, value in asked.items() if value is not None}
    if resume is not None:
        others = [*asked, *words, *(n for n, v in (("plan", plan), ("grid", grid), ("draw", draw), ("out", out)) if v)]
        if others:
            raise UsageError(
                f"--resume goes on with the plan of {resume}, so --{others[0].replace('_', '-')} cannot be given; "
                "to add to a study, repeat its command with more and the same --out."
            )
        made, folder = _planned(resume), resume
    else:
        made = plan_of(plan, asked, words, grid or (), draw or ())
        folder = out or folder_for(made)
    tell = (lambda sentence: None) if quiet else say
    if not hang > 0:
        raise UsageError(f"--hang wants seconds, more than 0, and {hang:g} is given.")
    done = run_study(
        made,
        folder,
        workers=workers,
        stack=stack,
        again=again,
        report=not no_report,
        hang_seconds=hang,
        on=on,
        say=tell,
    )
    _conclude(done, json, quiet, report=not no_report)


def plan_of(plan: str | None, asked: dict[str, Any], words: dict[str, Any], grid: Any, draw: Any) -> Plan:
    """The plan that the words of the command line say.

    Raises:
        UsageError: an unknown key, an empty grid, a value of the wrong kind.
    """
    from zatlas.config.words import LIMITS
    from zatlas.studies.plan import from_record, plan_record
    from zatlas.studies.spaces import read_draw, read_grid

    record = plan_record(plan) if plan is not None else {}
    kept = {
        word: v for word, v in record.get("words", {}).items() if word not in LIMITS or not {*LIMITS} & words.keys()
    }
    record |= {**asked, "words": {**kept, **words}}
    gridded: dict[str, Any] = {}
    for text in grid:
        word, values = read_grid(text)
        if word in gridded:
            raise UsageError(f"--grid {word} is given twice: put all its values into one.")
        gridded[word] = list(values)
    drawn = {}
    for text in draw:
        word, _ = read_draw(text)
        drawn[word] = text.partition("=")[2].strip()
    record["grid"] = {**record.get("grid", {}), **gridded}
    record["draw"] = {**record.get("draw", {}), **drawn}
    return from_record(record, plan or "the options")


def _planned(folder: Path) -> Plan:
    from zatlas.runs.remote import here
    from zatlas.studies.folder import StudyFolder

    return StudyFolder(here(folder)).plan()


def _conclude(done: Study, json: bool, quiet: bool, *, report: bool) -> None:
    from zatlas.cli.console import print_json
    from zatlas.console import console, say

    best, goal = done.best(), done.goal
    counts = done.record.get("counts", {})
    failed = done.failed
    if json:
        print_json(
            {
                "study": str(done.path),
                **counts,
                "best": best,
                "by": goal and goal.written(),
                "failures": failed,
                "table": str(done.path / "table.csv"),
                "report": str(done.report) if report else None,
            }
        )
    if not quiet:
        if best and goal:
            console.print(_table(done))
        for member, reason in failed.items():
            say(f"Failed: {member}: {reason}")
        say(f"Table: {done.path / 'table.csv'}" + (f"\nReport: {done.report}" if report else ""))
    if failed and not counts.get("finished"):
        raise typer.Exit(1)


def _table(done: Study) -> Table:
    from rich.table import Table

    from zatlas.measure.numbers import plain, with_error
    from zatlas.studies.members import shown
    from zatlas.studies.table import ranked

    goal = done.goal
    assert goal is not None
    varied = [word for word in done.plan.varied if word != "seed"]
    rows = ranked(done.table(seeds=False), goal)[:10]
    figures = [n for n in dict.fromkeys((goal.figure, "distortion", "rate")) if any(r.get(n) is not None for r in rows)]
    title = f"Best by {goal.figure}, {'least' if goal.less else 'largest'} first"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (*varied, *figures):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        told = []
        for name in figures:
            value, error = row.get(name), row.get(f"{name}_error")
            told.append("–" if value is None else " ± ".join(with_error(value, error)) if error else plain(value))
        table.add_row(*(shown(row.get(word)) for word in varied), *told)
    return table
