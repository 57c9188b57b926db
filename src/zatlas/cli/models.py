"""The command that says what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zatlas.config.kinds import Kind


def models(json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False) -> None:
    """Say when to use which model, objective, prior, posterior, network and likelihood, and what goes together."""
    from rich.table import Table
    from rich.text import Text

    from zatlas.cli.console import print_json
    from zatlas.config import kinds
    from zatlas.console import console

    choices = {
        "model": ("--model", {name: kind.when for name, kind in kinds.MODELS.items()}),
        "objective": ("--objective", kinds.OBJECTIVES),
        "prior": ("--set model.prior=…", kinds.PRIORS),
        "posterior": ("--set model.posterior=…", kinds.POSTERIORS),
        "network": ("--network", kinds.NETWORKS),
        "likelihood": ("--likelihood", kinds.LIKELIHOODS),
    }
    if json:
        goes_with = {
            "objectives_of_model": {name: list(kind.objectives) for name, kind in kinds.MODELS.items()},
            "networks_of_model": {name: list(kind.networks or kinds.NETWORKS) for name, kind in kinds.MODELS.items()},
        }
        print_json({name: words for name, (_, words) in choices.items()} | goes_with)
        return
    for title, (option, words) in choices.items():
        table = Table(
            title=Text.assemble(title, (f"  {option}", "dim")), title_justify="left", box=None, show_header=False
        )
        table.add_column(style="bold", no_wrap=True, min_width=20)
        table.add_column()
        for name, when in words.items():
            goes = f"  ({_goes_with(kinds.MODELS[name])})" if title == "model" else ""
            table.add_row(name, Text.assemble(when, (goes, "dim")))
        console.print(table)
        console.print()


def _goes_with(kind: Kind) -> str:
    """Objectives, and networks where not all go."""
    networks = f"; network {', '.join(kind.networks)}" if kind.networks else ""
    return ", ".join(kind.objectives) + networks
