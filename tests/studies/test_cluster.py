"""A Ray cluster of two workers, one of which is killed: what comes out is what comes out anywhere."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import zatlas
from zatlas.config import make_config
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs.cluster import connected, train_on_ray

STUDY = {"grid": {"latent_dim": [1, 2, 3]}, "steps": 40, "size": "xs", "verbose": False, "report": False}


def test_ray_that_is_missing_is_named_with_what_mends_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ZatlasError, match=r"--on ray needs the library ray: pip install 'zatlas\[cluster\]'"):
        zatlas.study("digits", out=tmp_path / "study", on="ray", **STUDY)


def test_words_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="--on knows ray, and 'slurm' is given"):
        zatlas.study("digits", out=tmp_path / "study", on="slurm", **STUDY)
    with pytest.raises(UsageError, match="0 workers cannot be"), connected(0):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_a_cluster_that_cannot_be_reached_is_said_at_once(monkeypatch, address):
    pytest.importorskip("ray", reason="pip install 'zatlas[cluster]'")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ZatlasError, match=f"RAY_ADDRESS={address} cannot be reached"), connected(2):
        pass


def killing(pattern, when):
    """Kills a process of Ray whose title has the pattern, once ``when`` says so."""

    def kill():
        while not when():
            time.sleep(0.05)
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if pattern in place.read_text():
                    os.kill(int(place.parent.name), signal.SIGKILL)
                    killed.append(place.parent.name)
                    return
            except OSError:
                continue

    killed: list[str] = []
    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return killed


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds workers by /proc")
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_of_a_cluster_one_of_them_killed(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="pip install 'zatlas[cluster]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    with connected(2):  # one cluster for both, as to begin one takes seconds
        out = tmp_path / "study"
        killed = killing("ray::_do", lambda: any(out.glob("members/*/checkpoints/step-*")))
        study = zatlas.study("digits", out=out, on="ray", workers=2, **STUDY)
        assert killed
        assert [row["status"] for row in study.table()] == ["finished"] * 3
        events = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
        assert sorted(e["event"] for e in events) == ["finished"] * 3

        values = {
            "data": {"source": "digits"},
            "model": {"kind": "vae", "size": "xs"},
            "training": {"steps": 60, "precision": "fp32", "checkpoint_every_steps": 10},
        }
        config, run = make_config(("test", values)), tmp_path / "run"
        killed = killing("ray::RayTrainWorker", (run / "checkpoints" / "step-00000010").is_dir)
        train_on_ray(config, out=run, workers=2, hang_seconds=300)
        assert killed
        alone = zatlas.train("digits", size="xs", steps=60, precision="fp32", out=tmp_path / "alone", verbose=False)
        there = json.loads((run / "run.json").read_text())
        assert there["workers"] == 2
        assert there["result"]["loss"] == pytest.approx(alone.folder.record["result"]["loss"], abs=1e-3)
