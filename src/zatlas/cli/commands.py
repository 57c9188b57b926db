"""Commands, each declared where it is defined: its name, its heading in the help, and its place below it.

A file of this room that declares a command is found because it lies here. All files of the room are imported for
``zatlas --help`` and when Tab is pressed, so that none of them imports torch, numpy or rich before it is called.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

# The headings of the help, in their order.
MAKE, MEASURE, EXAMPLES = "Make", "Measure", "Codes and images"
WALK, EDIT, TAKE, LEARN = "Walk the latent space", "Know and edit", "Take it anywhere", "Data, machine, lessons"
PANELS = (MAKE, MEASURE, EXAMPLES, WALK, EDIT, TAKE, LEARN)

Declared = TypeVar("Declared")


class Command(NamedTuple):
    """A declaration.

    Attributes:
        name: what a person types.
        panel: its heading in the help.
        order: its place below that heading.
        target: the function, or a ``typer.Typer`` with commands of its own.
    """

    name: str
    panel: str
    order: int
    target: Any


_DECLARED: list[Command] = []


def command(name: str, *, panel: str, order: int = 100) -> Callable[[Declared], Declared]:
    """Declares the function below, or a ``typer.Typer``, as a command; it is given back as it is."""

    def declare(target: Declared) -> Declared:
        _DECLARED.append(Command(name, panel, order, target))
        return target

    return declare


def commands(room: str = "zatlas.cli") -> dict[str, dict[str, Any]]:
    """All commands of the room's files by heading and name, in the order in which people meet them."""
    for module in pkgutil.iter_modules(import_module(room).__path__):
        if module.name != "app":  # which asks
            import_module(f"{room}.{module.name}")
    place = lambda panel: PANELS.index(panel) if panel in PANELS else len(PANELS)
    found: dict[str, dict[str, Any]] = {}
    for one in sorted(_DECLARED, key=lambda one: (place(one.panel), one.panel, one.order, one.name)):
        found.setdefault(one.panel, {})[one.name] = one.target
    return found
