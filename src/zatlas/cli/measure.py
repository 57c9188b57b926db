"""Commands that tell about runs: evaluate, compare, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zatlas.cli.train import DataPath, Device, Json, RunPath, Split


def evaluate(
    run: RunPath,
    metric: Annotated[
        list[str] | None, typer.Option(help="What to measure; repeat it; all for every one. (default: the usual ones)")
    ] = None,
    split: Split = None,
    rows: Annotated[int | None, typer.Option(min=1, help="At most so many examples. (default: by metric)")] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Draws, temperatures or steps for each example. (default: by metric)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    data: DataPath = None,
    checkpoint: Annotated[str | None, typer.Option(help="last, best or step-00012345.")] = None,
    device: Device = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what can be measured, and stop.")] = False,
    json: Json = False,
) -> None:
    """Measure a run: bound, log p(x) by several estimators, disentanglement; each with error and estimator."""
    from zatlas.cli.console import console, counting, figures_table, print_json, say
    from zatlas.latent import unit_names
    from zatlas.measure import METRICS, Options, chosen, evaluate_run
    from zatlas.opened import Experiment

    chosen(metric)
    experiment = Experiment(run, device=device or "auto", checkpoint=checkpoint, data=data, say=say)
    if list_:
        for name, entry in METRICS.items():
            lacking = entry.lacks(experiment)
            say(f"{name:16} {entry.when}" + (f" (not here: {lacking})" if lacking else ""))
        return
    options = Options(rows=rows, samples=samples, seed=seed)
    record = evaluate_run(experiment, split, metrics=metric, options=options, counting=counting)
    if json:
        print_json(record)
        return
    title = (
        f"{run}  ·  step {record['step']:,}  ·  {record['split']} rows  ·  nats per example, {record['data_kind']} data"
    )
    console.print(figures_table(title, record["figures"]))
    if metric:
        for name, reason in record["left_out"].items():
            say(f"left out: {name}, since {reason}")
    if "unit_rates" in record:
        names = unit_names(experiment.model.latent_dims)
        rates = "  ".join(f"{name} {value:.2f}" for name, value in zip(names, record["unit_rates"], strict=True))
        say(f"rate per unit: {rates}")
    if "verdict" in record:
        say(record["verdict"])


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.", metavar="RUN RUN…", show_default=False)],
    split: Split = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Picture. (default: compare.png)")] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Set runs beside one another: a table, and a picture of rate against distortion."""
    from zatlas.cli.console import comparison_table, console, print_json, say
    from zatlas.figures import Place, rate_distortion, save
    from zatlas.files import replacing
    from zatlas.measure import compare_runs
    from zatlas.opened import Experiment

    rows = compare_runs([Experiment(run, device=device or "auto", say=say) for run in runs], split)
    value = lambda row, name: row["figures"][name]["value"]
    places = [
        Place(Path(row["run"]).name, value(row, "rate"), value(row, "distortion"))
        for row in rows
        if "rate" in row["figures"]
    ]
    picture = None
    if places:
        picture = (out or Path("compare.png")).with_suffix(".png")
        with replacing(picture) as beside:
            save(rate_distortion(places), beside, background="white")
    if json:
        print_json({"rows": rows, "picture": None if picture is None else str(picture)})
        return
    console.print(comparison_table(rows))
    if picture is not None:
        say(str(picture))


def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="HTML file. (default: RUN/report/index.html)")] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another run, to be compared by rate and distortion; repeat it."),
    ] = None,
    data: DataPath = None,
    checkpoint: Annotated[str | None, typer.Option(help="last, best or step-00012345.")] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Write one self-contained HTML page about a run: curves, reconstructions, samples, latent space, provenance."""
    from zatlas.cli.console import print_json, say
    from zatlas.opened import Experiment
    from zatlas.report import write_report

    experiment = Experiment(run, device=device or "auto", checkpoint=checkpoint, data=data, say=say)
    others = [Experiment(other, device=device or "auto", say=say) for other in beside or []]
    path = write_report(experiment, out, others)
    if json:
        print_json({"run": str(run), "report": str(path), "bytes": path.stat().st_size})
    else:
        say(f"Report: {path}")
