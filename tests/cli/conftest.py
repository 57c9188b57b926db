import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main

from zatlas.cli import app


class Answer(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def zatlas(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """The command line in this process: ``zatlas("train", "digits")`` gives exit status, stdout and stderr."""
    monkeypatch.setenv("ZATLAS_DEBUG", "")  # put back afterwards, whatever --debug does to it
    monkeypatch.setenv("COLUMNS", "200")
    # once a test, as it takes 35 ms; not once for all tests, as commands remember how they were first asked
    monkeypatch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))

    def call(*words: object) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zatlas", *map(str, words)])
        try:
            app.main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or fills the user's own folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZATLAS_DATA", str(tmp_path / "zatlas-data"))
    return tmp_path


@pytest.fixture(scope="session")
def plain_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small runs on the digits, ``vae`` and ``ae``; tests must leave them as they are."""
    from zatlas.config import make_config
    from zatlas.runs.training import train

    folder = tmp_path_factory.mktemp("plain")
    training = {"steps": 4, "precision": "fp32", "threads": 1}
    for kind in ("vae", "ae"):
        values = {"data": {"source": "digits"}, "model": {"kind": kind, "size": "xs"}, "training": training}
        train(make_config(("test", values)), out=folder / kind)
    return folder
