"""How long log p(x) takes: 1000 importance samples for an MNIST image under a 50-unit VAE with one layer of 512.

    python benchmarks/likelihood.py                       # seconds for some images, and how many for the 10,000
    python benchmarks/likelihood.py --pythae PYTHON       # and pythae's get_nll, by the Python that has it

The network is pythae's default (784-512-50 and back), the weights are random, which changes no time. CPU seconds are of
the process, so they hold on a busy machine too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch
from common import median, need_shared, parser, show
from torch import nn

from zatlas.data import Batches, open_source
from zatlas.evaluation.likelihood import importance_weighted
from zatlas.models import LatentVariableModel
from zatlas.networks import BernoulliLikelihood, Decoder, GaussianEncoder, MLPDecoder, MLPEncoder, StandardNormal

UNITS, HIDDEN, SAMPLES, TEST_IMAGES = 50, (512,), 1000, 10_000
CPU = torch.device("cpu")
PYTHAE = """
import json, sys, time
import torch
from pythae.models import VAE, VAEConfig
images, samples, threads, repeats = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(0)
vae = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=50, reconstruction_loss="bce")).eval()
x = torch.rand(images, 1, 28, 28).round()
wall, cpu = [], []
with torch.no_grad():
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        vae.get_nll(x, n_samples=samples, batch_size=min(samples, int({batch})))
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
print(json.dumps([wall, cpu]))
"""


def model() -> LatentVariableModel:
    torch.manual_seed(0)
    encoder = GaussianEncoder(MLPEncoder(784, HIDDEN, 2 * UNITS, activation=nn.ReLU))
    decoder = Decoder(MLPDecoder(UNITS, HIDDEN, (1, 28, 28), activation=nn.ReLU), BernoulliLikelihood(3))
    return LatentVariableModel(encoder, decoder, StandardNormal(UNITS), UNITS)


def row(who: str, images: int, wall: list[float], cpu: list[float]) -> dict[str, Any]:
    return {
        "who": who,
        "ms an image": median(wall) / images * 1e3,
        "CPU ms an image": median(cpu) / images * 1e3,
        "minutes for 10,000": median(wall) * TEST_IMAGES / images / 60,
    }


def main() -> None:
    p = parser(str(__doc__).splitlines()[0])
    p.add_argument("--images", type=int, default=200, help="how many of the test images (default 200)")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--pythae", metavar="PYTHON", help="a Python in whose environment pythae is installed")
    p.add_argument("--rows", type=int, nargs="+", default=[2000], help="rows_at_once to try (default 2000)")
    arguments = p.parse_args()
    torch.set_num_threads(arguments.threads)
    source = open_source(str(need_shared() / "data" / "mnist"))
    held = list(range(len(source) - TEST_IMAGES, len(source) - TEST_IMAGES + arguments.images))
    batches = Batches(source, held, batch_size=1000, binarise="static", shuffle=False)  # type: ignore[arg-type]
    vae, rows = model(), []
    for precision in ("fp32", "bf16"):
        for rows_at_once in arguments.rows:
            wall, cpu = [], []
            for _ in range(arguments.repeats):
                start, used = time.perf_counter(), time.process_time()
                importance_weighted(
                    vae,
                    batches,
                    samples=SAMPLES,
                    device=CPU,
                    precision=precision,  # type: ignore[arg-type]
                    rows_at_once=rows_at_once,
                )
                wall.append(time.perf_counter() - start)
                cpu.append(time.process_time() - used)
            rows.append(row(f"zatlas, {precision}, {rows_at_once} decoded at once", arguments.images, wall, cpu))
    if arguments.pythae:
        for batch in (100, 1000):  # its default, and all samples at once
            few = max(1, arguments.images // 5)
            words = [str(w) for w in (few, SAMPLES, arguments.threads, arguments.repeats)]
            command = [arguments.pythae, "-c", PYTHAE.replace("{batch}", str(batch)), *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            wall, cpu = json.loads(done.stdout.splitlines()[-1])
            rows.append(row(f"pythae get_nll, batch_size {batch}", few, wall, cpu))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    title = f"log p(x) of MNIST images, {SAMPLES} samples each, {arguments.threads} threads, peak memory {peak} MiB"
    show(title, rows, arguments.json)


if __name__ == "__main__":
    main()
