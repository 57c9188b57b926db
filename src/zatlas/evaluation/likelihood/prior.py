"""Plain Monte Carlo from the prior: right in the limit, and a lesson on why one needs an encoder."""

from __future__ import annotations

import torch

from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.likelihood.shared import Progress, alike, chunks
from zatlas.evaluation.likelihood.weights import Curve, Running, empty_table, join, settled_by
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Infers


@torch.no_grad()
def prior_sampled(
    model: Infers,
    batches: Batches,
    *,
    conditional: bool = True,
    samples: int = 10_000,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    rows_at_once: int = 20_000,
    progress: Progress | None = None,
) -> Curve:
    r"""log 1/S sum_s p(x|z_s), z_s from the prior, for every example: a bound in the mean, loose unless S is huge.

    The examples of a batch that have the same y share their draws, each of which is decoded once for all of them.
    Their errors are therefore not independent: the standard error over examples holds the draws fixed, and the sampling
    error is that of the sum over the examples that share them.

    Args:
        model: generates; of any number of layers.
        batches: N examples, in any order.
        conditional: whether the model looks at y. False, and examples share the draws whatever their labels.
        samples: S.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: pairs of example and draw compared at once, which bounds the memory.
        progress: is told how many examples were added.

    Returns:
        The estimate at powers of ten up to S, and at S, ``[N]`` each.
    """
    model.eval()
    found = []
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            kept = empty_table(samples, len(batch.x))
            for positions, group in alike(batch, conditional):
                running = Running(samples, together=True)
                for count in chunks(samples, max(1, rows_at_once // len(group.x))):
                    y = None if group.y is None else group.y.expand(count, -1)
                    with autocast(device, precision):
                        px = model.generate(count, y).px  # over [1, count, *data]
                    running.add(px.log_prob(group.x[:, None]).T)
                kept[:, positions.cpu()] = running.table()
            found.append(kept)
            if progress:
                progress(len(batch.x))
    estimator = "plain Monte Carlo from the prior, draws shared by the examples of a batch"
    return join(
        found, samples, estimator, settled_by(model.latent_dims), fixed="the draws, which the examples of a batch share"
    )
