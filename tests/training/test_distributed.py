"""Laws of training in several processes: the same noise, the same gradient, the same end as in one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from zatlas.config import make_config
from zatlas.data import Cut
from zatlas.errors import UsageError
from zatlas.recipes import build_game
from zatlas.runs.data import open_data
from zatlas.runs.launching import launch
from zatlas.training.distributed import RowNoise, check_can_be_cut
from zatlas.training.team import joined, wanted
from zatlas.types import Batch

DRAWS = {
    "codes": lambda n: torch.randn(4, n, 3),
    "latents": lambda n: torch.randn((n, 3)),
    "a size by name": lambda n: torch.rand(size=(n, 2)),
    "like": lambda n: torch.randn_like(torch.empty(n, 5)),
    "images": lambda n: torch.rand(torch.Size((n, 1, 2, 2))),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("world", [2, 3])
def test_noise_is_a_function_of_the_row(draw, world):
    torch.manual_seed(5)
    whole, after = DRAWS[draw](7), torch.rand(1)
    axis = whole.shape.index(7)
    parts = []
    for rank in range(world):
        cut = Cut(rank, world, whole=7)
        rows = cut.rows(7)
        torch.manual_seed(5)
        with RowNoise(cut):
            parts.append(DRAWS[draw](rows.stop - rows.start))
        assert torch.equal(torch.rand(1), after)  # all have used up as much of the stream
    assert torch.equal(torch.cat(parts, axis), whole)


def game_of(model="vae", **objective):
    values = {"data": {"source": "digits"}, "model": {"kind": model, "size": "xs"}}
    if objective:
        values["objective"] = objective
    config = make_config(("test", values))
    source, _ = open_data(config)
    torch.manual_seed(0)
    game = build_game(config, source.spec, 1000)
    return game, Batch(torch.rand(12, 1, 8, 8), torch.eye(10)[torch.arange(12) % 10])


@pytest.mark.parametrize(
    ("model", "objective"),
    [
        ("vae", {"kind": "elbo", "beta": 4.0}),
        ("cvae", {"kind": "iwae", "samples": 3}),
        ("vae", {"kind": "constrained", "target_nats": 20.0}),
        ("ladder", {"kind": "elbo"}),
        ("ae", {"kind": "elbo"}),
        ("gan", {"kind": "relativistic"}),
    ],
)
def test_a_loss_of_single_examples_can_be_cut(model, objective):
    check_can_be_cut(*game_of(model, **objective), "it")


@pytest.mark.parametrize(
    ("model", "objective"),
    [
        ("vae", {"kind": "tcvae"}),
        ("vae", {"kind": "dip"}),
        ("vae", {"kind": "infovae"}),
        ("vae", {"kind": "factor"}),
        ("vae", {"kind": "elbo", "capacity_nats": 5.0}),
        ("vae", {"kind": "elbo", "free_bits_nats": 0.5}),
        ("vqvae", {}),
    ],
)
def test_a_loss_that_couples_examples_is_refused(model, objective):
    with pytest.raises(UsageError, match="looks at the examples of a batch together"):
        check_can_be_cut(*game_of(model, **objective), "it")


@pytest.mark.parametrize("objective", [{"kind": "tcvae", "beta": 6.0}, {"kind": "dip"}, {"kind": "infovae"}])
def test_a_coupled_loss_that_does_not_say_so_is_found_by_its_gradient(objective):
    game, batch = game_of("vae", **objective)
    type(game.objective).couples, before = False, True
    try:
        with pytest.raises(UsageError, match="another loss or gradient over a batch than over its two halves"):
            check_can_be_cut(game, batch, "it")
    finally:
        type(game.objective).couples = before


def test_batch_normalisation_is_refused():
    game, batch = game_of()
    game.model.encoder.norm = torch.nn.BatchNorm1d(3)
    with pytest.raises(UsageError, match="normalises over a batch"):
        check_can_be_cut(game, batch, "a vae")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RANK": "0"}, "RANK is set in the environment and WORLD_SIZE, MASTER_ADDR, MASTER_PORT is not"),
        ({"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "which are no numbers"),
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "ranks count from 0"),
    ],
)
def test_half_an_environment_of_torchrun_is_refused(environment, words):
    with pytest.raises(UsageError, match=words):
        wanted(environment)


def test_one_process_of_torchrun_trains_by_itself(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with joined("cpu") as team:
        assert team is None


@pytest.mark.parametrize("workers", [0, -1, 1025])
def test_a_number_of_workers_that_cannot_be(workers):
    with pytest.raises(UsageError, match=f"{workers} workers cannot be: give 1 to 1024"):
        launch(["train", "digits"], workers, hang_seconds=1)


# processes -----------------------------------------------------------------------------------------------------------

TRAIN = ["digits", "-q", "--steps", "50", "--batch-size", "63", "--size", "xs", "--set", "training.precision=fp32"]


def command(*more):
    return [sys.executable, "-m", "zatlas", "train", *TRAIN, *map(str, more)]


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["split"], line["step"], line["loss"], line.get("rate")) for line in lines]


def workers_of(process):
    """The process ids of a launcher's workers, in the order of their ranks."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds workers by /proc")


def kill_when_under_way(process, run, number):
    wait_for(lambda: (run / "checkpoints" / "step-00000010").is_dir() or process.poll() is not None)
    first = workers_of(process)
    os.kill(first[1], number)
    return first


@needs_proc
@pytest.mark.slow
def test_two_workers_one_of_them_killed_end_where_one_process_ends(tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    subprocess.run(command("--out", alone), check=True, timeout=120)
    more = ("--workers", 2, "--set", "training.checkpoint_every_steps=10", "--out", shared)
    process = subprocess.Popen(command(*[m for m in more if m != "-q"]), stderr=subprocess.PIPE, text=True)
    kill_when_under_way(process, shared, signal.SIGKILL)
    told = process.communicate(timeout=240)[1]
    assert process.returncode == 0, told
    first, second = losses(alone), losses(shared)
    assert len(first) == len(second) > 50
    for a, b in zip(first, second, strict=True):
        assert a[:2] == b[:2]
        assert b[2:] == pytest.approx(a[2:], abs=1e-4)
    record = json.loads((shared / "run.json").read_text())
    assert (record["workers"], record["status"], record["examples"]) == (2, "finished", 50 * 63 - 39 * 2)


@needs_proc
@pytest.mark.slow
@pytest.mark.thorough
def test_a_worker_that_hangs_is_named_and_begun_again(tmp_path):
    run = tmp_path / "run"
    more = ("--workers", 2, "--hang", 8, "--set", "training.checkpoint_every_steps=10", "--out", run)
    asked = [word for word in command(*more) if word != "-q"]
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True)
    kill_when_under_way(process, run, signal.SIGSTOP)
    told = process.communicate(timeout=240)[1]
    assert process.returncode == 0, told
    assert "worker 1 of 2 (from 0) gave no answer for 8 s and hangs" in told
    assert "Worker 1 of 2 (from 0) hangs and was ended. The training goes on from its last checkpoint" in told


@needs_proc
@pytest.mark.slow
@pytest.mark.thorough
def test_ctrl_c_ends_all_workers_and_keeps_the_run(tmp_path):
    run = tmp_path / "run"
    asked = command("--workers", 2, "--set", "training.checkpoint_every_steps=10", "--steps", 100000, "--out", run)
    process = subprocess.Popen(asked, stderr=subprocess.PIPE, text=True)
    wait_for((run / "checkpoints" / "step-00000010").is_dir)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.thorough
def test_a_refusal_is_said_once_and_not_tried_again(tmp_path):
    asked = [sys.executable, "-m", "zatlas", "train", "digits", "--objective", "tcvae", "--workers", "2"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("looks at the examples of a batch together") == 1
