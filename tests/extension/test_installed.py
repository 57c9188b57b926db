"""The five examples of docs/extending.md, installed beside zatlas: they are parts like any other."""

import json
import tomllib

import pytest

from .conftest import EXTENSION, commands, process

FILES = sorted((EXTENSION / "src" / "zatlas_extension").glob("[a-z]*.py"))
SHORT = "--steps 6 --seed 1 --set training.validations=1 -q"
NAMED = "spirals:60 --objective floored --network strided --prior student"
TOML = """
[data]
source = "spirals:60"
[network]
kind = "strided"
channels = 4
[prior]
kind = "student"
freedom = 3.0
[objective]
kind = "floored"
floor_nats = 2.0
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_has_at_most_forty_lines(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 40


def test_every_example_is_an_entry_point(project):
    points = [value.partition(":")[0] for group in project["entry-points"].values() for value in group.values()]
    assert sorted(points) == [f"zatlas_extension.{file.stem}" for file in FILES]


@pytest.mark.slow
def test_all_five_train_by_name_and_the_run_is_like_any_other(installed, tmp_path):
    (tmp_path / "mine.toml").write_text(TOML)
    listed, one, trained, *rest, toml, unknown, wrong = commands(
        "models --json",
        "models floored --json",
        f"train {NAMED} --set objective.floor_nats=2 {SHORT} --out runs/named --json",
        "evaluate runs/named --metric bound --metric sharpness --rows 20 --json",
        "report runs/named",
        "train --resume runs/named --steps 8 -q",
        f"train --config mine.toml {SHORT} --out runs/toml",
        "train spirals --objective flored",
        "train spirals --objective floored --set objective.floor=2",
        folder=tmp_path,
        path=[installed],
    )
    known = json.loads(listed[1])
    assert known["objective"]["floored"].startswith("codes that may hold a few nats")
    assert known["settings"]["objective"]["floored"]["floor_nats"]["default"] == 1.0
    assert known["settings"]["network"]["strided"]["channels"]["about"] == "of the first convolution"
    assert "student" in known["prior"]
    assert "sharpness" in known["metric"]
    assert "spirals" in known["format"]
    assert "floored" in known["objectives_of_model"]["vae"]
    assert "floored" not in known["objectives_of_model"]["gan"]
    assert json.loads(one[1])["parts"][0]["source"].startswith("Kingma")

    assert trained[0] == 0, trained[2]
    for status, _, said in (*rest, toml):
        assert status == 0, said
    figures = json.loads(rest[0][1])["figures"]
    assert figures["sharpness.sharpness"]["value"] > 0
    record = json.loads((tmp_path / "runs" / "named" / "run.json").read_text())
    assert record["steps"] == 8
    kept = {part["kind"]: part for part in record["parts"]}
    assert set(kept) == {"floored", "strided", "student", "spirals"}
    assert all(part["package"] == "zatlas-extension" and part["version"] == "1.0" for part in kept.values())
    assert all(len(part["source_sha256"]) == 64 for part in kept.values())
    config = tomllib.loads((tmp_path / "runs" / "toml" / "config.toml").read_text())
    assert config["network"] == {"kind": "strided", "channels": 4}
    assert config["prior"]["freedom"] == 3.0
    assert unknown[0] == 2
    assert "did you mean floored?" in unknown[2]
    assert wrong[0] == 2
    assert "did you mean objective.floor_nats?" in wrong[2]

    sampled, elsewhere = (
        commands("sample runs/named -n 4", folder=tmp_path, path=path)[0] for path in ([installed], [])
    )
    assert sampled[0] == 0, "a run of installed parts needs no trust"
    assert elsewhere[0] == 2
    assert "is of the package zatlas-extension 1.0, which is not installed here" in elsewhere[2]


CHECKS = """
import zatlas
from zatlas.testing import check_metric, check_network, check_objective, check_prior, check_source
from zatlas_extension.data import Spirals
from zatlas_extension.metric import sharpness
from zatlas_extension.network import strided
from zatlas_extension.objective import Floored
from zatlas_extension.prior import StudentPrior
check_objective(Floored, floor_nats=0.5)
check_network(strided, channels=4)
check_prior(StudentPrior)
check_metric(sharpness)
check_source(Spirals(40))
run = zatlas.train(
    Spirals(60), objective=Floored(floor_nats=2.0), prior=StudentPrior, network=strided, steps=3, verbose=False
)
assert run.config.objective.floor_nats == 2.0
assert run.config.objective.kind == "floored"  # and not its place, since its package is installed
"""


@pytest.mark.slow
def test_all_five_keep_the_laws_and_train_from_python(installed, tmp_path):
    process(CHECKS, folder=tmp_path, path=[installed])
