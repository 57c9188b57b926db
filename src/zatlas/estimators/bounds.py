"""Lower bounds on log p(x) that are functions of x alone: of no other row, no order, no batch size.

The noise of an example is a hash of its content, so that equal examples score equally wherever they stand, while the
errors of different examples are independent. Noise drawn row by row from one generator, the usual way, makes the score
of a row depend on how many rows come before it; one noise vector for all rows makes their errors add up.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from zatlas.arrays import Array
from zatlas.data import counter_rng
from zatlas.objectives import importance_bound, negative_elbo
from zatlas.types import Infers

_NOISE, _BITS = 11, 12  # what a draw is for


def content_keys(x: Array) -> Array:
    """A 64-bit number for each example of x ``[N, *data]``, by its content; uint64 ``[N]``."""
    rows = x + np.float32(0)  # minus zero is zero
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def content_noise(x: Array, seed: int, samples: int, dim: int) -> Tensor:
    """Standard normal noise ``[K, N, D]``; the first of K samples are the same for every K."""
    counters = content_keys(x)[:, None] + np.arange(samples * dim, dtype=np.uint64)
    uniform = ((counter_rng.words(counter_rng.key(seed, _NOISE), counters) >> np.uint64(11)) + 0.5) * 2.0**-53
    noise: Array = ndtri(uniform).astype(np.float32).reshape(len(x), samples, dim).transpose(1, 0, 2)
    return torch.from_numpy(np.ascontiguousarray(noise))


def content_bits(x: Array, seed: int) -> Array:
    """Bits with P(1) = x, float32 ``[N, *data]``."""
    rows = content_keys(x).view(np.int64)
    return counter_rng.bernoulli(counter_rng.key(seed, _BITS), rows, x).astype(np.float32)


def bound(model: Infers, x: Tensor, y: Tensor | None, noise: Tensor) -> Tensor:
    """The ELBO ``[B]``, its rate in closed form if it has one, for one draw; the importance-weighted bound for more."""
    inference = model.infer(x, y, noise=noise)
    return -negative_elbo(inference, x) if len(noise) == 1 else importance_bound(inference, x)


def _each_class(x: Tensor, prior: Tensor) -> list[tuple[Tensor, Tensor]]:
    """log p(y) and y ``[B, Y]`` for every class."""
    return [
        (log_p, row.expand(len(x), -1)) for log_p, row in zip(prior.log(), torch.eye(len(prior)).to(x), strict=True)
    ]


def marginal_bound(model: Infers, x: Tensor, prior: Tensor, noise: Tensor) -> Tensor:
    """log sum_y p(y) w(x, y) with importance weights w, ``[B]``: in expectation at most log p(x).

    Importance weights also for one draw: the exponential of a noisy ELBO, whose rate is in closed form, can have a
    mean above p(x|y).
    """
    joint = [log_p + importance_bound(model.infer(x, y, noise=noise), x) for log_p, y in _each_class(x, prior)]
    return torch.logsumexp(torch.stack(joint, 1), 1)


def class_posterior(model: Infers, x: Tensor, prior: Tensor) -> Tensor:
    """p(y|x) ``[B, Y]`` by Bayes' rule, the evidence of each class being its bound with z at the posterior's mean."""
    still = torch.zeros(1, len(x), sum(model.latent_dims), device=x.device)
    joint = [log_p - negative_elbo(model.infer(x, y, noise=still), x) for log_p, y in _each_class(x, prior)]
    return torch.softmax(torch.stack(joint, 1), 1)
