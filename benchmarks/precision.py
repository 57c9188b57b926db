"""Precision and threads by rule, beside what a stopwatch finds on this machine: the best of a few gradients.

On a busy machine the stopwatch's columns are chance, which is why the rules are followed and it is not. bfloat16 is
timed where the hardware has it: by way of float32 it takes minutes. Run it with OMP_WAIT_POLICY=passive and
GOMP_SPINCOUNT=3000 in the environment, as the command line has them.
"""

from __future__ import annotations

import copy
import time
from itertools import product

import torch
from common import need_shared, parser, show

from zatlas.config import make_config
from zatlas.decoding.pool import cores
from zatlas.runs.data import open_data
from zatlas.runs.training import set_up
from zatlas.training import Game, Precision, autocast, choose_arithmetic, using_threads
from zatlas.training.precision import fast_bf16, step_gflop
from zatlas.types import Batch

CPU = torch.device("cpu")
CASES = [
    *({"data": data, "network": "mlp", "size": size} for data in ("digits", "mnist") for size in ("xs", "s", "m")),
    *({"data": "mnist", "network": network, "size": "s"} for network in ("conv", "resnet")),
    {"data": "mnist", "network": "course-conv", "batch": 32},
    {"data": "mnist", "network": "burda", "latent_dim": 50},
    {"data": "digits", "network": "conv", "size": "s"},
    {"data": "digits", "kind": "gan", "network": "mlp", "size": "s"},
    {"data": "digits", "kind": "ladder", "network": "mlp", "size": "s", "latent_dim": 8},
]


def seconds(game: Game, batch: Batch, precision: Precision, threads: int, repeats: int) -> float:
    found, device = [], batch.x.device
    with using_threads(threads):
        for _ in range(repeats):
            start = time.perf_counter()
            for player in game.players:
                with autocast(device, precision):
                    loss = game(player, batch, 0).loss.sum()
                torch.autograd.grad(loss, game.owned(player), allow_unused=True)
            found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    arguments = parser(__doc__ or "").parse_args()
    need_shared()
    rows = []
    kinds: tuple[Precision, ...] = ("fp32", "bf16") if fast_bf16(CPU) else ("fp32",)
    for case in CASES:
        model = {key: value for key, value in case.items() if key not in ("data", "batch")}
        training = {"precision": "fp32", "device": "cpu", "batch_size": case.get("batch", 128)}
        values = {"data": {"source": case["data"]}, "model": model, "training": training}
        config = make_config(("the benchmark", values))
        setup = set_up(config, *open_data(config))
        batch = next(iter(setup.trainer.batches.epoch(0)))
        game = copy.deepcopy(setup.trainer.game)
        rule = choose_arithmetic(game, batch, CPU)
        choices = list(product(kinds, sorted({1, cores()})))
        took = {choice: seconds(game, batch, *choice, arguments.repeats) for choice in choices}
        fastest = min(took, key=lambda choice: took[choice])
        rows.append(
            {
                "case": " ".join(map(str, case.values())),
                "GFLOP a step": step_gflop(game, batch),
                "rule": f"{rule.precision} x {rule.threads}",
                "stopwatch": f"{fastest[0]} x {fastest[1]}",
                **{f"{kind} x {threads}, ms": 1e3 * took[kind, threads] for kind, threads in choices},
            }
        )
    show(f"Precision x threads, best of {arguments.repeats} gradients", rows, arguments.json)


if __name__ == "__main__":
    main()
