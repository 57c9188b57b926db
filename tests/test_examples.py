"""What the README and the examples promise runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SHARED

ROOT = Path(__file__).parents[1]


# What is told here is that the words run; a training of sixty steps has gone through all of it.
BRIEF = """
from zatlas.training import Budget
_progress = Budget.progress
Budget.progress = lambda self, **spent: min(1.0, max(spent["step"] / 60, _progress(self, **spent)))
"""


def run(code, folder):
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(example, tmp_path):
    done = run(BRIEF + example.read_text(encoding="utf-8"), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data" / "mnist").is_dir(), reason=f"no MNIST under {SHARED}; set ZATLAS_SHARED")
@pytest.mark.parametrize(
    "chapter", sorted((ROOT / "examples" / "course").glob("[0-9]_*.py")), ids=lambda path: path.stem
)
def test_the_chapters_of_the_course_book_run(chapter, tmp_path):
    environment = {
        **os.environ,
        "ZATLAS_DATA": str(SHARED / "data"),
        "ZATLAS_BOOK": "brief",
        "ZATLAS_BOOK_RUNS": str(tmp_path / "runs"),
    }
    words = [sys.executable, str(chapter)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert blocks
    done = run("\n".join([BRIEF, *blocks]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "mine" / "run.json").is_file()


def test_the_commands_of_the_readme_exist():
    import typer.main

    from zatlas.cli.app import app

    known = set(typer.main.get_command(app).commands)
    said = re.findall(r"^zatlas (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert said
    assert set(said) <= known


def test_the_package_imports_without_torch():
    code = "import sys, zatlas; zatlas.__version__; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    assert run(code, ROOT).returncode == 0
