"""Which network wins for which images in the same time: the table behind ``network = "auto"``.

    python benchmarks/networks.py                     # a minute each, 16 latent units
    python benchmarks/networks.py --seconds 180 --data cifar cifar-2000
    OMP_NUM_THREADS=1 python benchmarks/networks.py --data 600 2000 9000 --seconds 20 --networks mlp resnet

The figure is the held-out loss in nats per example, of the same likelihood for all networks of a line (bits for each
dimension of 8-bit values are not the question here): the lowest is the best. Threads are as zatlas chooses them.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from common import ZATLAS, need_shared, parser, show
from PIL import Image
from small import made

NETWORKS = ("mlp", "conv", "resnet")
DATA = {
    "mnist": ["mnist"],
    "frey": ["freyfaces.npz"],
    "omniglot": ["omniglot_background_small1.zip", "--resize", "32"],
    "omniglot-64": ["omniglot_background_small1.zip", "--resize", "64"],
    "sprites": ["sprites"],
    "cifar": ["cifar10-jpeg.zip"],
    "cifar-64": ["cifar10-jpeg.zip", "--resize", "64"],
}
FEW = ("600", "2000", "9000", "cifar-600", "cifar-2000")  # the first images of MNIST, and some of CIFAR's photographs


def photographs(count: int, folder: Path) -> str:
    """An .npz of so many of CIFAR's training photographs, and 2,000 of its test ones."""
    path = folder / f"cifar-{count}.npz"
    with zipfile.ZipFile(need_shared() / "data" / "cifar10-jpeg.zip") as files:
        names = sorted(name for name in files.namelist() if name.endswith((".jpg", ".jpeg")))
        parts = {}
        for key, split, most in (("x", "train/", count), ("x_test", "test/", 2000)):
            own = np.random.default_rng(0).permutation([name for name in names if split in name])[:most]
            parts[key] = np.stack([np.asarray(Image.open(io.BytesIO(files.read(name)))) for name in own])
    np.savez(path, **parts)
    return str(path)


def words_of(name: str, folder: Path) -> list[str]:
    """What `zatlas train` is given for these data."""
    if name.startswith("cifar-") and name in FEW:
        return [photographs(int(name.removeprefix("cifar-")), folder)]
    if name in FEW:
        return made(name, folder)
    first, *rest = DATA[name]
    return [str(need_shared() / "data" / first) if "." in first else first, *rest]


def loss(data: list[str], network: str, asked: argparse.Namespace) -> tuple[float, int]:
    """Held-out loss in nats per example, and the steps that were made."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["train", *data, "--network", network, "-z", str(asked.latent_dim), "--size", asked.size]
        command = [*ZATLAS, *words, "--seconds", str(asked.seconds), "--out", f"{folder}/run", "--json", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return float(found["test"]["loss"]), int(found["steps"])


def main() -> None:
    p = parser(__doc__ or "")
    p.add_argument("--seconds", type=float, default=60, help="of training (default 60)")
    p.add_argument("-z", "--latent-dim", type=int, default=16, help="latent units (default 16)")
    p.add_argument("--size", default="s", help="of the networks (default s)")
    p.add_argument("--data", nargs="*", choices=[*DATA, *FEW], default=list(DATA), help="only these")
    p.add_argument("--networks", nargs="*", choices=NETWORKS, default=NETWORKS, help="only these")
    asked, rows = p.parse_args(), []
    for name in asked.data:
        row: dict[str, Any] = {"data": name}
        with tempfile.TemporaryDirectory() as folder:
            words = words_of(name, Path(folder))
            found = {network: loss(words, network, asked) for network in asked.networks}
        row |= {network: value for network, (value, _) in found.items()}
        row["best"] = min(found, key=lambda network: found[network][0])
        row["steps"] = " ".join(str(steps) for _, steps in found.values())
        rows.append(row)
        print(json.dumps(row), flush=True)
    show(f"Held-out loss after {asked.seconds:g} s, {asked.latent_dim} units, size {asked.size}", rows, asked.json)


if __name__ == "__main__":
    main()
