"""`zatlas explore`: a latent space in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zatlas.cli.commands import WALK, command
from zatlas.cli.train import DataPath, Device


@command("explore", panel=WALK, order=1)
def explore(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN [RUN]", help="A run folder, or two side by side.")],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="(default: any that is free)")] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
    data: DataPath = None,
    device: Device = None,
) -> None:
    """Explore a run in the browser: its map, its units, images of your own, paths and directions between them.

    A page for this machine alone, until Ctrl-C. A run that is still being trained is followed.
    """
    from zatlas.console import say
    from zatlas.explorer.launch import explore as serve

    serve(folders, port=port, browser=browser, device=device or "auto", data=data, say=say)
