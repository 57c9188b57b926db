"""What the size of a batch makes of the same time: held-out loss after training with several, and with the default.

    python benchmarks/batches.py cifar10-jpeg.zip --cells conv:128 conv ladder/resnet:128 ladder/resnet
    python benchmarks/batches.py PHOTOS --resize 64 --cells spatial:128 spatial:16:2e-3 spatial

A cell is ``[MODEL/]NETWORK[:BATCH[:RATE]]``; what it leaves out is the default. Time is CPU time of one thread, so a
machine may be shared. The loss is that of the test rows in nats per example; DATA is a path or a name.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from common import parser, show

BY_CPU = "import time; time.perf_counter = time.process_time; from zatlas.cli.app import main; main()"


def words_of(cell: str) -> list[str]:
    """The options of a cell."""
    named, *numbers = cell.split(":")
    model, _, network = named.rpartition("/")
    options = zip(("--batch-size", "--lr"), numbers, strict=False)
    return [*(["--model", model] if model else []), "--network", network, *(word for pair in options for word in pair)]


def trained(cell: str, asked: argparse.Namespace, more: list[str]) -> dict[str, Any]:
    """One training, and how the test rows do."""
    with tempfile.TemporaryDirectory() as place:
        words = ["train", asked.data, *words_of(cell), "--seconds", str(asked.seconds), "--seed", str(asked.seed)]
        done = subprocess.run(
            [sys.executable, "-c", BY_CPU, *words, *more, "--out", f"{place}/run", "--json", "-q"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout)
    return {
        "cell": cell,
        "nats": found["test"]["loss"],
        "psnr_db": found["test"].get("psnr"),
        "images_per_second": found["images_per_second"],
        "steps": found["steps"],
    }


def main() -> None:
    p = parser(__doc__ or "")
    p.add_argument("data", help="images, by name or path")
    p.add_argument("--cells", nargs="+", required=True, help="[MODEL/]NETWORK[:BATCH[:RATE]]")
    p.add_argument("--seconds", type=float, default=60, help="of CPU time (default 60)")
    p.add_argument("--seed", type=int, default=0)
    asked, more = p.parse_known_args()
    rows = []
    for cell in asked.cells:
        rows.append(trained(cell, asked, more))
        print(json.dumps(rows[-1]), flush=True)
    show(f"Held-out images of {asked.data} after {asked.seconds:g} CPU seconds of training", rows, asked.json)


if __name__ == "__main__":
    main()
