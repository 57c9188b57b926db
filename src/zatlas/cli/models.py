"""The command that says what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.cli.commands import MAKE, command

if TYPE_CHECKING:
    from rich.table import Table

    from zatlas.parts import Part

OPTIONS = {
    "model": "--model",
    "objective": "--objective",
    "prior": "--prior",
    "posterior": "--set posterior.kind=…",
    "network": "--network",
    "likelihood": "--likelihood",
    "metric": "zatlas evaluate --metric",
    "format": "zatlas train DATA",
}


@command("models", panel=MAKE, order=3)
def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One part, with its settings and source.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Say when to use which model, objective, prior, posterior, network, likelihood, metric or data, and what fits.

    zatlas models  ·  zatlas models infovae
    """
    from rich.text import Text

    from zatlas.cli.console import print_json
    from zatlas.console import console, say
    from zatlas.errors import UsageError, nearest
    from zatlas.latent import EX_POST
    from zatlas.parts import BROKEN, SORTS

    if name is not None:
        found = [part for sort in OPTIONS for part in SORTS[sort].parts() if part.name == name]
        if not found and name in EX_POST:
            if json:
                own = EX_POST[name]
                told = {"sort": "ex-post prior", "name": name, "when": own.when, "source": own.source}
                print_json({"parts": [told | {"options": list(own.options)}]})
            else:
                _show_ex_post(name)
            return
        if not found:
            known = [*(part for sort in OPTIONS for part in SORTS[sort].names()), *EX_POST]
            raise UsageError(f"there is no part {name!r}; {nearest(name, known)}")
        if json:
            print_json({"parts": [_described(part) for part in found]})
            return
        for part in found:
            _show(part)
        return
    sorts = {sort: [part for part in SORTS[sort].parts() if part.name != "auto"] for sort in OPTIONS}
    if json:
        kinds = sorts["model"]
        goes_with = {
            "objectives_of_model": {kind.name: list(kind.objectives) for kind in kinds},
            "networks_of_model": {kind.name: list(kind.networks) for kind in kinds},
            "settings": {sort: {part.name: _settings(part) for part in parts} for sort, parts in sorts.items()},
        }
        print_json({sort: {part.name: part.when for part in parts} for sort, parts in sorts.items()} | goes_with)
        return
    for sort, parts in sorts.items():
        table = _table(sort, OPTIONS[sort])
        for part in parts:
            goes = f"  ({_goes_with(part)})" if sort == "model" else ""
            foreign = f"  [{part.target.__module__}]" if part.is_foreign else ""
            table.add_row(part.name, Text.assemble(part.when, (goes + foreign, "dim")))
        console.print(table)
        console.print()
    table = _table("ex-post prior", "zatlas prior RUN --kind")
    for ex_post, about in EX_POST.items():
        table.add_row(ex_post, about.when)
    console.print(table)
    console.print()
    say("zatlas models NAME shows the settings of one; docs/extending.md says how to add your own.")
    for point, why in BROKEN.items():
        say(f"Not loaded, {point}: {why}")


def _table(sort: str, option: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text.assemble(sort, (f"  {option}", "dim")), title_justify="left", box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True, min_width=20)
    table.add_column()
    return table


def _show_ex_post(name: str) -> None:
    """A prior that is fitted after training, for people."""
    from rich.text import Text

    from zatlas.console import console
    from zatlas.latent import EX_POST

    kind = EX_POST[name]
    console.print(Text.assemble((name, "bold"), f"  ex-post prior (zatlas prior RUN --kind {name}): {kind.when}"))
    for line in filter(None, (kind.source and f"Source: {kind.source}.", kind.about)):
        console.print(Text(f"  {line}"))


def _goes_with(kind: Part) -> str:
    """Objectives, and networks where not all go."""
    few = kind.facts["network"] not in ("autoencoder", "linear")
    networks = f"; network {', '.join(kind.networks)}" if few else ""
    return ", ".join(kind.objectives) + networks


def _settings(part: Part) -> dict[str, dict[str, Any]]:
    fields = {key: field for key, field in part.settings.model_fields.items() if key != "kind"}
    return {
        key: {"default": None if field.is_required() else field.default, "about": field.description or ""}
        for key, field in fields.items()
    }


def _described(part: Part) -> dict[str, Any]:
    facts = {"sort": part.sort, "name": part.name, "when": part.when, "source": part.source, "title": part.title}
    return facts | {"role": part.role, "settings": _settings(part)}


def _show(part: Part) -> None:
    """One part for people."""
    from rich.table import Table
    from rich.text import Text

    from zatlas.console import console

    role = f" ({part.role})" if part.role else ""
    heading = Text.assemble((part.name, "bold"), f"  {part.sort}{role}: {part.title or part.when}")
    console.print(heading)
    for line in filter(None, (part.when if part.title else "", part.source and f"Source: {part.source}.")):
        console.print(Text(f"  {line}"))
    if part.sort == "model":
        console.print(Text(f"  Goes with {_goes_with(part)}."))
    table = Table(box=None, show_header=False, padding=(0, 2))
    for key, about in _settings(part).items():
        default = "" if about["default"] is None else f"{about['default']}"
        table.add_row(Text(f"{part.sort}.{key}", "cyan"), Text(default), Text(about["about"]))
    console.print(table)
