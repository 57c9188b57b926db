"""stdout holds results alone, stderr all that is for people; and --help is quick."""

import functools
import json
import os
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from zatlas.cli import app, diagnosis

QUICK = ("--size", "xs", "--steps", 4, "--set", "training.threads=1", "--set", "training.precision=fp32")


def one_object(answer):
    """Exactly one JSON object, on one line, with finite numbers."""
    assert answer.status == 0, answer.err
    assert answer.out.count("\n") == 1

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(answer.out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


def test_train(zatlas, elsewhere):
    record = one_object(zatlas("train", "digits", *QUICK, "--out", "run", "--json"))
    assert list(record) == ["run", "stopped", "train_seconds", "epochs", "steps", "images_per_second", "test"]
    assert set(record["test"]) == {"loss", "distortion", "rate", "psnr"}
    assert (record["run"], record["steps"], record["epochs"]) == ("run", 4, 0.333)
    answer = zatlas("train", "digits", *QUICK)
    assert (answer.status, answer.out) == (0, "")
    assert "zatlas report runs/digits-vae-z2-001" in answer.err
    assert "\x1b" not in answer.err  # no terminal, so plain lines
    assert "\r" not in answer.err
    lines = [line for line in answer.err.splitlines() if "validation loss" in line]
    assert len(lines) == 4
    assert all(line.endswith(" dB") for line in lines)
    quiet = zatlas("train", "digits", *QUICK, "-q")
    assert quiet == (0, "", "")
    assert (elsewhere / "runs" / "digits-vae-z2-002" / "run.json").exists()
    resumed = one_object(zatlas("train", "--resume", "run", "--steps", 8, "--json"))
    assert resumed["steps"] == 8


def test_an_interrupted_training_says_how_to_go_on(zatlas, elsewhere, monkeypatch):
    import signal

    from zatlas.training.progress import TrainingProgress

    monkeypatch.setattr(TrainingProgress, "stepped", lambda self, trainer: signal.raise_signal(signal.SIGINT))
    answer = zatlas("train", "digits", *QUICK, "--out", "run", "--json")
    assert answer.status == 130
    assert json.loads(answer.out)["stopped"] == "interrupted"
    assert json.loads(answer.out)["test"] is None
    said = "Interrupted at step 1; everything is saved. Go on with: zatlas train --resume run"
    assert answer.err.rstrip().endswith(said)
    monkeypatch.undo()
    monkeypatch.chdir(elsewhere)
    assert one_object(zatlas("train", "--resume", "run", "--json"))["steps"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", pytest.param("ae", marks=pytest.mark.slow)])
def test_figures_and_reports(kind, zatlas, plain_runs, elsewhere):
    run = plain_runs / kind
    assert one_object(zatlas("evaluate", run, "--json"))["split"] == "test"
    assert zatlas("evaluate", run).out == ""
    assert "ELBO" in zatlas("evaluate", run).err
    page = one_object(zatlas("report", run, "--out", "page.html", "--json"))
    assert page["bytes"] == (elsewhere / "page.html").stat().st_size


PICTURES = [
    ("sample", []),
    pytest.param("encode", [], marks=pytest.mark.slow),
    pytest.param("decode", ["codes.npy"], marks=pytest.mark.slow),
    pytest.param("reconstruct", [], marks=pytest.mark.slow),
    pytest.param("manifold", ["-n", 3], marks=pytest.mark.slow),
    pytest.param("traverse", ["--steps", 3], marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("command", "words"), PICTURES)
def test_pictures(command, words, zatlas, plain_runs, elsewhere):
    np.save("codes.npy", np.zeros((3, 2)))
    record = one_object(zatlas(command, plain_runs / "vae", *words, "--out", "there/it.png", "--json"))
    assert record["files"] == ["there/it.png", "there/it.npz"]
    assert sorted(p.name for p in (elsewhere / "there").iterdir()) == ["it.npz", "it.png"]
    with np.load("there/it.npz", allow_pickle=False) as arrays:
        assert len(arrays.files) >= 2
    answer = zatlas(command, plain_runs / "vae", *words, "--out", "there/it")
    assert (answer.status, answer.out) == (0, "")
    assert answer.err.splitlines() == ["there/it.png", "there/it.npz"]


@pytest.mark.slow
def test_codes_go_out_and_come_in_again(zatlas, plain_runs, digits_run):
    for run in (plain_runs / "vae", digits_run):
        assert zatlas("encode", run, "--out", "codes").status == 0
        assert zatlas("decode", run, "codes.npz", "--out", "back").status == 0


def test_facts(zatlas):
    assert len(one_object(zatlas("data", "list", "--json"))["data"]) >= 5
    assert one_object(zatlas("data", "info", "digits", "--json"))["rows"] == 1797
    assert zatlas("data", "info", "digits").out == ""
    assert "digits" in zatlas("data", "list").err


def test_doctor(zatlas, monkeypatch):
    small = functools.partial(diagnosis.matmul_gflops, size=32, repeats=1)  # of 1024 it takes a slow core ten seconds
    monkeypatch.setattr(diagnosis, "matmul_gflops", small)
    assert one_object(zatlas("doctor", "--json"))["device"]
    assert zatlas("doctor").out == ""


def test_a_failure_leaves_stdout_empty(zatlas):
    assert zatlas("train", "digit", "--json").out == ""
    answer = zatlas("train", "digits", *QUICK, "--lr", "1e9", "--set", "training.clip_norm=0", "--out", "r", "--json")
    assert (answer.status, answer.out) == (1, "")
    assert "no longer finite at step" in answer.err


def test_version_and_help(zatlas):
    assert zatlas("--version") == (0, f"zatlas {version('zatlas')}\n", "")
    assert zatlas("train", "-h").status == 0


OPTIONS = [
    "--model",
    "--latent-dim",
    "-z",
    "--objective",
    "--beta",
    "--prior",
    "--network",
    "--size",
    "--likelihood",
    "--binarise",
    "--labels",
    "--label-level",
    "--skip-damaged",
    "--resize",
    "--crop",
    "--channels",
    "--augment",
    "--epochs",
    "--steps",
    "--seconds",
    "--target-loss",
    "--patience",
    "--preset",
    "--batch-size",
    "--learning-rate",
    "--lr",
    "--seed",
    "--device",
    "--precision",
    "--out",
    "-o",
    "--config",
    "--set",
    "--log",
    "--from",
    "--resume",
    "--workers",
    "--on",
    "--hang",
    "--quiet",
    "-q",
    "--json",
    "--trust",
]
COMMANDS = {
    *[
        "train",
        "study",
        "models",
        "evaluate",
        "compare",
        "report",
        "runs",
        "sample",
        "prior",
        "reconstruct",
        "encode",
        "decode",
        "manifold",
        "traverse",
        "interpolate",
        "scatter",
        "describe",
        "direction",
        "relabel",
        "transfer",
        "agree",
        "neighbours",
        "classifier",
        "import",
        "explain",
        "data",
        "doctor",
        "export",
        "similar",
        "outliers",
        "explore",
        "walk",
    ]
}


def test_the_words_are_frozen():
    """People's scripts hold these: a new one is added to this list, an old one is not taken away."""
    import typer

    group = typer.main.get_command(app.app)
    assert set(group.commands) == COMMANDS
    options = [word for option in group.commands["train"].params if option.name != "source" for word in option.opts]
    assert options == OPTIONS


SCRIPT = """
import os, sys
sys.argv = ["zatlas", "--help"]
from zatlas.cli import app
try:
    app.main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "numpy", "sklearn", "matplotlib", "pydantic", "PIL"} & set(sys.modules)
assert not heavy, heavy
sys.stdout.flush()

def status(*words):
    "What a process ends with whose stdout is a pipe that nobody reads."
    child = os.fork()
    if child == 0:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)
        sys.argv = ["zatlas", *words]
        app.main()  # a SystemExit ends the process as it would end zatlas: flushing stdout on the way
        sys.exit()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

more = [["data", "list", "--json"], ["data", "list"]] if os.environ["WORDS"] == "all" else []
for words in (["--help"], ["--version"], *more):
    print(words, status(*words), file=sys.stderr)
"""


@pytest.mark.parametrize("words", ["quick", pytest.param("all", marks=pytest.mark.slow)])
def test_help_is_quick_and_a_closed_pipe_no_calamity(words):
    """One process for both: torch takes seconds to import, and --help must not wait for it."""
    environment = {**os.environ, "WORDS": words, "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "Train a model on DATA into a run folder" in done.stdout
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    expected = ["['--help'] 1", "['--version'] 1"]
    if words == "all":
        expected += ["['data', 'list', '--json'] 1", "['data', 'list'] 0"]
    assert [line for line in done.stderr.splitlines() if line.startswith("[")] == expected, done.stderr


@pytest.mark.slow
def test_a_full_disk_behind_stdout_is_said():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from zatlas.cli.app import main; main()", "data", "list", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "zatlas: reading or writing failed: No space left on device.\n"


@pytest.mark.slow
def test_encoding_brings_labels_and_known_factors_along(zatlas, tmp_path):
    import numpy as np

    run = tmp_path / "run"
    words = ("train", "sprites:60", "--size", "xs", "--steps", "2", "--out", str(run), "-q", "--precision", "fp32")
    assert zatlas(*words).status == 0
    assert zatlas("encode", str(run), "--out", str(tmp_path / "codes")).status == 0
    codes = np.load(tmp_path / "codes.npz")
    assert codes["mean"].shape == (60, 2)
    assert codes["factors"].shape == (60, 5)
    assert (codes["y"].argmax(1) == codes["factors"][:, 0]).all()  # the label is the shape


def test_every_command_on_a_run_can_be_given_trust():
    import typer

    group = typer.main.get_command(app.app)
    trusting = {name for name, command in group.commands.items() for p in command.params if "--trust" in p.opts}
    assert trusting >= {"train", "evaluate", "compare", "report", "sample", "manifold", "walk", "export", "describe"}
    centroid = group.commands["direction"].commands["centroid"]
    assert any("--trust" in option.opts for option in centroid.params)
