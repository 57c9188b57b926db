"""beta 1/4, 1, 4 and 16 on sprites: the rate must fall and the distortion rise, and the report shows the picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import ZATLAS, parser, show

BETAS = (0.25, 1.0, 4.0, 16.0)


def zatlas(*words: str) -> dict[str, Any]:
    """A command's JSON."""
    done = subprocess.run([*ZATLAS, *words, "--json"], env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--out", type=Path, help="keep the runs and the report here")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = asked.out or Path(folder)
        runs = [out / f"beta-{beta:g}" for beta in BETAS]
        words = ("sprites", "-z", "10", "--steps", str(asked.steps), "-q")
        trained = [
            zatlas("train", *words, "--beta", str(beta), "--out", str(run))
            for beta, run in zip(BETAS, runs, strict=True)
        ]
        compared = zatlas("compare", *map(str, runs), "--out", str(out / "compare.png"))["rows"]
        zatlas("report", str(runs[1]), *(word for run in (runs[0], *runs[2:]) for word in ("--beside", str(run))))
    rows = [
        {
            "beta": row["beta"],
            "rate": row["figures"]["rate"]["value"],
            "distortion": row["figures"]["distortion"]["value"],
            "-ELBO": -row["figures"]["elbo"]["value"],
            "active units": row["figures"]["active_units"]["value"],
            "seconds": one["train_seconds"],
        }
        for row, one in zip(compared, trained, strict=True)
    ]
    show(f"sprites, z = 10, {asked.steps} steps, nats per image", rows, asked.json)
    falls = all(a["rate"] > b["rate"] and a["distortion"] < b["distortion"] for a, b in pairwise(rows))
    print("rate falls and distortion rises: " + ("yes" if falls else "NO"))
    sys.exit(0 if falls else 1)


if __name__ == "__main__":
    main()
