"""Real studies of the digits: what they leave, that they go on, and what a person is told."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

import zatlas
from zatlas.cli.app import app
from zatlas.errors import UsageError, ZatlasError
from zatlas.files import write_json
from zatlas.runs.folder import RunFolder
from zatlas.runs.opened import Run
from zatlas.runs.training import resume
from zatlas.studies.plan import from_record
from zatlas.studies.report import describe
from zatlas.studies.study import Study
from zatlas.studies.table import over_seeds, ranked, spread, write_table

SMALL = {"size": "xs", "steps": 12, "validations": 3, "precision": "fp32"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two sizes by two betas by two seeds, trained in this process."""
    out = tmp_path_factory.mktemp("studies") / "one"
    return zatlas.study(
        "digits",
        grid={"latent_dim": [2, 3], "beta": [1, 4]},
        seeds=2,
        metrics=["bound"],
        out=out,
        workers=0,
        verbose=False,
        **SMALL,
    )


@pytest.fixture
def copied(made, tmp_path):
    return shutil.copytree(made.path, tmp_path / "copy")


def trained(path):
    """When each run of a study was made and how often it was begun, by folder."""
    return {run.name: RunFolder(run).record["created"] for run in (path / "members").iterdir()}


def again(path, **more):
    words = {"grid": {"latent_dim": [2, 3], "beta": [1, 4]}, "seeds": 2, "metrics": ["bound"], **SMALL, **more}
    return zatlas.study("digits", out=path, workers=0, verbose=False, report=False, **words)


def test_every_member_is_an_ordinary_run_and_a_row(made):
    rows = made.table()
    assert len(rows) == len(made.runs) == 8
    assert {(row["latent_dim"], row["beta"], row["seed"]) for row in rows} == {
        (z, beta, seed) for z in (2, 3) for beta in (1, 4) for seed in (0, 1)
    }
    for row, run in zip(rows, made.runs, strict=True):
        assert run.latent_dim == row["latent_dim"]
        assert run.config.objective.beta == row["beta"]
        assert run.config.training.seed == row["seed"]
        assert row["elbo"] == pytest.approx(-row["distortion"] - row["rate"], abs=1e-6)
        # the objective's own mean over the test rows, which run.json holds beside the bound of evaluation.json
        assert row["distortion"] == pytest.approx(run.folder.record["result"]["distortion"], rel=0.02)
    assert {row["status"] for row in rows} == {"finished"}


def test_a_member_ends_where_the_same_model_trained_alone_ends(made, tmp_path):
    row = next(row for row in made.table() if (row["latent_dim"], row["beta"], row["seed"]) == (3, 4, 1))
    alone = zatlas.train("digits", latent_dim=3, beta=4, seed=1, out=tmp_path / "alone", verbose=False, **SMALL)
    tensors, _, _ = RunFolder(made.path / row["run"]).load_checkpoint()
    others, _, _ = alone.folder.load_checkpoint()
    assert all(tensors[name].equal(value) for name, value in others.items())


def test_the_table_is_the_same_in_all_its_files(made):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = made.table()
    typed = parquet.read_table(made.path / "table.parquet").to_pylist()
    with (made.path / "table.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    for row, one, text in zip(rows, typed, written, strict=True):
        assert one == row
        assert text == {key: "" if value is None else str(value) for key, value in row.items()}


def test_members_that_are_stacked_end_where_they_end_alone_and_are_ordinary_runs(tmp_path):
    words = {"grid": {"beta": [1, 4, 9], "latent_dim": [2, 3]}, "seeds": 1, **SMALL}
    one, other = (again(tmp_path / name, stack=stack, **words) for name, stack in (("a", True), ("b", False)))
    for row, alone in zip(one.table(), other.table(), strict=True):
        runs = RunFolder(one.path / row["run"]), RunFolder(other.path / alone["run"])
        assert runs[0].record["stacked"] == 3
        (tensors, record, _), (others, apart, _) = (run.load_checkpoint() for run in runs)
        assert tensors.keys() == others.keys()
        assert any(name.startswith("average.") for name in others)
        for name, value in others.items():
            assert torch.allclose(tensors[name].double(), value.double(), rtol=1e-3, atol=1e-5), name
        assert row["elbo"] == pytest.approx(alone["elbo"], abs=1e-3)
        lines = [[(line["step"], line["split"]) for line in run.metrics()] for run in runs]
        assert lines[0] == lines[1]
        for line, same in zip(*(run.metrics() for run in runs), strict=True):
            assert line["loss"] == pytest.approx(same["loss"], rel=1e-4)
        exact = ("step", "epoch", "examples", "validations", "best_step")
        assert [record["trainer"][key] for key in exact] == [apart["trainer"][key] for key in exact]
    resume(one.path / one.table()[0]["run"], changes={"steps": 20})  # with its own optimiser and random state
    resume(other.path / other.table()[0]["run"], changes={"steps": 20})
    ends = [Run(study.path / study.table()[0]["run"]).test()["loss"] for study in (one, other)]
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)


def test_a_missing_pyarrow_costs_the_parquet_and_nothing_else(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert [path.name for path in write_table(made.table(), tmp_path)] == ["table.csv", "table.json"]


def test_means_and_errors_are_those_over_seeds(made):
    means = made.table(seeds=False)
    assert [row["seeds"] for row in means] == [2] * 4
    for row in means:
        own = [r["elbo"] for r in made.table() if (r["latent_dim"], r["beta"]) == (row["latent_dim"], row["beta"])]
        assert row["elbo"] == pytest.approx(sum(own) / 2)
        assert row["elbo_error"] == pytest.approx(abs(own[0] - own[1]) / 2)
    assert made.best() == max(means, key=lambda row: row["elbo"])
    assert made.best("rate:min") == min(means, key=lambda row: row["rate"])
    assert spread([5.0]) == (5.0, None)
    with pytest.raises(UsageError, match=r"a goal is a figure, as elbo, elbo:max or rate:min, and 'rate:low' is none"):
        made.best("rate:low")


def test_the_same_study_trains_nothing_and_more_of_it_trains_what_is_new(copied):
    before = trained(copied)
    again(copied)
    assert trained(copied) == before
    more = again(copied, grid={"latent_dim": [2, 3], "beta": [1, 4, 9]})
    after = trained(copied)
    assert len(after) == 12
    assert before.items() <= after.items()
    assert len(more.table()) == 12
    with pytest.raises(UsageError, match=r"holds a study of another plan \(training.steps is 12 there and 13 here\)"):
        again(copied, steps=13)
    assert trained(copied) == after


def test_a_new_metric_is_measured_and_nothing_is_trained(copied):
    before = trained(copied)
    found = again(copied, metrics=["bound", "reconstruction"])
    assert trained(copied) == before
    assert all(row["reconstruction.psnr"] is not None for row in found.table())


def test_a_member_whose_run_was_removed_or_not_told_of(copied):
    """One is gone and is trained again; the journal forgot the others, which are found finished."""
    before = trained(copied)
    shutil.rmtree(copied / "members" / min(before))
    (copied / "journal.jsonl").write_bytes((copied / "journal.jsonl").read_bytes()[:40])
    files = [*(copied / "members").rglob("tensors.safetensors"), *(copied / "members").glob("*/run.json")]
    checkpoints = {p: p.stat().st_mtime_ns for p in files}
    again(copied)
    assert set(trained(copied)) == set(before)
    assert {p: p.stat().st_mtime_ns for p in checkpoints} == checkpoints


def test_a_member_that_fails_is_reported_and_the_rest_goes_on(tmp_path):
    found = zatlas.study(
        "digits", grid={"learning_rate": [1e-3, 1e18], "objective": ["elbo", "dip"]}, beta=2, optimizer="sgd",
        clip_norm=0, out=tmp_path / "s", workers=0, verbose=False, **SMALL,
    )  # fmt: skip
    status = {(row["learning_rate"], row["objective"]): row["status"] for row in found.table()}
    assert status[1e-3, "elbo"] == "finished"
    assert status[1e18, "elbo"] == "failed"
    reason = next(row["reason"] for row in found.table() if row["learning_rate"] == 1e18)
    assert "is no longer finite" in reason
    page = found.report.read_text()
    assert "The rest went on without them" in page
    assert "is no longer finite" in page


def test_the_page_shows_what_people_compare_by(made):
    page = describe(made)
    assert page.title == "Latent size and β, on digits"
    assert [section.title for section in page.sections] == [
        "Best", "Samples", "Manifolds", "Rate and distortion", "Figures against parameters", "What stays over seeds",
        "All members",
    ]  # fmt: skip
    sections = {section.title: section for section in page.sections}
    assert len(sections["What stays over seeds"].tables[0].rows) == 4
    assert len(sections["All members"].tables[0].rows) == 8
    assert len(sections["Figures against parameters"].pictures) == 2
    best = made.best()
    assert page.headlines[0].value == best["elbo"]
    assert page.headlines[0].estimator == f"latent size {best['latent_dim']}, β {best['beta']}; mean of 2 seeds"
    assert "<script" not in made.report.read_text()


def test_hopeless_members_are_stopped_early(tmp_path):
    found = zatlas.study(
        "digits", grid={"learning_rate": [4e-3, 3e-3, 2e-3, 1e-7, 1e-8]}, halving={"factor": 2, "first": 0.25},
        out=tmp_path / "s", workers=0, verbose=False, report=False, **{**SMALL, "steps": 40, "validations": 8},
    )  # fmt: skip
    rows = {row["learning_rate"]: row for row in found.table()}
    for rate in (1e-7, 1e-8):
        assert (rows[rate]["status"], rows[rate]["steps"]) == ("stopped early", 10)
        assert RunFolder(found.path / rows[rate]["run"]).record["stopped"] == "halted"
    assert rows[4e-3]["steps"] == 40
    assert all(row["elbo"] is not None for row in rows.values())
    assert found.best()["learning_rate"] > 1e-3


def test_a_search_goes_on_where_it_was_and_does_no_trial_twice(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    words = {
        "draw": {"learning_rate": "1e-4..1e-2:log", "latent_dim": "2..4"}, "grid": {"beta": [1, 4]}, "search": True,
        "goals": ["distortion", "rate"], "out": tmp_path / "s", "workers": 0, "verbose": False, "report": False,
        **SMALL,
    }  # fmt: skip
    first = zatlas.study("digits", trials=3, **words)
    before, told = trained(first.path), first.table()
    more = zatlas.study("digits", trials=5, **words)
    rows = more.table()
    assert before.items() <= trained(first.path).items()
    assert rows[:3] == told
    assert len(rows) == 5
    assert all(1e-4 <= row["learning_rate"] <= 1e-2 and row["beta"] in (1, 4) for row in rows)
    assert json.loads((first.path / "journal.jsonl").read_text().splitlines()[1])["split"] == "validation"
    assert more.goal.figure == "distortion"
    with pytest.raises(UsageError, match="holds a study of another plan"):
        zatlas.study("digits", trials=5, **{**words, "goals": ["elbo"]})
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ZatlasError, match=r"a search wants Optuna: pip install 'zatlas\[search\]'"):
        zatlas.study("digits", trials=5, **words)


def test_a_full_disk_in_the_middle_loses_nothing(made, tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    words = {"grid": {"latent_dim": [2, 4000]}}
    largest = max(path.stat().st_size for path in made.path.rglob("tensors.safetensors"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * largest, hard))  # the second member's checkpoints are larger
    try:
        with pytest.raises(ZatlasError, match=r"the study stopped at latent_dim 4000.*goes on when it is begun again"):
            again(tmp_path / "s", seeds=1, **words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [row["status"] for row in Study(tmp_path / "s").table()] == ["finished", "waiting"]
    before = trained(tmp_path / "s")
    found = again(tmp_path / "s", seeds=1, **words)
    assert [row["status"] for row in found.table()] == ["finished", "finished"]
    assert before.items() <= trained(tmp_path / "s").items()


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_stopped_and_killed_from_outside_it_goes_on_and_ends_as_if_nothing_had_happened(made, tmp_path):
    out = tmp_path / "s"
    words = [
        "study", "digits", "--grid", "latent_dim=2,3", "--grid", "beta=1,4", "--seeds", "2", "--size", "xs", "--steps",
        "12", "--set", "training.validations=3", "--set", "training.precision=fp32", "--out", str(out),
        "--workers", "1", "--metric", "bound",
    ]  # fmt: skip
    command = [sys.executable, "-c", "from zatlas.cli.app import main; main()", *words]

    def start(until):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        path = out / "journal.jsonl"
        while not path.exists() or path.read_bytes().count(b"\n") < until:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process

    process = start(2)
    process.send_signal(signal.SIGSTOP)  # it is neither to end nor to let go before the other has asked
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert "is being worked on by another study: wait for it, or give another --out." in second.stderr
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"everything is saved. The same command goes on, or: zatlas study --resume {out}" in err
    assert "Traceback" not in err
    process = start(4)
    process.kill()
    process.communicate()
    subprocess.run(
        [*command[:3], "study", "--resume", str(out), "--no-report"], check=True, timeout=120, capture_output=True
    )
    rows, others = Study(out).table(), made.table()
    seconds = ("train_seconds", "work_seconds")
    assert [{k: v for k, v in row.items() if k not in seconds} for row in rows] == [
        {k: v for k, v in row.items() if k not in seconds} for row in others
    ]
    journal = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    assert len({event["key"] for event in journal}) == len(journal) == 8


def test_the_command_prints_one_object_and_its_refusals_are_sentences(copied):
    run = CliRunner()
    words = ["study", "--resume", str(copied), "--json", "--no-report", "--workers", "0"]
    done = run.invoke(app, words)
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["members"], record["finished"], record["failed"]) == (8, 8, 0)
    assert record["by"] == "elbo:max"
    for extra, told in (
        (["--grid", "betta=1"], "there is no key betta; did you mean beta"),
        (["--grid", "beta="], "the grid is empty"),
        (["--grid", "beta=1", "--grid", "beta=2"], "--grid beta is given twice"),
        (["--plan", "nope", "--grid", "beta=1"], "there is no plan nope"),
    ):
        with pytest.raises(UsageError, match=told):
            run.invoke(app, ["study", "digits", *extra], catch_exceptions=False)
    with pytest.raises(UsageError, match="--resume goes on with the plan of"):
        run.invoke(app, [*words, "--seeds", "3"], catch_exceptions=False)


def test_a_damaged_study_is_named(copied):
    write_json(copied / "study.json", {"schema": 9})
    with pytest.raises(ZatlasError, match="has schema 9 and this zatlas reads 1"):
        Study(copied)
    (copied / "study.json").write_text("{")
    with pytest.raises(ZatlasError, match=r"the study's record .*study.json is damaged"):
        Study(copied)


def test_ranking_leaves_out_what_has_no_figure():
    goal = from_record({"source": "digits", "seeds": 2, "best": "rate"}, "here").best
    rows = [{"rate": 2.0}, {"rate": None}, {"rate": float("nan")}, {"rate": 1.0}]
    assert ranked(rows, goal) == [{"rate": 1.0}, {"rate": 2.0}]
    assert over_seeds([], []) == []
    assert Run is not None
