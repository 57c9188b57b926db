"""The example package as an installer leaves it, and commands in processes that know nothing of this one."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "examples" / "extension"

# Runs commands one after another, each as a process would, and prints what each gave; torch is imported once.
DRIVER = """
import contextlib, io, json, sys
from zatlas.cli.app import main
for words in json.loads(sys.argv[1]):
    out, err, sys.argv = io.StringIO(), io.StringIO(), ["zatlas", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    print("DONE", json.dumps([status, out.getvalue(), err.getvalue()]))
"""


@pytest.fixture(scope="session")
def project():
    """What the package's pyproject says of it."""
    return tomllib.loads((EXTENSION / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="session")
def installed(project, tmp_path_factory):
    """A folder with the package and its entry points, as ``pip install --target`` makes it, without a build tool."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(EXTENSION / "src" / "zatlas_extension", site / "zatlas_extension")
    about = site / f"zatlas_extension-{project['version']}.dist-info"
    about.mkdir()
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in named.items()) for group, named in groups]
    (about / "entry_points.txt").write_text("\n".join(points))
    (about / "top_level.txt").write_text("zatlas_extension\n")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    return site


@pytest.fixture(scope="session")
def copied(tmp_path_factory):
    """A folder with the package's code alone, which nobody has installed."""
    place = tmp_path_factory.mktemp("code")
    shutil.copytree(EXTENSION / "src" / "zatlas_extension", place / "zatlas_extension")
    return place


def process(code, *arguments, folder, path=()):
    """A Python of its own in a folder, with more folders to import from."""
    own = [str(one) for one in (ROOT / "src", *path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(own), "COLUMNS": "400"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(*lines, folder, path=()):
    """Status, stdout and stderr of each command line, run one after another in one process."""
    out = process(DRIVER, json.dumps([line.split() for line in lines]), folder=folder, path=path)
    done = [json.loads(line.removeprefix("DONE ")) for line in out.splitlines() if line.startswith("DONE ")]
    assert len(done) == len(lines), out
    return done
