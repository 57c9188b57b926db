"""The real thing: processes that are signalled and killed from outside, and what they say."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from zatlas.config import make_config, read_toml
from zatlas.runs import training
from zatlas.runs.folder import RunFolder

from .trial import assert_same

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")]

ZATLAS = [sys.executable, "-c", "from zatlas.cli.app import main; main()"]


def start(*words):
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.Popen(
        [*ZATLAS, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def lines(run):
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def when_under_way(process, run, more=12):
    """Waits until so many lines of metrics were added."""
    before = lines(run)
    while lines(run) < before + more:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_interrupted_terminated_killed_and_refused_it_ends_where_it_would_have_ended(tmp_path):
    run = tmp_path / "run"
    process = start(
        *("train", "digits", "--size", "xs", "--steps", 1000, "--batch-size", 32, "--out", run, "--json"),
        *("--set", "training.threads=1", "--precision", "fp32", "--set", "training.checkpoint_every_seconds=0.5"),
    )
    when_under_way(process, run)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["stopped"] == "interrupted"
    assert f"everything is saved. Go on with: zatlas train --resume {run}" in err
    assert "Traceback" not in err

    process = start("train", "--resume", run)
    when_under_way(process, run)
    others = [start("train", "--resume", run), start("train", "digits", "--size", "xs", "--steps", 3, "--out", run)]
    when_under_way(process, run)
    process.send_signal(signal.SIGSTOP)  # it is neither to end nor to let go before the others have asked
    for other in others:
        out, err = other.communicate(timeout=60)
        assert (other.returncode, out) == (2, "")
        assert "is being trained by another process: wait for it, or give another --out." in err
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""

    process = start("train", "--resume", run)
    when_under_way(process, run)
    process.kill()
    process.communicate()
    assert RunFolder(run).record["status"] == "running"

    shutil.copy(run / "config.toml", tmp_path / "config.toml")
    training.resume(run)
    whole = make_config(("config", read_toml(tmp_path / "config.toml")))
    training.train(whole, out=tmp_path / "whole")
    assert_same(run, tmp_path / "whole")
