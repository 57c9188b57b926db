"""Two workers against one process, end to end: the same losses, and what the workers cost beside.

    python benchmarks/distributed.py                      # all there is: the digits, MNIST, photographs
    python benchmarks/distributed.py --only digits photographs
    python benchmarks/distributed.py --only photographs --steps 4   # whether it works; its ratios then say nothing

All are the command ``zatlas train``, alone with one thread and with ``--workers 2`` of one thread each
(DistributedDataParallel over gloo, this machine). The digits are a small model, of which a step takes milliseconds; the
photographs (CIFAR) a convolutional one, of which it takes the better part of a second. The largest difference of any
loss in metrics.jsonl is compared with 1e-4 nats, relative to the loss where that is above 100. Beginning the processes
is measured by itself, with one step, and taken away: "faster" is by the clock, one process over two, and says
something only where both cores are free; "overhead" is of CPU time, of two processes together over one, and holds on a
busy machine.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from common import SHARED, parser, show
from PIL import Image

FEW = ("--set", "training.validations=2")
CASES = {
    "digits": (50, "digits"),
    "mnist": (300, "mnist", "--batch-size", "512", *FEW),
    "photographs": (
        *(60, "cifar10-jpeg.zip", "--network", "conv", "--size", "m", "--batch-size", "128"),
        *("--set", "data.validation=256", "--set", "data.test=256", *FEW),
    ),
}
IMAGES = 4096  # of the photographs: as many as 60 steps of 128 show twice, and to test on all would take longer
FIXED = ("--seed", "0", "--set", "training.precision=fp32", "--set", "training.threads=1", "-q")


def run(words: tuple[str, ...], out: Path, *more: str) -> tuple[float, float, list[dict[str, Any]]]:
    """Seconds by the clock and of CPU time, the command's processes together, and the lines of metrics.jsonl."""
    environment = {**os.environ, "ZATLAS_DATA": str(SHARED / "data"), "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "zatlas", "train", *words, *FIXED, "--out", str(out), *more]
    subprocess.run(command, check=True, env=environment)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def some_of(archive: Path, place: Path) -> Path:
    """Some of the photographs of an archive, spread over its classes, as an array."""
    with zipfile.ZipFile(archive) as held:
        names = [name for name in held.namelist() if name.startswith("train/")]
        chosen = names[:: len(names) // IMAGES][:IMAGES]
        images = np.stack([np.asarray(Image.open(io.BytesIO(held.read(name)))) for name in chosen])
    np.savez(place / "photographs.npz", X=images)
    return place / "photographs.npz"


def compared(name: str, steps: int | None) -> dict[str, float | str]:
    usual, data, *more = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        words = (str(some_of(SHARED / "data" / data, place)) if data.endswith(".zip") else data, *more)
        run((*words, "--steps", "1"), place / "first")  # reads and decodes what later runs find in the cache
        seconds, cpu, losses = {}, {}, {}
        for who, workers in (("one", ()), ("two", ("--workers", "2"))):
            begin, begin_cpu, _ = run((*words, "--steps", "1"), place / f"begin-{who}", *workers)
            all_of_it, all_cpu, lines = run((*words, "--steps", str(steps or usual)), place / who, *workers)
            seconds[who], cpu[who] = (begin, all_of_it), (begin_cpu, all_cpu)
            losses[who] = [line["loss"] for line in lines]
    assert len(losses["one"]) == len(losses["two"])
    off = max(abs(a - b) for a, b in zip(losses["one"], losses["two"], strict=True))
    largest = max(1.0, max(map(abs, losses["one"])) / 100)
    assert off < 1e-4 * largest, f"losses differ by {off}"
    training = {who: (seconds[who][1] - seconds[who][0], cpu[who][1] - cpu[who][0]) for who in seconds}
    return {
        "data": name,
        "steps": (steps or usual) - 1,
        "largest difference, nats": off,
        "largest loss": max(map(abs, losses["one"])),
        "one s": seconds["one"][1],
        "two s": seconds["two"][1],
        "begin one s": seconds["one"][0],
        "begin two s": seconds["two"][0],
        "one CPU s": cpu["one"][1],
        "two CPU s": cpu["two"][1],
        "faster": training["one"][0] / training["two"][0],
        "overhead": training["two"][1] / training["one"][1] - 1,
    }


def main() -> None:
    asked = parser(__doc__.splitlines()[0])
    asked.add_argument("--only", choices=list(CASES), nargs="+", help="which (default: those whose data are there)")
    asked.add_argument("--steps", type=int, help="instead of each one's own")
    given = asked.parse_args()
    names = given.only or [
        n for n, (_, data, *_) in CASES.items() if n == "digits" or (SHARED / "data" / data).exists()
    ]
    rows = [compared(name, given.steps) for name in names]
    show("Two gloo workers against one process", rows, given.json)


if __name__ == "__main__":
    main()
