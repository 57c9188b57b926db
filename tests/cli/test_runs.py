"""Runs listed and deleted, and what the shell completes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from zatlas.cli import completing
from zatlas.config import make_config
from zatlas.runs import listing
from zatlas.runs.listing import list_runs

SPEC = {"shape": [1, 8, 8], "values": "uint8", "label_kind": "none", "labels": []}


def make(folder, kind="vae", status="finished", *, loss=10.0, data_kind="grey", steps=24, **values):
    """A run folder as a training leaves it, without weights."""
    folder.mkdir(parents=True)
    model = {"kind": kind, "network": "mlp"}
    text = make_config(("test", {"data": {"source": "digits"}, "model": model})).to_toml().encode()
    (folder / "config.toml").write_bytes(text)
    record = {
        "schema": 1, "status": status, "created": "2026-01-01T00:00:00+00:00",
        "data": {"name": "digits", "spec": SPEC}, "data_kind": data_kind, "steps": steps, "steps_per_epoch": 12,
        "config_sha256": hashlib.sha256(text).hexdigest(),
        "train_seconds": 2.5, "result": {"split": "test", "loss": loss}, **values,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def three(elsewhere):
    home = elsewhere / "runs"
    make(home / "a", loss=30.0, created="2026-01-03T00:00:00+00:00")
    make(home / "deep" / "b", kind="gan", data_kind="game", created="2026-01-02T00:00:00+00:00")
    make(home / "c", status="running", loss=20.0, created="2026-01-01T00:00:00+00:00")
    return home


def test_a_run_is_told_without_being_opened(three):
    (three / "a" / "metrics.jsonl").write_bytes(b"x" * 1000)
    entry = {e.name: e for e in list_runs(three)}["a"]
    assert (entry.model, entry.objective, entry.network, entry.latent_dim) == ("vae", "elbo", "mlp", 2)
    assert (entry.data, entry.data_kind, entry.steps, entry.epochs) == ("digits", "grey", 24, 2.0)
    assert (entry.loss, entry.split, entry.seconds, entry.why) == (30.0, "test", 2.5, None)
    own = sum((three / "a" / name).stat().st_size for name in ("run.json", "config.toml"))
    assert entry.bytes == own + 1000


def test_runs_are_sorted_and_filtered_and_what_is_not_known_comes_last(three):
    names = lambda **words: [Path(e.name).name for e in list_runs(three, **words)]
    assert names() == ["c", "b", "a"]
    assert names(reverse=True) == ["a", "b", "c"]
    assert names(sort="loss") == ["c", "a", "b"]  # a GAN's loss says nothing of its samples
    assert names(sort="loss", reverse=True) == ["a", "c", "b"]
    assert names(wanted=["model=vae"]) == ["c", "a"]
    assert names(wanted=["model=vae", "model=gan"]) == ["c", "b", "a"]
    assert names(wanted=["model=vae", "status=stopped"]) == ["c"]
    assert names(wanted=["name=deep/*"]) == ["b"]
    assert [e.name for e in list_runs(three / "a")] == ["a"]


def test_a_run_that_a_kill_left_is_stopped_and_one_whose_lock_is_held_is_running(three):
    status = lambda: {e.name: e.status for e in list_runs(three)}["c"]
    assert status() == "stopped"
    with FileLock(three / "c" / ".lock"):
        assert status() == "running"
    assert status() == "stopped"


def spoil(folder, name, content=None):
    path = folder / name
    path.unlink() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("run.json", b"{", "is damaged"),
        ("run.json", b"[]", "holds no JSON object"),
        ("run.json", b"{}", "there is no 'config_sha256'"),
        ("run.json", b"\xff\xfe", "is damaged"),
        ("config.toml", b"[model]", "config.toml was altered"),
        ("config.toml", None, "config.toml is missing"),
    ],
)
def test_a_damaged_run_is_listed_as_such_and_the_others_beside_it(three, zatlas, name, content, why):
    spoil(three / "a", name, content)
    entry = {e.name: e for e in list_runs(three)}["a"]
    assert entry.status == "damaged"
    assert why in entry.why
    answer = zatlas("runs", "--sort", "name")
    assert answer.status == 0
    assert "a is damaged: " in answer.err
    assert "3 runs" in answer.err


def test_a_missing_checkpoint_is_a_damage(elsewhere):
    make(elsewhere / "runs" / "a", checkpoints={"last": "step-00000024"})
    assert list_runs(elsewhere / "runs")[0].why == "checkpoints/step-00000024 is missing."


def test_the_command_says_all_that_at_80_columns(three, zatlas, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = zatlas("runs").err.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["run", "model", "data", "z", "status", "epochs", "loss", "time", "disk", "made"]
    assert lines[1].split()[:6] == ["c", "vae", "digits", "grey", "2", "stopped"]
    record = json.loads(zatlas("runs", "--json", "--filter", "model=gan").out)
    assert [run["name"] for run in record["runs"]] == ["deep/b"]
    assert record["runs"][0]["loss"] is None


def test_nothing_to_list_is_no_failure_but_a_wrong_word_is(zatlas, elsewhere):
    assert zatlas("runs")[:2] == (0, "")
    assert json.loads(zatlas("runs", "--json").out) == {"folder": "runs", "runs": []}
    make(elsewhere / "runs" / "a")
    for words, sentence in (
        (["none"], "there is no folder none"),
        (["--sort", "losss"], "runs have no 'losss'; did you mean loss?"),
        (["--filter", "vae"], "--filter wants KEY=VALUE"),
        (["--filter", "modle=vae"], "runs have no 'modle'; did you mean model?"),
    ):
        answer = zatlas("runs", *words)
        assert answer.status == 2
        assert sentence in answer.err


def test_a_run_is_deleted_after_a_question_only(three, zatlas, monkeypatch):
    asked = []
    monkeypatch.setattr("typer.confirm", lambda question, **words: asked.append(question) or False)
    assert zatlas("runs", "--delete", "runs/a").status == 1
    assert (three / "a" / "run.json").exists()
    monkeypatch.setattr("typer.confirm", lambda question, **words: asked.append(question) or True)
    answer = zatlas("runs", "--delete", "runs/a", "--delete", "runs/deep/b")
    assert answer.status == 0
    assert "Deleted" in answer.err
    assert asked == ["Delete this for good?", "Delete these for good?"]
    assert not (three / "a").exists()
    assert [e.name for e in list_runs(three)] == ["c"]
    assert json.loads(zatlas("runs", "--delete", "runs/c", "--yes", "--json").out)["deleted"] == ["runs/c"]
    assert list_runs(three) == []


def test_what_is_no_run_or_is_in_use_is_not_deleted_and_nothing_beside_it(three, zatlas, elsewhere):
    (elsewhere / "mine").mkdir()
    (elsewhere / "link").symlink_to(three / "a")
    make(three / "a" / "inner")
    with FileLock(three / "c" / ".lock"):
        for folder, sentence in (
            ("mine", "mine is no run"),
            ("none", "none is no run"),
            ("link", "link is a link to"),
            ("runs/a", "runs/a holds another run, runs/a/inner"),
            ("runs/c", "runs/c is being trained by another process"),
        ):
            answer = zatlas("runs", "--delete", "runs/deep/b", "--delete", folder, "--yes")
            assert answer.status == 2, folder
            assert sentence in answer.err
    assert (elsewhere / "mine").exists()
    assert len(list_runs(three)) == 3


def fresh(code, **env):
    """What a fresh interpreter prints."""
    words = [sys.executable, "-c", code]
    return subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, **env}).stdout


def test_neither_the_list_nor_a_completion_waits_for_torch(three):
    code = (
        "import sys; from zatlas.cli import app; sys.argv = ['zatlas', 'runs']\n"
        "try: app.main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    )
    assert fresh(code).splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("zatlas train digits --model c", ["cvae", "cgan"]),
        ("zatlas evaluate runs/", ["runs/a", "runs/c", "runs/deep/"]),
        pytest.param("zatlas evaluate runs/a --metric sam", ["samples"], marks=pytest.mark.slow),
        pytest.param("zatlas train mnist --preset mnist-p", ["mnist-plane"], marks=pytest.mark.slow),
        pytest.param("zatlas runs --sort st", ["status", "steps"], marks=pytest.mark.slow),
    ],
)
def test_the_shell_completes(three, typed, offered):
    count = len(typed.split())
    words = {"_ZATLAS_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(count - 1)}
    code = "from zatlas.cli import app; app.app(prog_name='zatlas')"
    assert sorted(fresh(code, **words).split()) == sorted(offered)


def test_completions_written_out_are_those_that_there_are():
    from zatlas.data.catalog import BUILT_IN, PUBLISHED
    from zatlas.measure.catalog import METRICS

    assert set(completing.complete_metric("")) == {*METRICS, "all"}
    assert completing.complete_metric("a") == ["annealed", "all"]
    assert set(completing.DATA) <= {*BUILT_IN, *PUBLISHED}
    assert completing.complete_run_filter("mod") == ["model="]
    assert completing.complete_run("none/") == []
    assert set(completing.complete_preset("course-")) == {"course-vae", "course-cvae", "course-gan"}
    assert listing.KEYS[0] == "name"
