"""No text from data is parsed as markup, mathematics or a pattern: every way out shows hostile names as they are."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.hostile import NAMES
from zatlas.errors import printable
from zatlas.figures import scatter, themed_svg
from zatlas.report.page import Picture


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_shows_the_name(name):
    codes = np.random.default_rng(0).normal(size=(40, 2))
    figure = scatter(codes, np.arange(40) % 2, [name, "b"], axis_labels=(name, "y"), label_name=name, title=name)
    svg = themed_svg(figure, alt=name)
    assert Picture(svg, alt=name).is_svg
    assert texts(svg).count(printable(name)) >= 2  # title and axis; a legend may shorten it
    assert ElementTree.fromstring(svg).get("aria-label") == printable(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_terminal_shows_the_name(name, capsys):
    from rich.table import Table

    from zatlas.console import console, say

    table = Table(title=name, box=None)
    table.add_column(name, no_wrap=True)
    table.add_row(name)
    say(f"a {name} b")
    console.print(table)
    shown = capsys.readouterr().err
    assert f"a {printable(name)} b\n" in shown
    assert shown.count(printable(name).strip()) >= 2
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = np.arange(20 * len(NAMES)) % len(NAMES)
    x = (rng.random((len(y), 8, 8)) * 60 + 12 * y[:, None, None]).astype(np.uint8)
    path = tmp_path_factory.mktemp("hostile") / "data.npz"
    np.savez(path, x=x, y=np.array(NAMES)[y])
    return path


COMMANDS = (
    ("data", "info", "DATA"),
    ("train", "DATA", "--model", "cvae", "--size", "xs", "--steps", "5", "--out", "RUN"),
    ("report", "RUN"),
    ("scatter", "RUN", "--out", "scatter.svg"),
    ("evaluate", "RUN", "--metric", "probes"),
    ("compare", "RUN", "RUN"),
    ("describe", "RUN", "--base", "8", "--steps", "3"),
    ("relabel", "RUN", "--to", ",".join(NAMES)),
    ("transfer", "RUN"),
    ("direction", "centroid", "RUN"),
    ("direction", "attribute", "RUN", "--with", ",".join(NAMES[:5]), "--without", "a,b,rows:3", "--method", "centroid"),
    ("direction", "list", "RUN"),
    *(("sample", "RUN", "--label", name, "-n", "1") for name in NAMES),
)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_every_command_shows_hostile_names(hostile_data, tmp_path, monkeypatch, capsys):
    import sys

    from zatlas.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZATLAS_DEBUG", "")  # put back afterwards, whatever --debug does to it
    run = tmp_path / "[red]run[/] $x$"
    for words in COMMANDS:
        words = [{"DATA": str(hostile_data), "RUN": str(run)}.get(word, word) for word in words]
        monkeypatch.setattr(sys, "argv", ["zatlas", "--debug", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = capsys.readouterr()
        assert not end.value.code, (words, err[-2000:])
        for text in (out, err):
            assert not any(c in text for c in "\x1b\x07\u202e"), words
            assert "Warning" not in text, (words, text[-2000:])
    page = (run / "report/index.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\x07" not in page
    assert json.loads((run / "run.json").read_text())["data"]["spec"]["labels"] == sorted(NAMES)
