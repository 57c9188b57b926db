"""Commands about what a code knows, and images changed by it: direction centroid | attribute | apply | list, relabel,
transfer."""

from __future__ import annotations

from typing import Annotated

import typer

from zatlas.cli.commands import EDIT, command
from zatlas.cli.showing import Out, Seed, opened, show_run, whole_numbers
from zatlas.cli.train import DataPath, Device, Json, RunPath
from zatlas.errors import UsageError

app = command("direction", panel=EDIT, order=2)(
    typer.Typer(
        help="Centroids of classes and directions of attributes: find, save and apply them.", no_args_is_help=True
    )
)

GROUP = "classes as 3,8; a factor or a label as shape=heart, scale>=3; or rows:12,15 or rows:FILE"
Strengths = Annotated[
    str, typer.Option(help="How far, as -2,-1,0,1,2: 1 is from one group's mean to the other's along the direction.")
]
RowList = Annotated[str | None, typer.Option("--rows", help="Rows of the data, as 4,17. (default: held-out ones)")]
STRENGTHS = "-2,-1.5,-1,-0.5,0,0.5,1,1.5,2"


@app.command()
def centroid(
    folder: RunPath,
    label: Annotated[str | None, typer.Option(help=f"One group: {GROUP}. (default: every class)")] = None,
    n: Annotated[int | None, typer.Option("-n", "--number", min=1, help="Samples. (default: 16, or 8 a class)")] = None,
    spread: Annotated[
        str | None,
        typer.Option(
            help="Of the samples: posterior, that of one code; or class, that of all its codes. (default: both)"
        ),
    ] = None,
    seed: Seed = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The mean code of a class decoded, its archetype, beside new samples as spread as one code and as the class."""
    from zatlas.walks.centroids import centroid

    run = opened(folder, device, data)
    view = centroid(run, label, n=n, spread=spread, seed=seed)  # type: ignore[arg-type]
    show_run(run, out, "centroid", json, view)


@app.command()
def attribute(
    folder: RunPath,
    with_: Annotated[
        str, typer.Option("--with", help=f"Examples that have it: {GROUP}; or a real label's name.", show_default=False)
    ],
    without: Annotated[str | None, typer.Option(help="Examples that do not. (default: all others)")] = None,
    method: Annotated[
        str | None, typer.Option(help="centroid, logistic or cca. (default: logistic; cca for a real attribute)")
    ] = None,
    orthogonal_to: Annotated[
        list[str] | None, typer.Option(help="A saved direction that it is made orthogonal to; repeat it.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="It is saved under. (default: made from the groups)")] = None,
    strengths: Strengths = STRENGTHS,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Images shown.")] = 8,
    seed: Seed = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Find the direction along which an attribute grows, save it with the run, and show what it does."""
    from zatlas.walks.directions import attribute

    steps = _numbers(strengths)
    run = opened(folder, device, data)
    view = attribute(
        run,
        with_,
        without,
        method=method,
        orthogonal_to=orthogonal_to or (),
        name=name,
        strengths=steps,
        n=n,
        seed=seed,
    )
    show_run(run, out, f"direction-{view.facts['name']}", json, view)


@app.command()
def apply(
    folder: RunPath,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A saved direction.", show_default=False)],
    rows: RowList = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Images, where no rows are named.")] = 8,
    strengths: Strengths = STRENGTHS,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Move images along a saved direction; --out NAME.gif shows them moving."""
    from zatlas.walks.directions import apply

    steps = _numbers(strengths)
    run = opened(folder, device, data)
    view = apply(run, name, rows=whole_numbers(rows, "--rows"), n=n, strengths=steps)
    show_run(run, out, f"apply-{name}", json, view)


@app.command("list")
def list_(folder: RunPath, json: Json = False) -> None:
    """The directions saved with a run."""
    from rich.table import Table

    from zatlas.cli.console import print_json
    from zatlas.console import console, say
    from zatlas.latent.directions import with_error
    from zatlas.runs.folder import RunFolder
    from zatlas.walks.directions import saved

    found = saved(RunFolder(folder).path)
    if json:
        print_json({"run": str(folder), "directions": [direction.to_json() for direction in found]})
        return
    if not found:
        say(f"{folder} has no directions yet: zatlas direction attribute {folder} --with … makes one.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head, justify in (
        ("name", "left"), ("with", "left"), ("without", "left"), ("method", "left"), ("held out", "left"),
        ("d'", "right"), ("angle", "right"), ("95%", "right"),
    ):  # fmt: skip
        table.add_column(head, justify=justify, no_wrap=head not in ("with", "without"))  # type: ignore[arg-type]
    for direction in found:
        f = direction.facts
        table.add_row(
            direction.name,
            f.get("with") or "",
            f.get("without") or "–",
            direction.method,
            with_error(f["accuracy"]) if "accuracy" in f else f"r {with_error(f['correlation'])}",
            f"{f['effect']:.1f}" if "effect" in f else "–",
            f"{f['angle_degrees']:.1f}°",
            f"{f['angle_degrees_95']:.1f}°",
        )
    console.print(table)


@command("relabel", panel=EDIT, order=3)
def relabel(
    folder: RunPath,
    rows: RowList = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Images, where no rows are named.")] = 10,
    to: Annotated[str | None, typer.Option(help="Classes as 3,8, or values of a real label. (default: all)")] = None,
    column: Annotated[str | None, typer.Option(help="The real label that is changed. (default: the first)")] = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Images with every other label, their style kept; without a conditional model by arithmetic on codes."""
    from zatlas.walks.attributes import listed
    from zatlas.walks.relabel import relabel

    run = opened(folder, device, data)
    wanted = None if to is None else listed(to, run.spec.labels)
    view = relabel(run, rows=whole_numbers(rows, "--rows"), n=n, to=wanted, label=column)
    show_run(run, out, "relabel", json, view)


@command("transfer", panel=EDIT, order=4)
def transfer(
    folder: RunPath,
    content: Annotated[
        str | None, typer.Option(help="Rows whose content is taken, as 4,17. (default: one of each class)")
    ] = None,
    style: Annotated[str | None, typer.Option(help="Rows whose style is taken. (default: the same)")] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="Images, where no rows are named.")] = 8,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The content of each image, its label, in the style of every other."""
    from zatlas.walks.relabel import transfer

    run = opened(folder, device, data)
    left, above = whole_numbers(content, "--content"), whole_numbers(style, "--style")
    show_run(run, out, "transfer", json, transfer(run, content=left, style=above, n=n))


def _numbers(text: str) -> tuple[float, ...]:
    """``-2,0,2`` as numbers.

    Raises:
        UsageError: they are none.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--strengths wants numbers such as -2,-1,0,1,2, and {text!r} is not that.") from None
