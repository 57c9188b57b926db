"""Training throughput of the mlp network as a fraction of the machine's own matrix-product peak in that precision.

    python benchmarks/throughput.py

A step's arithmetic is six operations a weight and example (two forward, four backward), less the gradient with respect
to the encoder's input, which nobody needs.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from common import median, parser, show

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.recipes import build_game, optimisation
from zatlas.training import Budget, Schedule, Trainer

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def peak(precision: str, size: int = 2048) -> float:
    """Best rate of a square matrix product, operations a second."""
    a = torch.randn(size, size).to(DTYPES[precision])
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def arithmetic(game: torch.nn.Module, data_size: int) -> float:
    """Operations of one training step for one example."""
    layers = [m for m in game.modules() if isinstance(m, torch.nn.Linear)]
    weights = sum(layer.weight.numel() for layer in layers)
    first = next(layer.weight.numel() for layer in layers if layer.in_features == data_size)
    return 6.0 * weights - 2.0 * first


def train(size: str, batch_size: int, precision: str, steps: int) -> tuple[float, float]:
    """Examples a second, and operations for each."""
    rng = np.random.default_rng(0)
    data = ArraySource("noise", rng.integers(0, 256, (20_000, 28, 28), dtype=np.uint8))
    config = make_config(("benchmark", {"model": {"size": size}}))
    torch.manual_seed(0)
    game = build_game(config, data.spec, len(data))
    trainer = Trainer(
        game,
        Batches(data, np.arange(len(data)), batch_size=batch_size),
        budget=Budget(steps=steps),
        optimisation=optimisation(config.training),
        schedule=Schedule(),
        device=torch.device("cpu"),
        precision=precision,  # type: ignore[arg-type]
    )
    state = trainer.fit()
    return state.examples / state.seconds, arithmetic(game, 784)


def main() -> None:
    arguments = parser(__doc__ or "").parse_args()
    rows = []
    for precision in DTYPES:
        for size, batch_size in (("s", 128), ("s", 512), ("m", 512), ("l", 512), ("l", 1024)):
            ratios, speeds, peaks = [], [], []
            for _ in range(arguments.repeats):
                top = peak(precision)
                speed, operations = train(size, batch_size, precision, steps=max(10, 40 * 512 // batch_size))
                top = max(top, peak(precision))
                ratios.append(speed * operations / top)
                speeds.append(speed)
                peaks.append(top)
            rows.append(
                {
                    "precision": precision,
                    "size": size,
                    "batch": batch_size,
                    "images/s": round(median(speeds)),
                    "peak GFLOP/s": median(peaks) / 1e9,
                    "of peak": f"{median(ratios):.0%}",
                }
            )
    show("Training throughput of mlp against the matrix-product peak (medians)", rows, arguments.json)


if __name__ == "__main__":
    main()
