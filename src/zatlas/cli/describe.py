"""The command that says in words and pictures what the units of a code have learned."""

from __future__ import annotations

from typing import Annotated

import typer

from zatlas.cli.commands import EDIT, command
from zatlas.cli.showing import Out, Seed, UnitAt, from_one, opened, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath


@command("describe", panel=EDIT, order=1)
def describe(
    folder: RunPath,
    units: Annotated[str | None, typer.Option(help="Units, as 1,4,7. (default: all)")] = None,
    unit: UnitAt = None,
    base: Annotated[int, typer.Option(min=8, help="Codes of held-out rows (or of the prior) to start from.")] = 64,
    steps: Annotated[int, typer.Option(min=3, help="Values that each unit takes at each of them.")] = 7,
    seed: Seed = 0,
    label: Annotated[
        str | None, typer.Option(help="Class of a conditional model. (default: the rows' own, or every class in turn)")
    ] = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What each latent unit changes, where, and which property, factor or class goes with it; with errors."""
    from zatlas.console import counting
    from zatlas.walks.describe import describe as describe_units

    run = opened(folder, device, data)
    chosen = from_one(run, units, unit)
    with counting("units", len(chosen or range(run.code_shape[0]))) as progress:
        view = describe_units(run, units=chosen, bases=base, steps=steps, seed=seed, label=label, progress=progress)
    show_run(run, out, "describe", json, view)
