"""zatlas data list | info | fetch | cache."""

from __future__ import annotations

from typing import Annotated

import typer

from zatlas.cli.commands import LEARN, command
from zatlas.cli.train import Json

app = command("data", panel=LEARN, order=1)(
    typer.Typer(help="What data there are, and facts about some.", no_args_is_help=True)
)


@app.command("list")
def list_(json: Json = False) -> None:
    """Every name that can stand for DATA, and where it is."""
    from rich.table import Table

    from zatlas.cli.console import print_json
    from zatlas.console import console
    from zatlas.data import catalog

    records = catalog()
    if json:
        print_json({"data": records})
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("name", "where", "about"):
        table.add_column(column, no_wrap=column != "about")
    for record in records:
        table.add_row(record["name"], record["where"], record["about"])
    console.print(table)


@app.command()
def info(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A name or a path.")],
    labels: Annotated[str | None, typer.Option(help="Key, column or file of the labels.")] = None,
    label_level: Annotated[str | None, typer.Option(help="Which folder is the label: 1, 2, … or path.")] = None,
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="Leave out what cannot be read.")] = False,
    resize: Annotated[str | None, typer.Option(help="Pixels: 64 (square) or 64x48.")] = None,
    crop: Annotated[str | None, typer.Option(help="Pixels: 64 or 64x48.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 grey, 3 RGB.")] = None,
    json: Json = False,
) -> None:
    """Size, shape, values, labels with their counts, factors, fingerprint."""
    from rich.table import Table

    from zatlas.cli.console import print_json
    from zatlas.cli.train import level, sizes
    from zatlas.console import console
    from zatlas.data import describe, open_source
    from zatlas.trust import trusting

    with trusting():  # a source that is named by its place is asked for
        opened = open_source(
            source,
            labels=labels,
            channels=channels,
            label_level=level(label_level) or 1,
            skip_damaged=skip_damaged,
            **sizes(resize, crop),
        )
    facts = describe(opened)
    if json:
        print_json(facts)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    about = dict(facts.pop("about"))
    left_out = about.pop("left_out", {})
    for name, value in {**facts, "about": about, **({"left_out": left_out} if left_out else {})}.items():
        table.add_row(name.replace("_", " "), _plain(value))
    console.print(table)


def _plain(value: object) -> str:
    match value:
        case dict():
            shown = [f"{key}: {_plain(inner)}" for key, inner in list(value.items())[:24]]
            return "\n".join([*shown, *([f"… {len(value) - 24} more"] if len(value) > 24 else [])])
        case list() | tuple():
            return " × ".join(map(str, value)) if all(isinstance(v, int) for v in value) else ", ".join(map(str, value))
        case float():
            return f"{value:.4g}"
        case None:
            return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name that `zatlas data list` says is to fetch.")], json: Json = False
) -> None:
    """Fetch a published data set into $ZATLAS_DATA, checksums verified."""
    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.data import fetch as get

    folder = get(name)
    if json:
        print_json({"name": name, "folder": str(folder)})
    else:
        say(f"{name} is in {folder}")


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it.")] = False, json: Json = False
) -> None:
    """Decoded images that are kept so that they are decoded once: whose, how large, when last used.

    They lie in $ZATLAS_CACHE (default: the user's cache folder) and take at most $ZATLAS_CACHE_GB gigabytes (default:
    34); the least recently used go first. Removing them costs nothing but decoding them again.
    """
    from datetime import datetime

    from rich.table import Table

    from zatlas.cli.console import print_json
    from zatlas.console import console, say
    from zatlas.decoding.kept import Kept
    from zatlas.files import in_bytes

    kept = Kept()
    freed = kept.clear() if clear else None
    entries = kept.entries()
    folder = "" if kept.folder is None else str(kept.folder)
    if json:
        shown = [{**entry._asdict(), "shape": list(entry.shape)} for entry in entries]
        facts = {"folder": folder, "limit_bytes": kept.limit, "bytes": kept.nbytes(), "entries": shown}
        print_json({**facts, **({} if freed is None else {"freed_bytes": freed})})
        return
    if freed is not None:
        say(f"{in_bytes(freed)} of decoded images were removed from {folder}.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column, justify in (("images", "right"), ("shape", "left"), ("size", "right"), ("last used", "left")):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("of", overflow="fold")
    for entry in entries:
        used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        pixels = " × ".join(map(str, entry.shape[1:]))
        table.add_row(f"{entry.shape[0]:,}", pixels, in_bytes(entry.nbytes), used, entry.root)
    if entries:
        console.print(table)
    say(f"{in_bytes(kept.nbytes())} of at most {in_bytes(kept.limit)}, in {folder or 'no folder: there is no home'}.")
