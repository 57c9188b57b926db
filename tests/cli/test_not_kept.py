"""Where a file cannot be written, what was computed is shown all the same; then it is said what is not kept."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest


@pytest.fixture
def blocked(plain_runs, tmp_path):
    """A run of a kind whose folder takes nothing more, as a read-only one does for all but root."""

    def make(kind="vae"):
        run = shutil.copytree(plain_runs / kind, tmp_path / kind)
        (run / "evaluation.json").mkdir()
        for name in ("pictures", "priors", "directions", "report"):
            (run / name).write_text("in the way")
        return run

    return make


def refused(answer):
    """Exit status 1 and a last sentence that says what could not be written."""
    assert answer.status == 1
    last = answer.err.splitlines()[-1]
    assert last.startswith("zatlas: ")
    assert "could not be written" in last
    return answer


@pytest.mark.slow
def test_evaluate_shows_its_figures(zatlas, blocked):
    run = blocked()
    shown = refused(zatlas("evaluate", run))
    assert shown.err.index("ELBO") < shown.err.index("the figures are shown and not kept")
    found = refused(zatlas("evaluate", run, "--json"))
    assert json.loads(found.out)["figures"]["elbo"]["count"] > 1


def test_a_metric_that_fails_takes_no_other_with_it(zatlas, plain_runs, tmp_path, monkeypatch):
    from zatlas.errors import ZatlasError
    from zatlas.parts import SORTS

    def fail(*words):
        raise ZatlasError("no")

    run = shutil.copytree(plain_runs / "vae", tmp_path / "run")
    assert SORTS["metric"].all()  # which looks for them
    known = SORTS["metric"]._known
    monkeypatch.setitem(known, ("", "importance"), replace(known["", "importance"], target=fail))
    assert zatlas("evaluate", run, "--metric", "bound", "--metric", "importance").status == 1
    assert "elbo" in json.loads((run / "evaluation.json").read_text())["figures"]


def test_compare_shows_its_table(zatlas, blocked):
    run = blocked()
    Path("file").touch()
    shown = refused(zatlas("compare", run, run, "-o", "file/it.png"))
    assert "distortion" in shown.err
    assert "The figures are used here and not kept" in shown.err
    found = refused(zatlas("compare", run, run, "-o", "file/it.png", "--json"))
    assert json.loads(found.out)["picture"] is None
    assert len(json.loads(found.out)["rows"]) == 2


@pytest.mark.slow
def test_a_report_elsewhere_is_written_and_its_figures_said_where_it_is_not(zatlas, blocked):
    run = blocked()
    answer = zatlas("report", run, "--out", "page.html")
    assert answer.status == 0
    assert "The figures are used here and not kept" in answer.err
    assert Path("page.html").stat().st_size > 10_000
    assert "test loss: " in refused(zatlas("report", run)).err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sample", "prior"])
def test_a_prior_that_cannot_be_kept_is_used_and_told(command, zatlas, blocked):
    run = blocked("ae")
    if command == "prior":
        assert "Found mixture of" in refused(zatlas("prior", run)).err
        return
    answer = zatlas("sample", run, "-n", 4, "--out", "it.png")
    assert answer.status == 0
    assert "The mixture is used here and not kept" in answer.err
    assert Path("it.npz").is_file()


@pytest.mark.slow
def test_walks_say_what_they_found(zatlas, blocked):
    run = blocked()
    words = ("direction", "attribute", run, "--with", "3", "-n", 2)
    shown = refused(zatlas(*words))
    assert "Fitted by logistic" in shown.err
    assert "it is used here and not saved" in shown.err
    shown = refused(zatlas(*words, "--out", "it.png", "--json"))
    assert json.loads(shown.out)["files"] == ["it.png", "it.npz"]
    assert "name" in json.loads(shown.out)
