"""A Ray cluster of two workers, one of which is killed: what comes out is what comes out anywhere."""

import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import zatlas
from zatlas.config import make_config
from zatlas.errors import UsageError, ZatlasError
from zatlas.runs.cluster import connected, train_on_ray
from zatlas.runs.training import train

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


def test_a_cluster_on_this_machine_that_does_not_come_up_is_said(monkeypatch):
    ray = pytest.importorskip("ray", reason="pip install 'zatlas[cluster]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def begin(**told):
        raise Exception("The current node timed out during startup.")  # noqa: TRY002 (as Ray says it)

    monkeypatch.setattr(ray, "init", begin)
    with (
        pytest.raises(ZatlasError, match=r"a Ray cluster on this machine cannot be begun \(The current node"),
        connected(2),
    ):
        pass


def test_what_is_set_for_a_cluster_of_this_machine_is_set_as_long_as_it_is_there(monkeypatch):
    ray = pytest.importorskip("ray", reason="pip install 'zatlas[cluster]'")
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "7")  # a person's own
    for name in ("RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    seen = []

    def look(*_, **__):
        seen.append({n: os.environ.get(n) for n in ("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "RAY_USAGE_STATS_ENABLED")})

    monkeypatch.setattr(ray, "init", look)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray, "shutdown", look)
    with connected(2):
        pass
    look()
    ours = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "7", "RAY_USAGE_STATS_ENABLED": "0"}
    assert seen == [ours, ours, {**ours, "RAY_USAGE_STATS_ENABLED": None}]
    monkeypatch.setenv("RAY_ADDRESS", "auto")  # somebody else's cluster is as it is
    with connected(2):
        pass
    assert [each["RAY_USAGE_STATS_ENABLED"] for each in seen[3:]] == [None, None]


@pytest.fixture
def two_places(monkeypatch):
    """A cluster of this machine with room for two workers; one for all of a test, as to begin one takes seconds."""
    pytest.importorskip("ray", reason="pip install 'zatlas[cluster]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    with ExitStack() as cluster:
        try:
            cluster.enter_context(connected(2))
        except ZatlasError as error:  # what zatlas then says has a test of its own
            if "timed out during startup" not in str(error):
                raise
            pytest.skip(f"this machine is too busy for Ray, which waits 30 s for its own processes: {error}")
        yield


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_study_on_a_cluster_and_a_training_whose_worker_is_killed(tmp_path, two_places):
    images = tmp_path / "images.npz"  # not the digits: every process would import scikit-learn for them
    np.savez(images, X=np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8))
    words = {**STUDY, "grid": {"latent_dim": [1, 2]}, "steps": 10, "metrics": ["bound"]}
    study = zatlas.study(str(images), out=tmp_path / "study", on="ray", workers=2, **words)
    assert [row["status"] for row in study.table()] == ["finished"] * 2

    config, run = mortal(tmp_path, images), tmp_path / "run"
    train_on_ray(config, out=run, workers=2, hang_seconds=300)
    begun = [int(step) for step in (tmp_path / "steps").read_text().split()]
    assert begun == [*range(16), *range(10, 30)]  # killed at step 15, it went on from its checkpoint at step 10
    ends_as_one_process_does(config, run, tmp_path / "alone")


def mortal(folder, images):
    """A training of 30 steps, the first of whose workers kills itself once."""
    values = {
        "data": {"source": str(images)},
        "model": {"kind": "vae", "size": "xs"},
        "objective": {"kind": "tests.studies.mortal:Mortal", "at": 15, "steps": str(folder / "steps")},
        "training": {"steps": 30, "precision": "fp32", "validations": 2, "checkpoint_every_steps": 10},
    }
    return make_config(("test", values), trust=True)


def ends_as_one_process_does(config, run, alone):
    train(config, out=alone)
    there, here = (json.loads((each / "run.json").read_text()) for each in (run, alone))
    assert there["workers"] == 2
    assert there["status"] == "finished"
    assert there["result"]["loss"] == pytest.approx(here["result"]["loss"], abs=1e-3)
    losses = [[json.loads(line)["loss"] for line in (each / "metrics.jsonl").open()] for each in (run, alone)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


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
def test_two_workers_of_a_cluster_one_of_them_killed_from_outside(tmp_path, two_places):
    out = tmp_path / "study"
    killed = killing("ray::_do", lambda: any(out.glob("members/*/checkpoints/step-*")))
    study = zatlas.study("digits", out=out, on="ray", workers=2, **STUDY)
    assert killed
    assert [row["status"] for row in study.table()] == ["finished"] * 3
    events = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    assert sorted(e["event"] for e in events) == ["finished"] * 3
