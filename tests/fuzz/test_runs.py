"""Run folders whose files were damaged or whose values are others: opened, or refused in a sentence."""

import hashlib
import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w

from zatlas import measure
from zatlas.config import make_config
from zatlas.latent.directions import Direction
from zatlas.measure.comparing import _known
from zatlas.measure.running import _keep
from zatlas.runs import training
from zatlas.runs.opened import Run
from zatlas.training import checkpoint
from zatlas.walks.directions import attribute, saved

from .mutations import altered, damaged, each_case

OLD = Path(os.environ.get("ZATLAS_SHARED", "../shared")) / "reference" / "runs-0.1"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    words = {"steps": 5, "precision": "fp32", "threads": 1, "validations": 2}
    values = {"data": {"source": "digits"}, "model": {"size": "xs"}, "training": words}
    opened = training.train(make_config(("test", values)), out=folder / "new")
    measure.evaluate_run(opened)
    attribute(opened, "3", "8", name="three", n=2)
    opened.fit_prior("mixture", components=2)
    found = [folder / "new"]
    for kind in ("vae", "gan", "ppca", "vqvae"):
        if (OLD / kind).is_dir():
            found.append(shutil.copytree(OLD / kind, folder / kind))
    return found


def look(run):
    """What commands read of a run."""
    opened = Run(run, device="cpu")
    opened.folder.metrics()
    opened.folder.snapshots()
    for direction in saved(run):
        assert isinstance(direction, Direction)
    if opened.has_prior():
        opened.ex_post_prior("mixture")
    _known(opened, None)
    same = {"step": 5, "data_sha256": None, "split": "test", "data_kind": "grey", "figures": {}}
    _keep(same, run / "evaluation.json")
    if opened.has_data and opened.config.data.source == "digits":
        opened.rows(opened.held_out())


def resealed(run, file, rng):
    """What checksums there are made to fit, so that the values behind them are read."""
    if file.name == "config.toml":
        record = json.loads((run / "run.json").read_text())
        record["config_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (run / "run.json").write_text(json.dumps(record))
    elif file.name == "state.json":
        record = json.loads(file.read_text())
        if not isinstance(record, dict):
            return
        record.pop("record_sha256", None)
        file.write_text(json.dumps({**record, "record_sha256": checkpoint._seal(record)}))


@pytest.mark.slow
def test_run_folders(runs):
    files = {run: sorted(p for p in run.rglob("*") if p.is_file() and not p.name.startswith(".")) for run in runs}
    contents = {path: path.read_bytes() for paths in files.values() for path in paths}
    touched: set[Path] = set()

    def case(rng):
        for path in touched:
            path.write_bytes(contents[path])
        run = rng.choice(runs)
        file = rng.choice([p for p in files[run] if p.name != "expected.npz"])
        touched.clear()
        touched.update({file, run / "run.json"})
        if file.suffix == ".json" and rng.random() < 0.7:
            file.write_text(json.dumps(altered(rng, json.loads(contents[file]))))
            resealed(run, file, rng)
        elif file.suffix == ".toml" and rng.random() < 0.7:
            values = altered(rng, tomllib.loads(contents[file].decode()))
            try:
                file.write_text(tomli_w.dumps(values))
            except (TypeError, ValueError, AttributeError):
                file.write_bytes(damaged(rng, contents[file]))
            resealed(run, file, rng)
        else:
            file.write_bytes(damaged(rng, contents[file]))
        return lambda: look(run)

    each_case("runs", 150, case)
