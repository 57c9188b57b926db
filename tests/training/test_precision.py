"""What decides the numbers is no clock: precision and threads follow from the hardware and the shapes."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from zatlas.config import make_config
from zatlas.data import Batches
from zatlas.recipes import build_game
from zatlas.runs.data import open_data
from zatlas.runs.setup import set_up
from zatlas.training import choose_arithmetic, crowded, precision, using_threads

from .test_loop import CPU, source, trainer, weights


def game_and_batch(size="xs", kind="vae", rows=20):
    data = source()
    torch.manual_seed(0)
    game = build_game(make_config(("test", {"model": {"size": size, "kind": kind}})), data.spec, len(data))
    return game, next(iter(Batches(data, np.arange(len(data)), batch_size=rows, seed=0).epoch(0)))


def test_a_stopwatch_that_lies_changes_nothing(monkeypatch):
    """Of ten trainings on a busy machine nine came out alike: a delay had made bfloat16 look faster."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(time, "perf_counter", lambda clock=time.perf_counter: clock() + rng.exponential(10))
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    config = make_config(("test", {"data": {"source": "digits"}, "training": {"steps": 2}}))
    found = {set_up(config, *open_data(config)).arithmetic for _ in range(5)}
    assert {(one.precision, one.threads) for one in found} == {("bf16", 2)}


def test_precision_is_that_of_the_hardware_where_a_step_is_large(monkeypatch):
    small, large = game_and_batch(), game_and_batch("m")
    for able, wanted in ((False, ("fp32", "fp32")), (True, ("fp32", "bf16"))):
        monkeypatch.setattr(precision, "fast_bf16", lambda device, able=able: able)
        assert tuple(choose_arithmetic(*some, CPU).precision for some in (small, large)) == wanted
    assert choose_arithmetic(*small, CPU, precision="bf16").precision == "bf16"
    assert choose_arithmetic(*large, CPU, precision="fp32").precision == "fp32"


def test_products_are_computed_in_the_precision_that_is_named():
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with precision.autocast(CPU, name):
            assert layer(x).dtype == dtype


def test_threads_follow_the_work(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    small, large = (choose_arithmetic(*game_and_batch(size, rows=96), CPU) for size in ("xs", "m"))
    assert small.threads == 1
    assert 1 < large.threads < 64
    assert "GFLOP" in large.reason
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert choose_arithmetic(*game_and_batch("m", rows=96), CPU).threads == 2


@pytest.mark.parametrize(("work", "threads"), [(0.3, 1), (0.38, 2), (0.62, 2), (0.63, 3), (9, 8)])
def test_a_thread_is_for_a_quarter_of_a_gflop_to_the_nearest(monkeypatch, work, threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(precision, "step_gflop", lambda game, batch: work)
    assert choose_arithmetic(*game_and_batch(), CPU).threads == threads


def test_products_are_counted_right():
    """Three products for each linear layer, of its output, its weight's gradient and its input's, 2 B I O each."""
    game, batch = game_and_batch()
    layers = [m for m in game.modules() if isinstance(m, torch.nn.Linear)]
    once = sum(2 * len(batch.x) * m.in_features * m.out_features for m in layers)
    # the gradients of x and of z's sine features' input: x has none
    first = game.model.encoder.net.layers[0]
    assert (
        precision.step_gflop(game, batch) * 1e9 == 3 * once - 2 * len(batch.x) * first.in_features * first.out_features
    )


def test_second_derivatives_are_counted():
    assert precision.step_gflop(*game_and_batch(kind="gan")) > precision.step_gflop(*game_and_batch())


def test_counting_changes_nothing():
    t = trainer()
    before, randomness = weights(t), torch.get_rng_state()
    precision.step_gflop(t.game, next(iter(t.batches.epoch(0))))
    assert torch.equal(randomness, torch.get_rng_state())
    assert all(torch.equal(v, weights(t)[n]) for n, v in before.items())
    assert all(p.grad is None for p in t.game.parameters())


def test_more_threads_than_can_be_had_are_not_started():
    """A hundred thousand of them end the interpreter; a few more than there are cores repeat a larger machine's run."""
    before, most = torch.get_num_threads(), max(64, os.cpu_count() or 1)
    with using_threads(100_000):
        assert torch.get_num_threads() == most
        torch.ones(300, 300) @ torch.ones(300, 300)
    assert torch.get_num_threads() == before
    assert choose_arithmetic(*game_and_batch(), CPU, threads=100_000).threads == most
    assert precision.runnable(3) == 3


def test_a_crowd_is_noticed(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for load, words in ((2.2, None), (7.9, "load 7.9 on 2 cores")):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert (crowded() is None) if words is None else (words in crowded())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for policy in ("passive", "active"):
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
        assert ("OMP_WAIT_POLICY=passive" in crowded()) == (policy == "active")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "passive 3000"),
        ({"OMP_WAIT_POLICY": "active"}, "active None"),
        ({"GOMP_SPINCOUNT": "7"}, "passive 7"),
    ],
)
def test_waiting_threads_soon_sleep_unless_they_are_asked_to_spin(given, said):
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")} | given
    show = "import zatlas, os; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == said
