"""The importance-weighted bound: log p(x) from below, as close as one has patience for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zatlas.errors import UsageError
from zatlas.evaluation.elbo import Batches
from zatlas.evaluation.likelihood.shared import Progress, chunks, only_level, split
from zatlas.evaluation.likelihood.weights import Curve, Running, empty_table, join, settled_by
from zatlas.objectives.bounds import log_weights
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Batch, Infers


@torch.no_grad()
def importance_weighted(
    model: Infers,
    batches: Batches,
    *,
    samples: int = 1000,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    rows_at_once: int = 2000,
    prior_share: float = 0.0,
    progress: Progress | None = None,
) -> Curve:
    r"""log 1/K sum_k p(x, z_k) / q(z_k|x), z_k from q (Burda et al. 2016, equation 8), for every example.

    A bound in the mean, which rises with K to log p(x). How fast depends on q, and the tail of the weights says how far
    to trust it: where its shape k is above 0.7 the gap is not known (Vehtari et al. 2024), and where the effective
    sample size is near one a single draw makes the estimate. The tail is fitted to diagnose the weights, not to smooth
    them: a smoothed mean is no bound, and published figures are of the plain one.

    With ``prior_share`` = a a share of the draws is from the prior, and every draw is weighted by
    p(x, z) / ((1 - a) q(z|x) + a p(z)) (the balance heuristic, Veach & Guibas 1995; defensive importance sampling,
    Hesterberg 1995; Owen & Zhou 2000): no weight exceeds p(x|z) / a, so that regions which the encoder missed are
    found, where there are few latent units. It is as good a bound, and its name says how it was made.

    As many images are taken at once as have all their samples decoded together, so that each is encoded once; only
    where K exceeds ``rows_at_once`` is it encoded again, once for every ``rows_at_once`` decodings.

    Args:
        model: infers; of any number of layers.
        batches: N examples, in any order.
        samples: K.
        device: that the model is on.
        precision: of the networks.
        seed: of the draws; the global random state is left as it was.
        rows_at_once: images decoded at once, which bounds the memory. A few thousand are fastest on a CPU, where they
            stay in its cache.
        prior_share: a, of the draws; 0: all are from q. Of a model with one layer only.
        progress: is told how many examples were added.

    Raises:
        UsageError: a share for a model of several layers, or one outside [0, 1).

    Returns:
        The bound at powers of ten up to K, and at K, ``[N]`` each.
    """
    if not 0 <= prior_share < 1:
        raise UsageError(f"prior_share {prior_share} cannot be: give a share of the draws from 0 to below 1.")
    model.eval()
    found = []
    with forked_rng(device, seed=seed):
        for batch in batches.epoch(0):
            kept, done = empty_table(samples, len(batch.x)), 0
            for part in split(batch, max(1, rows_at_once // samples)):
                running = Running(samples)
                for count in chunks(samples, max(1, rows_at_once // len(part.x))):
                    with autocast(device, precision):
                        log_w = (
                            _defended(model, part, count, prior_share) if prior_share else _plain(model, part, count)
                        )
                    running.add(log_w)
                kept[:, done : done + len(part.x)] = running.table()
                done += len(part.x)
                if progress:
                    progress(len(part.x))
            found.append(kept)
    from_prior = f", {prior_share:.0%} of the draws from the prior" if prior_share else ""
    return join(found, samples, f"importance-weighted bound{from_prior}", settled_by(model.latent_dims))


def _plain(model: Infers, batch: Batch, count: int) -> Tensor:
    """log p(x, z) / q(z|x) of draws from q, ``[count, B]``."""
    return log_weights(model.infer(batch.x, batch.y, samples=count), batch.x)


def _defended(model: Infers, batch: Batch, count: int, share: float) -> Tensor:
    """log p(x, z) / ((1 - a) q(z|x) + a p(z)) of draws from that mixture, ``[count, B]``."""
    q, p, _ = only_level(model, batch)
    shape = (count,) if p.batch_shape else (count, len(batch.x))
    from_q, from_p = q.rsample((count,)), p.sample(shape)
    z = torch.where(torch.rand(count, len(batch.x), 1, device=from_q.device) < share, from_p, from_q)
    log_prior = p.log_prob(z)
    log_mixture = torch.logaddexp(math.log1p(-share) + q.log_prob(z), math.log(share) + log_prior)
    return model.generate(y=batch.y, z=(z,)).px.log_prob(batch.x) + log_prior - log_mixture
