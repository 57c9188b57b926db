"""Does more time ever make it worse: the test loss of the weights that a run opens after 5, 20, 60 and 180 s, few data.

    python benchmarks/small.py
    python benchmarks/small.py --data 600 frey --seconds 5 20

Defaults of `zatlas train`, 16 units; MNIST's own test images, and a tenth of the faces. Every run begins anew: the same
data and seed, another schedule.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import ZATLAS, need_shared, parser, show

DATA = ("600", "2000", "9000", "frey")


def images(which: str, count: int | None = None) -> Any:
    path = need_shared() / "data" / "mnist" / f"{which}-images-idx3-ubyte.gz"
    return np.frombuffer(gzip.open(path).read()[16:], np.uint8).reshape(-1, 28, 28)[:count]


def made(name: str, folder: Path) -> list[str]:
    """What `zatlas train` is given for this data set: MNIST's first images and its test images after them."""
    if name == "frey":
        return [str(need_shared() / "data" / "freyfaces.npz")]
    path = folder / f"mnist-{name}.npz"
    if not path.is_file():
        np.savez(path, x=images("train", int(name)), x_test=images("t10k"))
    return [str(path)]


def loss(words: list[str], seconds: float, folder: Path) -> dict[str, Any]:
    out = folder / f"run-{len(list(folder.iterdir()))}"
    command = [*ZATLAS, "train", *words, "-z", "16", "--seconds", str(seconds), "--out", str(out), "--json", "-q"]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def main() -> None:
    p = parser(__doc__ or "")
    p.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    p.add_argument("--seconds", nargs="*", type=float, default=[5, 20, 60, 180])
    asked, rows = p.parse_args(), []
    with tempfile.TemporaryDirectory() as place:
        for name in asked.data:
            words = made(name, Path(place))
            found = {f"{seconds:g} s": loss(words, seconds, Path(place)) for seconds in asked.seconds}
            row = {"data": name, **{time: run["test"]["loss"] for time, run in found.items()}}
            row["stopped"] = " ".join(run["stopped"] for run in found.values())
            rows.append(row)
            print(json.dumps(row), flush=True)
    show("Test loss in nats per example after so many seconds", rows, asked.json)


if __name__ == "__main__":
    main()
