"""A command is declared where it is defined: its file lies in the room, and nothing else is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zatlas.cli.commands import PANELS, commands

NEW = '''
from typing import Annotated

import typer

from zatlas.cli.commands import EDIT, command
from zatlas.cli.train import Json, RunPath


@command("invert", panel=EDIT, order=2)
def invert(folder: RunPath, json: Json = False) -> None:
    """Turn every image of a run upside down."""
    from zatlas.cli.console import print_json

    print_json({"run": str(folder)})


group = command("kept", panel="Own heading")(typer.Typer(help="A command with commands."))


@group.command()
def shelf(n: Annotated[int, typer.Option(help="How many.")] = 2) -> None:
    """One of them."""
    print("shelf", n)
'''


END = "-- end --\n"
EACH = f"""
import sys
from zatlas.cli.app import main
for line in sys.argv[1:]:
    sys.argv = ["zatlas", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
    print(end={END!r}, flush=True)
"""


@pytest.fixture
def zatlas(tmp_path):
    """The command line with one file more in its room."""
    (tmp_path / "invert.py").write_text(NEW)
    code = f"import zatlas.cli; zatlas.cli.__path__.append({str(tmp_path)!r})\n{EACH}"

    def call(*lines):
        """What each command line prints, one after another in one process of their own."""
        environment = {**os.environ, "COLUMNS": "100"}
        words = [sys.executable, "-c", code, *lines]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(END)[:-1]

    return call


def test_a_file_in_the_room_is_a_command(zatlas):
    shown, inverted, about, shelf = zatlas("--help", "invert runs/mine --json", "invert --help", "kept shelf --n 3")
    know, own = shown.index("Know and edit"), shown.index("Own heading")
    assert know < shown.index("describe ") < shown.index("invert ") < shown.index("relabel ") < own
    assert "Turn every image of a run upside down." in shown
    assert own < shown.index("kept ")
    assert json.loads(inverted) == {"run": "runs/mine"}
    assert "--trust" in about  # as every command on runs
    assert shelf == "shelf 3\n"


def test_every_command_has_a_heading_and_a_place_of_its_own():
    from zatlas.cli.commands import _DECLARED

    found = commands()
    assert tuple(found) == PANELS
    mine = [one for one in _DECLARED if Path(sys.modules[_module(one.target)].__file__).parent.name == "cli"]
    assert len({one.name for one in mine}) == len(mine)
    assert len({(one.panel, one.order) for one in mine}) == len(mine)


def _module(target):
    return (
        getattr(target, "__module__", None)
        if not hasattr(target, "registered_commands")
        else (target.registered_commands[0].callback.__module__)
    )


def test_nothing_heavy_is_imported_before_a_command_runs():
    code = (
        "import sys; import zatlas.cli.app; heavy = 'torch numpy matplotlib tomllib rich.progress zatlas.console'; "
        "print([module for module in heavy.split() if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_training_imports_neither_the_compiler_nor_what_draws(tmp_path):
    """They take 3 s together, where the imports that a training needs take 2."""
    code = (
        "import sys; sys.argv = ['zatlas', 'train', 'digits', '--steps', '4', '--out', sys.argv[1]]\n"
        "from zatlas.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([module for module in 'torch._dynamo sympy matplotlib'.split() if module in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("[]")
