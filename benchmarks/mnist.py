"""-log p(x) of MNIST's test images, dynamically binarised, beside the published figures.

Each row trains a preset and measures it by the named estimator, through the command line. Without names the rows that a
laptop can do in a quarter of an hour each; ``burda-iwae`` and ``gpu`` are long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ZATLAS, need_shared, parser, show


@dataclass(frozen=True)
class Row:
    """A training, an estimator, and what it is held against."""

    words: tuple[str, ...]
    metric: str
    samples: int | None
    images: int
    published: str


ROWS = {
    "plane": Row(
        ("--preset", "mnist-plane"), "quadrature", None, 1000, "N-VAE 135.7, S-VAE 132.5 (Davidson et al. 2018)"
    ),
    "likelihood": Row(("--preset", "mnist-likelihood"), "importance", 1000, 10_000, "VAE 86.76 (Burda et al. 2016)"),
    "burda": Row(("--preset", "mnist-burda"), "importance", 5000, 10_000, "86.76 (Burda et al. 2016, 3,280 epochs)"),
    "burda-iwae": Row(
        ("--preset", "mnist-burda", "--objective", "iwae", "--set", "objective.samples=50"),
        "importance",
        5000,
        10_000,
        "84.78 (Burda et al. 2016, 3,280 epochs)",
    ),
    "gpu": Row(("--preset", "mnist-gpu"), "importance", 1000, 10_000, "78.49 (Xu et al. 2019), 78.01 (NVAE)"),
}
USUAL = ("plane", "likelihood", "burda")


def zatlas(*words: str) -> dict[str, Any]:
    """A command's JSON."""
    need_shared()
    done = subprocess.run([*ZATLAS, *words, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def measured(name: str, extra: list[str], folder: Path, images: int | None) -> dict[str, Any]:
    row = ROWS[name]
    trained = zatlas("train", "mnist", *row.words, *extra, "--out", str(folder / name), "-q")
    count = images or row.images
    samples = ["--samples", str(row.samples)] if row.samples else []
    record = zatlas("evaluate", str(folder / name), "--metric", row.metric, "--rows", str(count), *samples)
    figure = record["figures"][f"{row.metric}.log_likelihood"]
    return {
        "row": name,
        "-log p(x)": -figure["value"],
        "± s.e.": figure["standard_error"],
        "images": figure["count"],
        "estimator": figure["estimator"],
        "training s": trained["train_seconds"],
        "epochs": trained["epochs"],
        "measuring s": figure["seconds"],
        "published": row.published,
        "command": " ".join(["zatlas train mnist", *row.words, *extra]),
    }


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("names", nargs="*", default=[], help=f"of {', '.join(ROWS)} (default {' '.join(USUAL)})")
    options.add_argument("--images", type=int, help="measure only so many")
    options.add_argument("--words", default="", help="more words for zatlas train, such as '--seconds 60'")
    asked = options.parse_args()
    unknown = set(asked.names) - set(ROWS)
    if unknown:
        sys.exit(f"there is no row {unknown.pop()}; there are {', '.join(ROWS)}")
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(name, asked.words.split(), Path(folder), asked.images) for name in asked.names or USUAL]
    show("MNIST, dynamic binarisation, nats per image", rows, asked.json)


if __name__ == "__main__":
    main()
