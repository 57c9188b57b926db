"""Runs of code that is named by its place: what is executed, and what a person is told."""

import json

import pytest

from .conftest import commands

NOISY = 'import sys\nprint("I RAN", file=sys.stderr)\n'
MINE = f"""
{NOISY}
from zatlas.objectives import Variational

class Mine(Variational):
    "As the ELBO."
"""
DATA = f"{NOISY}from zatlas_extension.data import Spirals as Own\n"


@pytest.mark.slow
def test_code_named_by_its_place_is_asked_for_and_missed(copied, tmp_path):
    here, away = tmp_path / "here", tmp_path / "away"
    here.mkdir(), away.mkdir()
    (here / "mine.py").write_text(MINE)
    (here / "mydata.py").write_text(DATA)
    parts = "--network zatlas_extension.network:strided --prior zatlas_extension.prior:StudentPrior"
    (trained,) = commands(
        f"train mydata:Own --objective mine:Mine --beta 2 {parts} --steps 4 --set training.validations=1 -q --out run",
        folder=here,
        path=[copied],
    )
    assert trained[0] == 0, trained[2]
    config = (here / "run" / "config.toml").read_text()
    for place in ("mydata:Own", "mine:Mine", "zatlas_extension.network:strided", "zatlas_extension.prior:StudentPrior"):
        assert f'"{place}"' in config  # although the files declare shorter names, which nobody would find
    kept = json.loads((here / "run" / "run.json").read_text())["parts"]
    assert {part["place"] for part in kept} >= {"mine:Mine", "zatlas_extension.network:strided"}
    assert all(part["package"] is None for part in kept)

    *refused, listed, evaluated, resumed = commands(
        "evaluate run --metric bound",
        "sample run",
        "train --resume run --steps 5",
        "train --config run/config.toml",
        "runs .",
        "evaluate run --metric bound --rows 20 --trust",
        "train --resume run --steps 5 --trust -q",
        folder=here,
        path=[copied],
    )
    for status, _, said in refused:
        assert status == 2
        assert "I RAN" not in said
        assert "if you trust it, say so with --trust" in said
    assert listed[0] == evaluated[0] == resumed[0] == 0, (listed, evaluated, resumed)
    assert "I RAN" not in listed[2]
    assert "I RAN" in evaluated[2]
    assert "has changed" not in evaluated[2] + resumed[2]

    (here / "mine.py").write_text(MINE + "# another line\n")
    changed = commands("sample run -n 4 --trust", "train --resume run --steps 6 --trust", folder=here, path=[copied])
    for status, _, said in changed:
        assert status == 0, said
        assert "The source of mine:Mine has changed since this run was made" in said
    ((status, _, said),) = commands(f"sample {here / 'run'} --trust", folder=away, path=[copied])
    assert status == 2
    assert "the module mine is not installed and is not in this folder" in said
