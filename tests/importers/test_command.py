"""The words of the command: what it says, and one JSON object where that is asked for."""

import json

import pytest
import typer
from typer.testing import CliRunner

from zatlas.cli.import_weights import import_
from zatlas.errors import UsageError


@pytest.fixture
def call():
    app = typer.Typer()
    app.command("import")(import_)

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_it_says_what_was_read_and_what_to_do_next(tmp_path, disvae, call):
    result = call(disvae[0], "--from", "disvae", "--out", tmp_path / "run")
    assert result.exit_code == 0
    said = result.stderr.splitlines()
    count = sum(tensor.numel() for tensor in disvae[1].values())
    assert said[0] == f"Read   vae, z = 4, burgess for 1x32x32, {count:,} parameters"
    assert said[1] == f"Run    {tmp_path / 'run'}, without data: what wants data takes --data DATA"
    assert said[2] == f"Next   zatlas sample {tmp_path / 'run'}  ·  zatlas traverse {tmp_path / 'run'}"
    assert not result.stdout


def test_json_is_one_object(tmp_path, disvae, call, monkeypatch):
    monkeypatch.chdir(tmp_path)
    facts = json.loads(call(disvae[0], "--from", "disvae", "--json").stdout)
    assert facts["run"] == "runs/model-001"
    assert (facts["network"], facts["shape"], facts["latent_dim"]) == ("burgess", [1, 32, 32], 4)
    assert json.loads(call(disvae[0], "--from", "disvae", "--json").stdout)["run"] == "runs/model-002"


def test_the_format_is_to_be_named(tmp_path, disvae, call):
    assert call(disvae[0]).exit_code == 2
    with pytest.raises(UsageError, match="no format 'pickle'"):
        call(disvae[0], "--from", "pickle")
