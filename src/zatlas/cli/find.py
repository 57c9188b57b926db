"""Commands that find images: similar, outliers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zatlas.cli.commands import EXAMPLES, command
from zatlas.cli.showing import Out, Seed, opened, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath

SplitAll = Annotated[str, typer.Option(help="train, validation, test or all.")]


@command("similar", panel=EXAMPLES, order=5)
def similar(
    folder: RunPath,
    row: Annotated[int | None, typer.Option(help="Of the data: the image that others are compared with.")] = None,
    image: Annotated[
        Path | None, typer.Option(help="Or an image file, resized as the run's data were.", show_default=False)
    ] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many to find.")] = 16,
    split: SplitAll = "all",
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The images whose codes are nearest to that of one image: exact search, a picture and a table.

    zatlas similar RUN --row 12  ·  zatlas similar RUN --image new.jpg -n 8
    """
    from zatlas import walks
    from zatlas.console import counting

    run = opened(folder, device, data)
    path = None if image is None else str(image)
    with counting("encoding", len(run.rows(split))) as progress:
        view = walks.similar(run, row=row, image=path, n=n, split=split, progress=progress)
    if not json:
        _print(view.facts["nearest"])
    show_run(run, out, "similar", json, view)


@command("outliers", panel=EXAMPLES, order=6)
def outliers(
    folder: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many to show.")] = 24,
    score: Annotated[
        str | None, typer.Option(help="bound, typicality, ranks, background, complexity or states.")
    ] = None,
    split: SplitAll = "all",
    seed: Seed = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The images that the model explains worst, each above its reconstruction, and a table with their file names.

    Scores: bound, distortion + rate; typicality, how far that is from its median; ranks, how near rate and distortion
    are to either end; background, the bound less that of independent pixels (a likelihood ratio); complexity, the bound
    less the compressed length; states, how unusual distortion, rate and compressed length are together.
    """
    from zatlas import walks
    from zatlas.console import counting
    from zatlas.evaluation.outliers import DEFAULT

    run = opened(folder, device, data)
    with counting("judging", len(run.rows(split))) as progress:
        view = walks.outliers(run, n=n, score=score or DEFAULT, split=split, seed=seed, progress=progress)
    if not json:
        _print(view.facts["outliers"], without=("pixels", "compressed"))
    show_run(run, out, "outliers", json, view)


def _print(records: list[dict[str, Any]], without: tuple[str, ...] = ()) -> None:
    """Records as a table in the terminal, without some columns that --json and the .npz have."""
    from rich.table import Table

    from zatlas.console import console

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown = [{name: value for name, value in record.items() if name not in without} for record in records]
    for name, value in shown[0].items():
        table.add_column(name, justify="left" if isinstance(value, str) else "right", overflow="fold")
    for record in shown:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in record.values()))
    console.print(table)
