"""Data larger than memory: images a second in training, and peak memory, beside the same data held in memory.

python benchmarks/streaming.py --rows 40000 --side 64 --seconds 20

A set of colour photographs that nobody took (smooth colours, noise, squares) is written in shards. Each row trains in a
process of its own: with everything resident, then with as much memory for examples as --memory-gb says, in windows of
blocks. "Cold" drops the files from the system's cache before, where it lets us. Peak memory is the largest resident
size of the process; what the imports and the network take is in the first row, of a set of 2,000 images.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, median, parser, show

SHARD_ROWS = 10_000
CHILD = """
import json, resource, sys, time
import zatlas
from zatlas.training import Watcher

class Clock(Watcher):
    def __init__(self): self.begun, self.first = time.process_time(), None
    def stepped(self, trainer):
        if trainer.state.step == 5: self.first = (time.perf_counter(), time.process_time(), trainer.state.examples)
        self.last = (time.perf_counter(), time.process_time(), trainer.state.examples)

words, clock = json.loads(sys.argv[1]), Clock()
run = zatlas.train(words.pop("data"), out=words.pop("out"), verbose=False, watchers=[clock], **words)
wall, cpu, examples = (b - a for a, b in zip(clock.first, clock.last))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 ** 2 if sys.platform == "darwin" else 1024)
print(json.dumps({"wall": examples / wall, "cpu": examples / cpu, "peak": peak, "steps": run.folder.record["steps"],
                  "window": run.config.data.shuffle_window}))
"""


def write(folder: Path, rows: int, side: int) -> str:
    """Shards of so many images; the path."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side] / side
    for number, first in enumerate(range(0, rows, SHARD_ROWS)):
        n = min(SHARD_ROWS, rows - first)
        out = np.lib.format.open_memmap(folder / f"{number:05}.npy", "w+", np.uint8, (n, 3, side, side))
        for part in range(0, n, 500):
            count = min(500, n - part)
            slopes, level = rng.normal(0, 60, (2, count, 3, 1, 1)), rng.uniform(40, 215, (count, 3, 1, 1))
            image = level + slopes[0] * x + slopes[1] * y + rng.normal(0, 8, (count, 1, side, side))
            out[part : part + count] = image.clip(0, 255)
        out.flush()
        del out
    return str(folder)


def drop(folder: str) -> None:
    """The files out of the system's cache."""
    for path in Path(folder).iterdir():
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def child(**words: Any) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", CHILD, json.dumps(words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return dict(json.loads(done.stdout))


def main() -> None:
    made = parser(__doc__ or "")
    made.add_argument("--rows", type=int, default=40_000, help="images (default 40,000)")
    made.add_argument("--side", type=int, default=64, help="pixels (default 64)")
    made.add_argument("--memory-gb", type=float, default=0.1, help="for examples, where they are streamed (0.1)")
    made.add_argument("--steps", type=int, default=150, help="of training (default 150)")
    made.add_argument("--network", default="mlp", help="mlp, the fastest and so the hardest to feed, conv, ... (mlp)")
    made.add_argument("--brief", action="store_true", help="in memory and streamed alone")
    made.add_argument("--folder", type=Path, help="where the set is written; None: the folder for temporary files")
    arguments = made.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        start = time.perf_counter()
        small = write(Path(folder) / "small", 2000, arguments.side)
        large = write(Path(folder) / "large", arguments.rows, arguments.side)
        gigabytes = arguments.rows * 3 * arguments.side**2 / 1e9
        print(f"{gigabytes:.2f} GB written in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        common = {"network": arguments.network, "steps": arguments.steps, "validations": 1, "validation": 200}
        common |= {"test": 200, "precision": "fp32"}
        kinds = {
            "2,000 images": {"data": small},
            "in memory": {"data": large, "resident": True},
            "streamed": {"data": large, "memory_gb": arguments.memory_gb},
            "streamed, cold": {"data": large, "memory_gb": arguments.memory_gb},
            "streamed, rows at random": {"data": large, "memory_gb": arguments.memory_gb, "shuffle_window": 0},
            "streamed, rows at random, cold": {"data": large, "memory_gb": arguments.memory_gb, "shuffle_window": 0},
        }
        if arguments.brief:
            kinds = {what: kinds[what] for what in ("in memory", "streamed")}
        found: dict[str, list[dict[str, float]]] = {what: [] for what in kinds}
        for repeat in range(arguments.repeats):  # by turns, as a busy machine slows whatever runs just then
            for what, words in kinds.items():
                if what.endswith("cold"):
                    drop(large)
                found[what].append(child(out=f"{folder}/{what}-{repeat}", **words, **common))
    base = found["in memory"]
    rows = [
        {
            "examples": what,
            "images a second": median(run["wall"] for run in runs),
            "of in memory": median(run["wall"] / other["wall"] for run, other in zip(runs, base, strict=True)),
            "by CPU time": median(run["cpu"] / other["cpu"] for run, other in zip(runs, base, strict=True)),
            "peak memory (MB)": median(run["peak"] for run in runs),
            "window (rows)": runs[0]["window"],
        }
        for what, runs in found.items()
    ]
    title = f"Training on {arguments.rows:,} colour images of {arguments.side}x{arguments.side}, {gigabytes:.2f} GB"
    show(title, rows, arguments.json)


if __name__ == "__main__":
    main()
