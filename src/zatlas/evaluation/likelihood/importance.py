"""The importance-weighted bound: log p(x) from below, as close as one has patience for."""

from __future__ import annotations

from typing import Any

import torch

from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.likelihood.shared import Curve, Progress, Running, chunks, join, seeded, split
from zatlas.objectives.bounds import log_weights
from zatlas.training import Precision, autocast


@torch.no_grad()
def importance_weighted(
    model: Any,
    batches: Batches,
    *,
    samples: int = 1000,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    rows_at_once: int = 2000,
    progress: Progress | None = None,
) -> Curve:
    r"""log 1/K sum_k p(x, z_k) / q(z_k|x), z_k from q (Burda et al. 2016, equation 8), for every example.

    A bound in the mean, which rises with K to log p(x). How fast depends on q, and the effective sample size says how
    far to trust it: where it is near one, a single draw carries the estimate and the truth is higher.

    As many images are taken at once as have all their samples decoded together, so that each is encoded once; only
    where K exceeds ``rows_at_once`` is it encoded again, once for every ``rows_at_once`` decodings.

    Args:
        model: infers; of any number of layers.
        batches: N examples, in any order.
        samples: K.
        device: where the model lives.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: images decoded at once, which bounds the memory. A few thousand are fastest on a CPU, where they
            stay in its cache.
        progress: is told how many examples were added.

    Returns:
        The bound at powers of ten up to K, and at K, ``[N]`` each.
    """
    model.eval()
    found = []
    with seeded(device, seed):
        for batch in batches.epoch(0):
            for part in split(batch, max(1, rows_at_once // samples)):
                running = Running(samples)
                for count in chunks(samples, max(1, rows_at_once // len(part.x))):
                    with autocast(device, precision):
                        inference = model.infer(part.x, part.y, samples=count)
                    running.add(log_weights(inference, part.x))
                found.append((running.curve, running.effective_sample_size()))
                if progress:
                    progress(len(part.x))
    return join(found, "importance-weighted bound")
