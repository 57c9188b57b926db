"""Which network wins for which images in the same time: the table behind ``network = "auto"``.

    python benchmarks/networks.py                     # a minute each, 16 latent units
    python benchmarks/networks.py --seconds 180 --data cifar

The figure is the held-out loss in nats per example, of the same likelihood for all networks of a line (bits for each
dimension of 8-bit values are not the question here): the lowest is the best. Threads are as zatlas chooses them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from typing import Any

from common import ZATLAS, need_shared, parser, show

NETWORKS = ("mlp", "conv", "resnet")
DATA = {
    "mnist": ["mnist"],
    "frey": ["freyfaces.npz"],
    "omniglot": ["omniglot_background_small1.zip", "--resize", "32"],
    "omniglot-64": ["omniglot_background_small1.zip", "--resize", "64"],
    "cifar": ["cifar10-jpeg.zip"],
}


def loss(data: list[str], network: str, asked: argparse.Namespace) -> tuple[float, int]:
    """Held-out loss in nats per example, and the steps that were made."""
    shared = need_shared() / "data"
    name = data[0] if data[0] == "mnist" else str(shared / data[0])
    with tempfile.TemporaryDirectory() as folder:
        words = ["train", name, *data[1:], "--network", network, "-z", str(asked.latent_dim), "--size", asked.size]
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
    p.add_argument("--data", nargs="*", choices=list(DATA), default=list(DATA), help="only these")
    asked, rows = p.parse_args(), []
    for name in asked.data:
        row: dict[str, Any] = {"data": name}
        found = {network: loss(DATA[name], network, asked) for network in NETWORKS}
        row |= {network: value for network, (value, _) in found.items()}
        row["best"] = min(found, key=lambda network: found[network][0])
        row["steps"] = " ".join(str(steps) for _, steps in found.values())
        rows.append(row)
        print(json.dumps(row), flush=True)
    show(f"Held-out loss after {asked.seconds:g} s, {asked.latent_dim} units, size {asked.size}", rows, asked.json)


if __name__ == "__main__":
    main()
