"""Images for the figures of walks: examples as the model sees them, and codes decoded in rows."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array
from zatlas.runs.opened import Run


def decoded(run: Run, z: Array, y: Array | None) -> Array:
    """Means ``[N, S, *data]`` of codes ``[N, S, D]``; labels ``[N, S, Y]``, or ``[N, Y]`` shared by a row.

    A model that takes no labels is given none.
    """
    labels = None
    if y is not None and run.kind.conditional:
        each = y if y.ndim == 3 else np.repeat(y[:, None], z.shape[1], 1)
        labels = each.reshape(-1, y.shape[-1])
    images = run.decode(z.reshape(-1, z.shape[-1]), labels).mean
    return images.reshape(*z.shape[:2], *images.shape[1:])


def alike(run: Run, *sets: Array) -> list[Array]:
    """Sets of images ``[..., C, H, W]`` in [0, 1]; where they are real values, all stretched over one range."""
    shape = run.spec.shape
    flat = run.displayable(np.concatenate([images.reshape(-1, *shape) for images in sets]))
    ends = np.cumsum([images.size // run.spec.size for images in sets])[:-1]
    return [part.reshape(images.shape) for part, images in zip(np.split(flat, ends), sets, strict=True)]
