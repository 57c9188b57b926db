"""The command for walks of other packages: walk NAME RUN."""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any

import typer

from zatlas.cli.commands import WALK, command
from zatlas.cli.showing import Out, opened, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath
from zatlas.errors import UsageError, nearest


@command("walk", panel=WALK, order=6)
def walk(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A walk that a package declares, or package.module:function.")
    ],
    folder: RunPath,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A keyword of the walk: --set turns=3; repeat it.")
    ] = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Any walk through the latent space of a run, also one of your own: a function of a run that gives a View."""
    from zatlas.figures import View
    from zatlas.parts import SORTS
    from zatlas.trust import trusting

    with trusting():  # the walk that is named is asked for
        target = SORTS["walk"].get(name).target
    words = _keywords(target, name, set_ or [])
    run = opened(folder, device, data)
    view = target(run, **words)
    if not isinstance(view, View):
        raise UsageError(f"the walk {name} gives a {type(view).__name__} and no zatlas.figures.View.")
    show_run(run, out, re.sub(r"\W+", "-", name), json, view)


def _keywords(target: Any, name: str, assignments: list[str]) -> dict[str, Any]:
    import tomllib

    known = list(inspect.signature(target).parameters)[1:]
    words = {}
    for assignment in assignments:
        word, equals, text = assignment.partition("=")
        if not equals or word not in known:
            raise UsageError(f"the walk {name} has no keyword {word[:80]!r}; {nearest(word, known)}")
        try:
            words[word] = tomllib.loads(f"v = {text}")["v"]
        except ValueError:  # a word without quotes
            words[word] = text
    return words
