"""The command that lists and deletes runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zatlas.cli.commands import MEASURE, command
from zatlas.cli.completing import complete_run, complete_run_filter, complete_run_key
from zatlas.cli.train import Json

if TYPE_CHECKING:
    from rich.table import Table

    from zatlas.runs.listing import RunEntry

HOME = Path("runs")


@command("runs", panel=MEASURE, order=1)
def runs(
    folder: Annotated[
        Path, typer.Argument(help="Looked through, and what is below it.", metavar="[FOLDER]", show_default=False)
    ] = HOME,
    sort: Annotated[
        str, typer.Option(help="name, status, model, loss, seconds, bytes, …", autocompletion=complete_run_key)
    ] = "created",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")] = False,
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="As model=vae, status=stopped or name=mnist-*; repeat it.",
            metavar="KEY=VALUE",
            autocompletion=complete_run_filter,
        ),
    ] = None,
    delete: Annotated[
        list[Path] | None,
        typer.Option(help="Delete this run, after a question; repeat it.", metavar="RUN", autocompletion=complete_run),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without a question.")] = False,
    json: Json = False,
) -> None:
    """List the runs of a folder, with loss, time and disk use; or delete some.

    zatlas runs  ·  zatlas runs --sort loss --filter model=vae  ·  zatlas runs --delete runs/digits-vae-z2-001
    """
    from dataclasses import asdict

    from zatlas.cli.console import print_json
    from zatlas.console import console, say
    from zatlas.runs.listing import list_runs

    if delete:
        _delete(delete, yes, json)
        return
    none_yet = folder == HOME and not folder.is_dir()
    entries = [] if none_yet else list_runs(folder, sort=sort, reverse=reverse, wanted=filter_ or ())
    if json:
        print_json({"folder": str(folder), "runs": [asdict(entry) for entry in entries]})
        return
    if not entries:
        say(f"There are no {'such ' if filter_ else ''}runs in {folder}; `zatlas train digits` makes one.")
        return
    console.print(_table(entries))
    count = "1 run" if len(entries) == 1 else f"{len(entries)} runs"
    say(f"{count}, {_size(sum(entry.bytes for entry in entries))} on disk. Losses: nats per example.")
    if any(entry.split not in (None, "test") for entry in entries):
        say("* on validation or training rows, as there are no test rows.")
    for entry in entries:
        if entry.why:
            say(f"{entry.name} is {entry.status}: {entry.why}")


def _delete(folders: list[Path], yes: bool, json: bool) -> None:
    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.runs.listing import check_removable, remove_run

    entries = check_removable(folders)
    for entry in entries:
        say(f"{entry.folder}  {entry.status}, {entry.model or 'unknown model'}, {_size(entry.bytes)}")
    if not yes and not typer.confirm(
        "Delete this for good?" if len(entries) == 1 else "Delete these for good?", err=True
    ):
        say("Nothing was deleted.")
        raise typer.Exit(1)
    for folder in folders:
        remove_run(folder)
    freed = sum(entry.bytes for entry in entries)
    if json:
        print_json({"deleted": [entry.folder for entry in entries], "bytes": freed})
    else:
        say(f"Deleted; {_size(freed)} are free again.")


def _table(entries: list[RunEntry]) -> Table:
    from rich.table import Table

    from zatlas.console import clock

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, right in (
        ("run", False), ("model", False), ("data", False), ("z", True), ("status", False), ("epochs", True),
        ("loss", True), ("time", True), ("disk", True), ("made", True),
    ):  # fmt: skip
        table.add_column(
            name, justify="right" if right else "left", no_wrap=name not in ("run", "data"), overflow="fold"
        )
    for e in entries:
        split = "" if e.split in (None, "test") else "*"
        table.add_row(
            e.name,
            e.model or "–",
            Path(e.data or "–").name + (f" {e.data_kind}" if e.loss is not None else ""),
            "–" if e.latent_dim is None else str(e.latent_dim),
            e.status,
            "–" if e.epochs is None else f"{e.epochs:.3g}",
            "–" if e.loss is None else f"{e.loss:.2f}{split}",
            "–" if e.seconds is None else clock(e.seconds),
            _size(e.bytes),
            (e.created or "–")[:10],
        )
    return table


def _size(count: int) -> str:
    """``812 B``, ``4.3 MB``: decimal, as disks are sold.

    >>> _size(812), _size(4_300_000), _size(31_000)
    ('812 B', '4.3 MB', '31 kB')
    """
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 10 else f"{value:.0f} {unit}"
