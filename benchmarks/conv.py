"""Training throughput of the convolutional networks: images a second and the share of the machine's product peak.

    python benchmarks/conv.py                       # ours, as torch would lay images out, and the notebook's own loop
    python benchmarks/conv.py --pythae PYTHON       # and pythae's convolutional networks, by the Python that has it
    python benchmarks/conv.py --compile             # and the notebook's network compiled by inductor

A share is of the best rate of a square matrix product in the same precision and with the same threads. The notebook's
row is its whole loop, which decodes one image at a time; pythae's its training step on tensors that lie ready.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from common import median, need_shared, parser, show
from throughput import peak

from zatlas.config import make_config
from zatlas.data import ArraySource, Batches
from zatlas.networks import layout
from zatlas.recipes import build_game, optimisation
from zatlas.training import Budget, Schedule, Trainer
from zatlas.training.precision import choose_arithmetic, choose_device, step_gflop

CASES: list[tuple[dict[str, Any], tuple[int, ...], int]] = [
    ({"network": "course-conv"}, (28, 28), 32),
    ({"network": "course-conv"}, (28, 28), 128),
    ({"network": "conv"}, (28, 28), 128),
    ({"network": "conv"}, (32, 32, 3), 128),
    ({"network": "conv", "size": "m"}, (64, 64, 3), 64),
    ({"network": "resnet", "size": "xs"}, (28, 28), 128),
    ({"network": "resnet"}, (32, 32, 3), 128),
    ({"network": "resnet"}, (64, 64, 3), 64),
    ({"kind": "gan", "network": "conv", "latent_dim": 64}, (28, 28), 64),
]
PYTHAE = """
import sys, time, statistics, torch
from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.{data} import Encoder_Conv_VAE_{name} as E, Decoder_Conv_AE_{name} as D
torch.manual_seed(0)
config = VAEConfig(input_dim={shape}, latent_dim=16, reconstruction_loss="bce")
model = VAE(config, encoder=E(config), decoder=D(config))
optimiser = torch.optim.Adam(model.parameters(), 1e-3)
x, times = torch.rand({batch}, *{shape}), []
for step in range(20):
    start = time.perf_counter()
    optimiser.zero_grad(); model({{"data": x}}).loss.backward(); optimiser.step()
    times.append(time.perf_counter() - start)
print({batch} / statistics.median(times[3:]))
"""


@contextmanager
def plain(wanted: bool) -> Iterator[None]:
    """Images as torch lays them out, if wanted."""
    before = layout.arrangeable
    if wanted:
        layout.arrangeable = lambda x: False
    try:
        yield
    finally:
        layout.arrangeable = before


def make(words: dict[str, Any], shape: tuple[int, ...], batch_size: int) -> Any:
    """A trainer of this network on noise, its arithmetic, and GFLOP of a step."""
    rng = np.random.default_rng(0)
    data = ArraySource("noise", rng.integers(0, 256, (8 * batch_size, *shape), dtype=np.uint8))
    config = make_config(("benchmark", {"model": words}))
    torch.manual_seed(0)
    game = build_game(config, data.spec, len(data))
    batches = Batches(data, np.arange(len(data)), batch_size=batch_size)
    batch, device = next(iter(batches.epoch(0))), choose_device("cpu")
    arithmetic = choose_arithmetic(game, batch, device)
    work = step_gflop(game, batch)
    trainer = lambda steps: Trainer(
        game,
        batches,
        budget=Budget(steps=steps),
        optimisation=optimisation(config.training),
        schedule=Schedule(),
        device=device,
        threads=arithmetic.threads,
        precision=arithmetic.precision,
    )
    return trainer, arithmetic, work


def rate(trainer: Any, batch_size: int, seconds: float = 2.0) -> float:
    """Images a second of the loop, over about so many seconds."""
    first = trainer(3).fit()
    steps = max(5, int(seconds / max(first.seconds / 3, 1e-4)))
    state = trainer(steps).fit()
    return state.examples / state.seconds


def notebook() -> float:
    """Images a second of the course notebook's own training loop, batch 32."""
    shared = need_shared()
    command = [sys.executable, str(shared / "anchors" / "course_vae.py"), str(shared / "data" / "mnist"), "--epochs"]
    done = subprocess.run([*command, "1"], capture_output=True, text=True, check=True)
    return 60_000 / json.loads(done.stdout.splitlines()[-1])["train_s"]


def compiled(batch_size: int) -> tuple[float, float]:
    """Images a second of the course's network under torch.compile, and the seconds that compiling took."""
    trainer, arithmetic, _ = make({"network": "course-conv"}, (28, 28), batch_size)
    torch.set_num_threads(arithmetic.threads)
    loop = trainer(3)
    for part in (loop.game.model.encoder, loop.game.model.decoder):
        part.compile()
    start = time.perf_counter()
    loop.fit()
    took = time.perf_counter() - start
    return rate(trainer, batch_size), took


def arguments() -> argparse.Namespace:
    p = parser(__doc__ or "")
    p.add_argument("--pythae", metavar="PYTHON", help="a Python in whose environment pythae is installed")
    p.add_argument("--compile", action="store_true", help="also compile the notebook's network with inductor")
    return p.parse_args()


def main() -> None:
    asked, rows, most = arguments(), [], torch.get_num_threads()
    for words, shape, batch_size in CASES:
        torch.set_num_threads(most)  # of which each case takes as many as zatlas chooses
        trainer, arithmetic, work = make(words, shape, batch_size)
        ours, theirs, shares = [], [], []
        torch.set_num_threads(arithmetic.threads)
        for _ in range(asked.repeats):
            top = peak(arithmetic.precision)
            with plain(False):
                ours.append(rate(trainer, batch_size))
            with plain(True):
                theirs.append(rate(trainer, batch_size))
            shares.append(ours[-1] / batch_size * work * 1e9 / max(top, peak(arithmetic.precision)))
        rows.append(
            {
                "network": " ".join(str(value) for value in words.values()),
                "image": "x".join(map(str, shape)),
                "batch": batch_size,
                "precision": f"{arithmetic.precision}, {arithmetic.threads} thread(s)",
                "images/s": round(median(ours)),
                "of peak": f"{median(shares):.0%}",
                "as torch lays it out": round(median(theirs)),
                "ratio": median(a / b for a, b in zip(ours, theirs, strict=True)),
            }
        )
        print(*rows[-1].values(), sep="  ", file=sys.stderr, flush=True)  # should a later case fail
    torch.set_num_threads(most)
    loop = notebook()
    own = next(row["images/s"] for row in rows if row["network"] == "course-conv" and row["batch"] == 32)
    rows.append({"network": "the notebook's loop", "image": "28x28", "batch": 32, "images/s": round(loop)})
    print(f"course-conv at batch 32: {own / loop:.2f} times the notebook's speed")
    if asked.compile:
        for batch_size in (32, 128):
            torch.set_num_threads(most)
            found, took = compiled(batch_size)
            name = f"course-conv, compiled in {took:.0f} s"
            rows.append({"network": name, "image": "28x28", "batch": batch_size, "images/s": round(found)})
    if asked.pythae:
        for data, name, shape, batch_size in (
            ("mnist", "MNIST", (1, 28, 28), 128),
            ("celeba", "CELEBA", (3, 64, 64), 64),
        ):
            code = PYTHAE.format(data=data, name=name, shape=shape, batch=batch_size)
            done = subprocess.run([asked.pythae, "-c", code], capture_output=True, text=True, check=True)
            image = "x".join(map(str, (*shape[1:], *shape[:1])))
            speed = round(float(done.stdout.split()[-1]))
            rows.append({"network": "pythae's convolutional", "image": image, "batch": batch_size, "images/s": speed})
    show("Training throughput of convolutional networks (medians)", rows, asked.json)


if __name__ == "__main__":
    main()
