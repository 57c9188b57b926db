"""What the documents tell people to type is what the command line takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from zatlas.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples" / "extension" / "src" / "zatlas_extension").glob("[a-z]*.py"))


def told(page):
    """The command lines of a page, without their comments."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for line in block.splitlines():
            if line.startswith("zatlas "):
                yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_parse(page):
    root = typer.main.get_command(app)
    for line in told(page):
        words, command, path = shlex.split(line, comments=True)[1:], root, "zatlas"
        while hasattr(command, "commands"):
            assert words, line
            assert words[0] in command.commands, line
            path, command, words = f"{path} {words[0]}", command.commands[words[0]], words[1:]
        command.make_context(path, list(words))  # which raises where an option or an argument is unknown


def test_the_guide_has_commands_to_test():
    assert sum(len(list(told(page))) for page in PAGES if "guide" in page.parts) > 30


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_extending_shows_every_example_by_its_file(file):
    text, place = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix()
    assert f'--8<-- "{place}"' in text
    assert f"[{place}](../{place})" in text
