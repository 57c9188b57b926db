"""What a spatial code keeps of 64x64 photographs: PSNR and SSIM on held-out ones, after the same training time.

    python benchmarks/photographs.py PHOTOS --seconds 300
    python benchmarks/photographs.py PHOTOS --old OLD/src         # beside the conv of a checkout of an earlier revision
    python benchmarks/photographs.py PHOTOS --seconds 45 --cpu    # CPU time on one thread, where a machine is shared

PHOTOS is a folder of photographs of any size. Each is scaled until its shorter side has at most ``--side`` pixels and
cut into tiles of 64x64 that do not overlap; all tiles of every fifth photograph are held out, so that no photograph is
on both sides. Images are encoded to the mean of their code and decoded; PSNR and SSIM are means over images. The size
of the code follows from its channels C and from the factor by which the network divides height and width.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import parser, show
from PIL import Image

from zatlas.evaluation.ssim import ssim

TILE, FIFTH = 64, 5
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
CODES = ((4, 16), (4, 8), (16, 8), (4, 4), (8, 4), (16, 4))  # channels, factor
# The photographs of the table in docs/natural_images.md, by where they lie in Debian 12's lomiri-wallpapers-16.04,
# lomiri-wallpapers-20.04, mate-backgrounds and plasma-workspace-wallpapers, in scikit-learn and in scikit-image.
TABLE = {
    "backgrounds": """Bridge_by_Sander_Klootwijk.jpg Dragonfly_by_Bolly.jpg Kleiber_by_Lukas_Baubkus.jpg
        Picture_0B_by_freespace.jpg Picture_1A_by_freespace.jpg Wine_by_Jakkub_Mede.jpg
        aitzgorri_by_Aitzol_Berasategi.jpg free_by_Peter_Nerlich.jpg friends_by_Aitzol_Berasategi.jpg
        life_by_Aitzol_Berasategi.jpg picosdeeuropa_by_Aitzol_Berasategi.jpg seeding_by_Clements_Engelhardt.jpg
        sunset_by_Aitzol_Berasategi.jpg""",
    "mate/nature": """Aqua.jpg Blinds.jpg Dune.jpg FreshFlower.jpg Garden.jpg GreenMeadow.jpg LadyBird.jpg RainDrops.jpg
        Storm.jpg TwoWings.jpg Wood.jpg YellowFlower.jpg""",
    "datasets/images": "china.jpg flower.jpg",
    "skimage/data": "astronaut.png chelsea.png coffee.png motorcycle_left.png rocket.jpg",
}
WALLPAPERS = "BytheWater ColdRipple ColorfulCups EveningGlow FallenLeaf Grey Kite OneStandsOut Path"
RUN = "from zatlas.cli.app import main; main()"
BY_CPU = f"import time; time.perf_counter = time.process_time; {RUN}"  # the loop asks that clock alone


def tiles(path: Path, side: int) -> np.ndarray:
    """``[N, 64, 64, 3]`` of one photograph."""
    with Image.open(path) as image:
        image = image.convert("RGB")
        scale = min(1.0, side / min(image.size))  # detail is not made up
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        x = np.asarray(image)
    rows, columns = x.shape[0] // TILE, x.shape[1] // TILE
    x = x[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2)
    return x.reshape(-1, TILE, TILE, 3)


def cut(folder: Path, side: int, out: Path, *, table: bool) -> str:
    """Writes the tiles as an .npz with test rows, and says what there is."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if table:
        wanted = [f"{there}/{name}" for there, names in TABLE.items() for name in names.split()]
        wanted += [f"wallpapers/{name}/contents/images/2560x1600.jpg" for name in WALLPAPERS.split()]
        found = [next((p for p in found if str(p).endswith(ending)), Path()) for ending in sorted(wanted)]
        if missing := [ending for ending, p in zip(sorted(wanted), found, strict=True) if p == Path()]:
            sys.exit(f"{folder} has no {missing[0]}")
    if len(found) < 2 * FIFTH:
        sys.exit(f"{folder} has {len(found)} photographs, and at least {2 * FIFTH} are wanted.")
    parts: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for number, path in enumerate(found):
        parts[number % FIFTH == 0].append(tiles(path, side))
    train, test = np.concatenate(parts[False]), np.concatenate(parts[True])
    np.savez(out, x=train, x_test=test)
    return f"{len(found)} photographs: {len(train):,} tiles to train on, {len(test):,} of others held out"


def ran(words: list[str], source: str | None, *, cpu: bool = False) -> str:
    """What one command of zatlas prints."""
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if cpu else {})}
    if source is not None:
        environment["PYTHONPATH"] = source
    command = [sys.executable, "-c", BY_CPU if cpu else RUN, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def measured(name: str, words: list[str], data: Path, asked: argparse.Namespace, source: str | None) -> dict[str, Any]:
    """One network trained, and how held-out images come back."""
    with tempfile.TemporaryDirectory() as place:
        run, out = f"{place}/run", f"{place}/back.npz"
        limit = ["--seconds", str(asked.seconds), "--seed", str(asked.seed)]
        trained = json.loads(
            ran(["train", str(data), *words, *limit, "--out", run, "--json", "-q"], source, cpu=asked.cpu)
        )
        ran(["reconstruct", run, "-n", str(asked.images), "--split", "test", "--out", out], source)
        with np.load(out) as back:
            x, shown = (torch.from_numpy(back[key]).double().clamp(0, 1) for key in ("x", "reconstruction"))
    error = (x - shown).square().flatten(1).mean(1).clamp_min(1e-6)
    decibels = -10 * error.log10()
    return {
        "network": name,
        "psnr_db": float(decibels.mean()),
        "error_db": float(decibels.std() / len(decibels) ** 0.5),
        "ssim": float(ssim(x, shown).mean()),
        "images_per_second": trained["images_per_second"],
        "steps": trained["steps"],
        "nats": trained["test"]["loss"],
    }


def main() -> None:
    p = parser(__doc__ or "")
    p.add_argument("photos", type=Path, help="a folder of photographs")
    p.add_argument("--seconds", type=float, default=300, help="of training each (default 300)")
    p.add_argument("--cpu", action="store_true", help="count CPU time, on one thread")
    p.add_argument("--old", help="src of a checkout of an earlier revision, whose conv is trained too")
    p.add_argument("--side", type=int, default=512, help="shorter side of a photograph in pixels (default 512)")
    p.add_argument("--table", action="store_true", help="only those of the table in the documentation, found in PHOTOS")
    p.add_argument("--images", type=int, default=500, help="held-out tiles that are measured (default 500)")
    p.add_argument("--codes", nargs="*", help="CxF: channels and factor of the spatial codes (default: six of them)")
    p.add_argument(
        "--set", nargs="*", default=[], help="more words for the spatial ones, such as training.learning_rate=…"
    )
    p.add_argument("--seed", type=int, default=0)
    asked, rows = p.parse_args(), []
    codes = [tuple(map(int, code.split("x"))) for code in asked.codes] if asked.codes is not None else CODES
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "tiles.npz"
        print(cut(asked.photos, asked.side, data, table=asked.table), flush=True)
        plans: list[tuple[str, list[str], int, str | None]] = []
        if asked.old:
            plans.append(("conv, old", ["--network", "conv", "-z", "64"], 64, asked.old))
        plans.append(("conv", ["--network", "conv", "-z", "64"], 64, None))
        for channels, factor in codes:
            words = ["--network", "spatial", "--set", f"network.code_channels={channels}"]
            words += ["--set", f"network.factor={factor}", *(word for each in asked.set for word in ("--set", each))]
            side = TILE // factor
            plans.append((f"spatial {channels}x{side}x{side}", words, channels * side * side, None))
        for name, words, units, source in plans:
            found = measured(name, words, data, asked, source)
            row = {"network": name, "units": units, **found}
            row["gain_db"] = row["psnr_db"] - rows[0]["psnr_db"] if rows else 0.0
            rows.append(row)
            print(json.dumps(row), flush=True)
    unit = "CPU seconds on one thread" if asked.cpu else "seconds"
    show(f"Held-out 64x64 photographs after {asked.seconds:g} {unit} of training", rows, asked.json)


if __name__ == "__main__":
    main()
