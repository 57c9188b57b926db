"""Into the latent space and out of it, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch

from zatlas.arrays import Array
from zatlas.training import Precision, autocast, forked_rng
from zatlas.types import Batch, Generates, Infers


class Codes(NamedTuple):
    """Posterior means and standard deviations ``[N, D]``; y ``[N, Y]`` where the data have labels."""

    mean: Array
    std: Array
    y: Array | None


@torch.no_grad()
def encode(
    model: Infers,
    batches: Iterable[Batch],
    *,
    device: torch.device,
    precision: Precision = "fp32",
    progress: Callable[[int], None] | None = None,
) -> Codes:
    """The posterior of every example. Encoding means the posterior's mean; nothing is drawn."""
    model.eval()
    means, stds, labels = [], [], []
    for batch in batches:
        with autocast(device, precision):
            q = model.encode(batch.x, batch.y)
        means.append(q.mean.float().cpu())
        stds.append(q.stddev.float().cpu())
        if batch.y is not None:
            labels.append(batch.y.cpu())
        if progress:
            progress(len(batch.x))
    y = torch.cat(labels).numpy() if labels else None
    return Codes(torch.cat(means).numpy(), torch.cat(stds).numpy(), y)


class Pictures(NamedTuple):
    """Codes ``[N, D]``, the means of p(x|z) and draws from it, ``[N, *data]``."""

    z: Array
    mean: Array
    draw: Array


@torch.no_grad()
def decode(
    model: Generates,
    z: Array,
    y: Array | None = None,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    seed: int = 0,
    batch_size: int = 500,
) -> Pictures:
    """What the model shows at codes z ``[N, D]``, and draws from p(x|z) with the given seed."""
    model.eval()
    means, draws = [], []
    with forked_rng(device, seed=seed):
        for start in range(0, len(z), batch_size):
            part = slice(start, start + batch_size)
            code = torch.as_tensor(z[part], dtype=torch.float32, device=device)
            label = None if y is None else torch.as_tensor(y[part], dtype=torch.float32, device=device)
            with autocast(device, precision):
                px = model.generate(y=label, z=code.split(model.latent_dims, -1)).px
            means.append(px.mean[0].float().cpu())
            draws.append(px.sample()[0].float().cpu())
    return Pictures(np.asarray(z, np.float32), torch.cat(means).numpy(), torch.cat(draws).numpy())


@torch.no_grad()
def decoded_means(
    model: Generates,
    z: Array,
    y: Array | None = None,
    *,
    device: torch.device,
    precision: Precision = "fp32",
    batch_size: int = 500,
) -> Array:
    """The means of p(x|z) ``[N, *data]`` at codes z ``[N, D]``; nothing is drawn, so no random state is touched."""
    model.eval()
    means = []
    for start in range(0, len(z), batch_size):
        part = slice(start, start + batch_size)
        code = torch.as_tensor(z[part], dtype=torch.float32, device=device)
        label = None if y is None else torch.as_tensor(y[part], dtype=torch.float32, device=device)
        with autocast(device, precision):
            px = model.generate(y=label, z=code.split(model.latent_dims, -1)).px
        means.append(px.mean[0].float().cpu())
    return torch.cat(means).numpy()


@torch.no_grad()
def draw_codes(model: Generates, n: int, y: Array | None = None, *, device: torch.device, seed: int = 0) -> Array:
    """n codes ``[n, D]`` from the prior, the levels of a hierarchy side by side.

    Raises:
        ZatlasError: the model has no distribution over codes, as an autoencoder's flat prior is none.
    """
    with forked_rng(device, seed=seed):
        labels = None if y is None else torch.as_tensor(y, dtype=torch.float32, device=device)
        z = torch.cat(model.generate(n, labels).z, -1)[0]
    return z.float().cpu().numpy()
