"""Commands through the latent space of a run: manifold, traverse."""

from __future__ import annotations

from typing import Annotated

import typer

from zatlas.cli.showing import Label, Out, from_one, opened, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath
from zatlas.errors import UsageError


def manifold(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=2, help="Points a side.")] = 20,
    span: Annotated[float, typer.Option(min=0.0, help="The grid covers [-span, span].")] = 2.0,
    spacing: Annotated[str, typer.Option(help="even, or quantile: the standard normal's quantiles.")] = "even",
    units: Annotated[str | None, typer.Option(help="Two units, as 1,2. (default: the two of highest rate)")] = None,
    label: Label = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The plane of two latent units, decoded on a grid."""
    from zatlas import walks

    experiment = opened(run, device, data)
    if spacing not in ("even", "quantile"):
        raise UsageError(f"--spacing is even or quantile, not {spacing!r}.")
    pair = from_one(units, experiment.latent_dim, 2)
    view = walks.manifold(experiment, n=n, span=span, spacing=spacing, units=pair, label=label)  # type: ignore[arg-type]
    show_run(experiment, out, "manifold", json, view)


def traverse(
    run: RunPath,
    steps: Annotated[int, typer.Option(min=2, help="Images a row.")] = 11,
    span: Annotated[float, typer.Option(min=0.0, help="Each unit moves over [-span, span].")] = 2.5,
    units: Annotated[str | None, typer.Option(help="Units, as 1,4,7. (default: the ten of highest rate)")] = None,
    row: Annotated[int | None, typer.Option(help="Around this row of the data instead of the prior's mean.")] = None,
    label: Label = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Each latent unit moved by itself, units ordered by their rate."""
    from zatlas import walks

    experiment = opened(run, device, data)
    chosen = from_one(units, experiment.latent_dim)
    view = walks.traverse(experiment, units=chosen, steps=steps, span=span, row=row, label=label)
    show_run(experiment, out, "traverse", json, view)
