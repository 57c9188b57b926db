"""Which score finds planted outliers: the area under the ROC curve of each, for each kind of outlier.

    python benchmarks/outliers.py                    # trains a model on MNIST, and one on colour photographs
    python benchmarks/outliers.py --seconds 60

Among 2,000 test images of their own 100 are planted (one in twenty, as in a folder of a scientist), and what is usual
is taken from the mixture, as `zatlas outliers` does. 0.5 is chance; below it, outliers look better than the data.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from common import ZATLAS, need_shared, parser, show

from zatlas.data import ArraySource, Splits, open_source
from zatlas.evaluation.outliers import SCORES, auroc
from zatlas.runs.opened import Run
from zatlas.walks.outliers import explanations

OWN, PLANTED = 2000, 100
Array = np.ndarray


def planted(own: Array, others: dict[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Outliers ``[100, C, H, W]`` by kind."""
    x = own[:PLANTED]
    noise = rng.integers(0, 256, x.shape, dtype=np.uint8)
    flat = x.reshape(len(x), x.shape[1], -1)
    shuffled = np.stack([image[:, rng.permutation(image.shape[1])] for image in flat]).reshape(x.shape)
    faint = (0.25 * x.astype(float) + 0.75 * x.mean((2, 3), keepdims=True)).astype(np.uint8)
    kinds = {
        "noise": noise,
        "its pixels shuffled": shuffled,
        "inverted": 255 - x,
        "upside down": x[:, :, ::-1],
        "a quarter of the contrast": faint,
        "blank": np.broadcast_to(x.mean((1, 2, 3), keepdims=True).astype(np.uint8), x.shape),
        "half and half": np.concatenate([x[:, :, : x.shape[2] // 2], np.roll(x, 1, 0)[:, :, x.shape[2] // 2 :]], 2),
    }
    return kinds | {name: other[:PLANTED] for name, other in others.items()}


def table(run: Run, own: Array, others: dict[str, Array], title: str, keep: Path | None) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    usual = own[PLANTED : PLANTED + OWN]
    rows: list[dict[str, Any]] = []
    is_outlier = np.arange(len(usual) + PLANTED) >= len(usual)
    for kind, x in planted(own, others, rng).items():
        mixed = ArraySource("mixed", np.concatenate([usual, x]))
        order = rng.permutation(len(mixed))
        none = np.arange(0)
        there = Run(run.folder, source=mixed, splits=Splits(none, none, np.arange(len(mixed))))
        known = explanations(there, order)
        rows.append(
            {"outliers": kind, **{name: auroc(score.of(known), is_outlier[order]) for name, score in SCORES.items()}}
        )
    for name, of in (("mean", np.mean), ("least", np.min)):
        rows.append({"outliers": name, **{score: float(of([row[score] for row in rows[:9]])) for score in SCORES}})
    show(title, rows, keep)
    return rows


def trained(folder: str, source: Path | str, seconds: float, *words: str) -> Run:
    command = [*ZATLAS, "train", str(source), "-z", "16", "--seconds", str(seconds), "--out", folder, "-q", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Run(folder)


def images(path: Path, n: int, **options: Any) -> Array:
    source = open_source(str(path), **options)
    x = source.read(np.linspace(0, len(source) - 1, n).astype(np.int64))
    return x


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--seconds", type=float, default=30.0, help="of training of each model (default 30)")
    options.add_argument("--only", choices=["mnist", "photographs"])
    args = options.parse_args()
    data = need_shared() / "data"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        faces = {"resize": (28, 28), "channels": 1}
        if args.only != "photographs":
            run = trained(f"{folder}/mnist", data / "mnist", args.seconds)
            own = run.source.read(np.random.default_rng(1).permutation(run.splits.test)[: OWN + PLANTED])
            others = {
                "Omniglot": 255 - images(data / "omniglot_background_small1.zip", PLANTED, **faces),
                "faces": images(data / "freyfaces.npz", PLANTED, **faces),
            }
            rows += table(run, own, others, "MNIST, grey, mlp of 16 units: AUROC", None)
        cifar = data / "cifar10-jpeg.zip"
        if args.only != "mnist" and zipfile.is_zipfile(cifar):
            run = trained(f"{folder}/photographs", cifar, args.seconds)
            own = run.source.read(np.random.default_rng(1).permutation(run.splits.test)[: OWN + PLANTED])
            colour = {"resize": (32, 32), "channels": 3}
            others = {
                "Omniglot": images(data / "omniglot_background_small1.zip", PLANTED, **colour),
                "faces": images(data / "freyfaces.npz", PLANTED, **colour),
            }
            rows += table(run, own, others, "CIFAR-10 in colour, conv of 16 units: AUROC", None)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
