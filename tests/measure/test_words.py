"""The words that stand beside figures come from the figures; old records are read as they were meant."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.measure.test_measure import row
from zatlas.cli.console import comparison_table, figures_table
from zatlas.measure import Group, short_names
from zatlas.measure.words import about, lines, notes

# evaluation.json as zatlas 0.1 wrote it
OLD = {
    "data": "digits",
    "data_kind": "grey",
    "split": "test",
    "unit": "nats per example",
    "figures": {
        "elbo": {"value": -25.7, "standard_error": 0.2, "count": 180, "estimator": "one posterior sample per example"},
        "active_units": {"value": 2, "standard_error": None, "count": 180, "estimator": "Var(E[z|x]) > 0.01"},
        "quadrature.log_likelihood": {"value": -25.6, "standard_error": 0.3, "count": 100, "estimator": "quadrature"},
        "importance.log_likelihood_10": {"value": -25.7, "standard_error": 0.3, "count": 50, "estimator": "10 samples"},
        "samples.frechet_distance": {"value": 9.1, "standard_error": 0.3, "count": 200, "estimator": "64 features"},
    },
}


def test_an_old_record_keeps_its_units_and_loses_the_one_over_all():
    found = {line.metric: line for line in lines(OLD)}
    shown = [line.shown() for line in lines(OLD)]
    assert shown == ["−25.7 ± 0.2 nats", "2", "−25.6 ± 0.3 nats", "−25.7 ± 0.3 nats", "9.1 ± 0.3"]
    assert found["quadrature"].n == "100"


def test_of_grey_data_nothing_is_called_log_p():
    assert not any("p(x" in line.words for line in lines(OLD))
    assert "no figure here is log p(x)" in about(OLD)
    bits = OLD | {"data_kind": "static"}
    assert [line.words for line in lines(bits)][2] == "log p(x)"
    assert [line.words for line in lines(bits | {"conditional": True})][2] == "log p(x|y)"
    assert "probability" in about(bits)
    assert "density" in about(bits | {"quantity": "density"})


def test_figures_of_other_rows_are_said_to_be():
    assert "different examples" in notes(OLD)[0]
    assert not notes(OLD | {"figures": {"elbo": OLD["figures"]["elbo"]}})


def printed(*parts, width=80):
    console = Console(width=width, highlight=False, soft_wrap=True, no_color=True)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def test_what_n_counts_what_the_error_holds_fixed_and_the_floor_are_in_the_table():
    new = {"value": 9.0, "standard_error": 0.5, "count": 200, "estimator": "64 features", "unit": "", "over": "samples"}
    record = {"data_kind": "grey", "figures": {"samples.frechet_distance": new | {"fixed": "the reference images"}}}
    record["figures"]["samples.frechet_distance_floor"] = new | {"value": 1.25}
    text = " ".join(printed(figures_table("t", lines(record))).split())
    assert "9.0 ± 0.5 200 samples" in text
    assert "64 features; the error holds the reference images fixed" in next(lines(record)).estimator
    assert "floor 1.2 ± 0.5" in text


TWENTY = [f"runs/mnist-vae-z2-{number:03}" for number in range(1, 21)]
LONG = [f"/data/experiments/2026/a-very-long-name-that-all-runs-begin-with-and-more-{end}" for end in ("x1", "x2")]


@pytest.mark.parametrize("folders", [TWENTY, LONG, ["a/x", "b/x"], ["runs/one", "runs/another-of-more-letters-still"]])
@pytest.mark.parametrize("settings", [{}, {"model": "vae"}])
def test_at_80_columns_every_run_is_told_from_every_other(folders, settings):
    rows = [row(run=folder, latent_dim=2 + at % 2, **settings) for at, folder in enumerate(folders)]
    _, table, _ = comparison_table(Group(rows), folders, 80)
    text = printed(table)
    assert max(map(len, text.splitlines())) <= 80
    body = text.splitlines()[-len(folders) :]
    assert len({line.split()[0] for line in body}) == len(folders)


def test_names_keep_what_tells_them_apart():
    names = lambda folders, width=40: list(short_names(folders, width).values())
    assert names(TWENTY, 8)[:2] == ["…z2-001", "…z2-002"]
    assert names(["runs/a", "other/a"]) == ["runs/a", "other/a"]
    assert names(["somewhere/runs/only-one"]) == ["only-one"]
    assert names(["abcdefghijklmnop", "qrstuvwxyzabcdef"], 9) == ["abcd…mnop", "qrst…cdef"]
