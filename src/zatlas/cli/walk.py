"""Commands through the latent space of a run: manifold, traverse, interpolate, scatter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zatlas.cli.commands import WALK, command
from zatlas.cli.showing import Out, Seed, UnitAt, from_one, moves, opened, read_codes, show_run, whole_numbers
from zatlas.cli.train import DataPath, Device, Json, RunPath, Split
from zatlas.errors import UsageError

FRAMES = 33  # steps of an animation where nothing else is said


@command("manifold", panel=WALK, order=2)
def manifold(
    folder: RunPath,
    n: Annotated[
        int | None, typer.Option("-n", "--number", min=2, help="Points a side. (default: 20, or fewer)")
    ] = None,
    span: Annotated[float | None, typer.Option(min=0.0, help="The grid covers [-span, span]. (default: 2)")] = None,
    spacing: Annotated[str, typer.Option(help="even, or quantile: the standard normal's quantiles.")] = "even",
    units: Annotated[str | None, typer.Option(help="Two units, as 1,2. (default: the two of highest rate)")] = None,
    unit: UnitAt = None,
    through: Annotated[
        str | None, typer.Option(help="Three rows of the data, as 12,40,77: the plane through them.")
    ] = None,
    principal: Annotated[
        bool, typer.Option("--principal", help="The two directions in which codes vary most.")
    ] = False,
    label: Annotated[str | None, typer.Option(help="Class of a conditional model. (default: a plane for each)")] = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """A plane through the latent space, decoded on a grid: of two units, through three images, or the widest."""
    from zatlas import walks

    run = opened(folder, device, data)
    if spacing not in ("even", "quantile"):
        raise UsageError(f"--spacing is even or quantile, not {spacing!r}.")
    view = walks.manifold(
        run,
        n=n,
        span=span,
        spacing=spacing,  # type: ignore[arg-type]
        units=from_one(run, units, unit, 2),
        through=whole_numbers(through, "--through", 3),  # type: ignore[arg-type]
        principal=principal,
        label=label,
    )
    show_run(run, out, "manifold", json, view)


@command("traverse", panel=WALK, order=3)
def traverse(
    folder: RunPath,
    steps: Annotated[int | None, typer.Option(min=2, help="Images a row. (default: 11, or 33 that move)")] = None,
    span: Annotated[float, typer.Option(min=0.0, help="Each unit moves over [-span, span].")] = 2.5,
    units: Annotated[str | None, typer.Option(help="Units, as 1,4,7. (default: the ten of highest rate)")] = None,
    unit: UnitAt = None,
    row: Annotated[int | None, typer.Option(help="Around this row of the data instead of the prior's mean.")] = None,
    label: Annotated[
        str | None, typer.Option(help="Class of a conditional model. (default: the row's, or the first)")
    ] = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Each latent unit moved by itself, units ordered by their rate; as .gif or .webp all of them move at once."""
    from zatlas import walks

    run = opened(folder, device, data)
    chosen = from_one(run, units, unit)
    steps = steps or (FRAMES if moves(out) else 11)
    view = walks.traverse(run, units=chosen, steps=steps, span=span, row=row, label=label)
    show_run(run, out, "traverse", json, view)


@command("interpolate", panel=WALK, order=4)
def interpolate(
    folder: RunPath,
    rows: Annotated[str | None, typer.Option(help="Rows of the data, as 3,17,40. (default: two draws)")] = None,
    codes: Annotated[
        Path | None, typer.Option(help="In their place .npy [N, D], or .npz with z or mean (and y).")
    ] = None,
    path: Annotated[
        str, typer.Option(help="linear, spherical, density (where codes of the data are dense), or all.")
    ] = "linear",
    n: Annotated[
        int | None,
        typer.Option("-n", "--number", min=2, help="Images from one to the next. (default: 9, or 33 that move)"),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Class of a conditional model. (default: that of the first)")
    ] = None,
    seed: Seed = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """From image to image, from code to code, or between two draws; as .gif or .webp it moves."""
    from zatlas import walks

    run = opened(folder, device, data)
    z, y = (None, None) if codes is None else read_codes(codes, run)
    view = walks.interpolate(
        run,
        rows=whole_numbers(rows, "--rows"),
        codes=z,
        y=y,
        path=path,  # type: ignore[arg-type]
        n=n or (FRAMES if moves(out) else 9),
        label=label,
        seed=seed,
    )
    show_run(run, out, "interpolate", json, view)


@command("scatter", panel=WALK, order=5)
def scatter(
    folder: RunPath,
    by: Annotated[str | None, typer.Option(help="label, a known factor, or none. (default: the label, if any)")] = None,
    projection: Annotated[str, typer.Option(help="auto (two units as they are, more by pca), pca or umap.")] = "auto",
    units: Annotated[str | None, typer.Option(help="Two units as they are, as 1,2.")] = None,
    unit: UnitAt = None,
    ellipses: Annotated[
        bool, typer.Option("--ellipses", help="Posteriors as ellipses of one standard deviation.")
    ] = False,
    split: Split = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="At most so many codes.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Of UMAP.")] = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Where the examples lie in the latent space, coloured by label or by a factor."""
    from zatlas import walks

    run = opened(folder, device, data)
    view = walks.scatter(
        run,
        by=by,
        projection=projection,  # type: ignore[arg-type]
        units=from_one(run, units, unit, 2),
        ellipses=ellipses,
        split=split,
        n=n,
        seed=seed,
    )
    show_run(run, out, "scatter", json, view)
