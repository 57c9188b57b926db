"""Two workers against one process, end to end: the same losses, and what the workers cost beside.

    python benchmarks/distributed.py                      # a VAE on the digits, 50 steps, then MNIST
    python benchmarks/distributed.py --only digits

Both are the command ``zatlas train``, alone and with ``--workers 2`` (DistributedDataParallel over gloo, this machine).
The largest difference of any loss in metrics.jsonl is compared with 1e-4 nats. The overhead is that of CPU time, of all
processes together, over one process with one thread, less what it takes to begin each process: CPU time says something
on a busy machine too, where the clock does not.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import SHARED, parser, show

CASES = {
    "digits": ("digits", "--steps", "50"),
    "mnist": ("mnist", "--steps", "300", "--batch-size", "512", "--set", "training.validations=2"),
}
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


def compared(name: str, words: tuple[str, ...]) -> dict[str, float | str]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        none = (words[0], "--steps", "1", *words[3:])
        begin_one = run(none, place / "begin-one")[1]
        begin_two = run(none, place / "begin-two", "--workers", "2")[1]
        alone, alone_cpu, first = run(words, place / "alone")
        shared, shared_cpu, second = run(words, place / "shared", "--workers", "2")
    assert len(first) == len(second)
    off = max(abs(a["loss"] - b["loss"]) for a, b in zip(first, second, strict=True))
    assert off < 1e-4, f"losses differ by {off}"
    return {
        "data": name,
        "largest difference, nats": off,
        "one s": alone,
        "two s": shared,
        "one CPU s": alone_cpu,
        "two CPU s": shared_cpu,
        "overhead of training": (shared_cpu - begin_two) / (alone_cpu - begin_one) - 1,
    }


def main() -> None:
    asked = parser(__doc__.splitlines()[0])
    asked.add_argument("--only", choices=list(CASES))
    given = asked.parse_args()
    names = [given.only] if given.only else [n for n in CASES if n == "digits" or (SHARED / "data" / n).is_dir()]
    show("Two gloo workers against one process", [compared(name, CASES[name]) for name in names], given.json)


if __name__ == "__main__":
    main()
