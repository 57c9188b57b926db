"""How long log p(x) takes: 1000 importance samples for an MNIST image under a 50-unit VAE of two layers of 200.

    python benchmarks/likelihood.py                 # some images; the time of the 10,000 test images is a multiple
    python benchmarks/likelihood.py --images 10000

The weights are random, which changes no time. CPU seconds are of this process, so they hold on a busy machine too.
"""

from __future__ import annotations

import resource
import time

import torch
from common import median, need_shared, parser, show

from zatlas.data import Batches, open_source
from zatlas.evaluation.likelihood import importance_weighted
from zatlas.models import LatentVariableModel
from zatlas.networks import BernoulliLikelihood, Decoder, GaussianEncoder, MLPDecoder, MLPEncoder, StandardNormal

UNITS, HIDDEN, SAMPLES, TEST_IMAGES = 50, (200, 200), 1000, 10_000
CPU = torch.device("cpu")


def model() -> LatentVariableModel:
    torch.manual_seed(0)
    encoder = GaussianEncoder(MLPEncoder(784, HIDDEN, 2 * UNITS))
    decoder = Decoder(MLPDecoder(UNITS, HIDDEN, (1, 28, 28)), BernoulliLikelihood(3))
    return LatentVariableModel(encoder, decoder, StandardNormal(UNITS), UNITS)


def main() -> None:
    p = parser(str(__doc__).splitlines()[0])
    p.add_argument("--images", type=int, default=100, help="how many of the test images (default 100)")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--rows", type=int, nargs="+", default=[500, 1000, 2000, 4000, 16_000], help="rows_at_once to try")
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
            decodes = arguments.images * SAMPLES
            rows.append(
                {
                    "precision": precision,
                    "rows at once": rows_at_once,
                    "seconds": median(wall),
                    "CPU us a decode": median(cpu) / decodes * 1e6,
                    "minutes for 10,000": median(wall) * TEST_IMAGES / arguments.images / 60,
                    "peak MiB so far": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                }
            )
    show(
        f"log p(x) of {arguments.images} MNIST images, {SAMPLES} samples each, {arguments.threads} threads",
        rows,
        arguments.json,
    )


if __name__ == "__main__":
    main()
