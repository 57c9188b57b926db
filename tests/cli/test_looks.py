"""The options of how figures look, on every command that draws, and on the commands that make pages."""

import inspect
from typing import get_args

import pytest

from zatlas.cli import app, measure, study


def flags(command):
    return {
        flag
        for parameter in inspect.signature(command).parameters.values()
        for word in get_args(parameter.annotation)[1:]
        for flag in (getattr(word, "default", None), *(getattr(word, "param_decls", None) or ()))
    }


@pytest.mark.parametrize("command", [measure.report, study.study])
def test_pages_take_a_look(command):
    asked = flags(app._whole(command))
    assert asked >= {"--theme", "--font-size", "--colour-map", "--figure-size"}
    assert ("--size" in asked) == (command is study.study)  # there it is the network's


def test_a_look_reaches_the_page(zatlas, digits_run, tmp_path, monkeypatch):
    from zatlas import report
    from zatlas.figures.look import current

    def drawn(run, out, beside):
        out.write_text(current().ink)
        return out

    monkeypatch.setattr(report, "write_report", drawn)
    page = tmp_path / "x.html"
    words = ("report", digits_run, "--out", page)
    assert zatlas(*words, "--theme", "dark").status == 0
    assert page.read_text() == "#f1f3f5"
    answer = zatlas(*words, "--theme", "drak")
    assert (answer.status, "did you mean dark?" in answer.err) == (2, True)
    answer = zatlas(*words, "--figure-size", "8")
    assert (answer.status, "--figure-size wants inches" in answer.err) == (2, True)


@pytest.mark.slow
def test_the_page_of_a_study_is_in_its_look(zatlas, tmp_path):
    words = (
        "digits",
        "--size",
        "xs",
        "--steps",
        2,
        "--grid",
        "latent_dim=2,3",
        "--workers",
        0,
        "--out",
        tmp_path / "s",
    )
    answer = zatlas("study", *words, "-q", "--theme", "print", "--font-size", 12, "--colour-map", "magma")
    assert answer.status == 0, answer.err
    page = (tmp_path / "s" / "report" / "index.html").read_text()
    assert "--ink: #000000" in page
    assert "<fieldset" not in page
