"""Images of an exported map that are seen before the model in it runs: few, and of 16 shades.

The page decodes in the middle of the cells [i s, (i + 1) s) × [j s, (j + 1) s) of the plane, where s is 2^level, and
chooses the level by the size that a cell has on the screen; see ``level`` and ``fit`` in frontend/src/map.ts. What is
stored is the finest level whose images take little room, all over the view that the page opens with.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.explorer.explored import Explored

LATTICE_BYTES = 60_000
SHADES = 16
VIEW = np.array([936, 740])  # pixels of the map in a window of 1280 × 800
COARSER = 4  # levels that are tried


def lattice(explored: Explored, mean: Array) -> tuple[dict[str, Any], dict[str, Array | None]]:
    """Images ``[up · across + 1, C, H, W]``, row 0 lowest, and last the one at 0; with where they stand.

    Two values lie in a byte, the first in its upper half. They are not compressed, and so there in the map's first
    frame: browsers unpack gzip only in their own time. Both are empty where there are none to be shown: the map is not
    of the two units of a code, or the data are no images.

    Args:
        explored: the run.
        mean: codes on the map, ``[N, D]``.
    """
    run = explored.run
    if run.latent_dim != 2 or not run.kind.axes or not run.spec.is_image:
        return {}, {}
    low, high = np.quantile(mean, (0.003, 0.997), axis=0)
    scale = 0.9 * float((VIEW / np.maximum(high - low, 1e-6)).min())
    cell = min(96.0, max(44.0, 1.7 * max(run.spec.shape[1:])))
    finest = round(math.log2(cell / scale))
    black, white = explored.range
    for level in range(finest, finest + COARSER):
        size = 2.0**level
        first, last = (np.floor(((low + high) / 2 + sign * VIEW / scale / 2) / size).astype(int) for sign in (-1, 1))
        across, up = (last - first + 1).tolist()
        if (across * up + 1) * run.spec.size > 2 * LATTICE_BYTES:
            continue
        j, i = np.divmod(np.arange(across * up), across)
        z = np.concatenate([(np.stack([i, j], 1) + first + 0.5) * size, np.zeros((1, 2))]).astype(np.float32)
        shown = ((explored.decoded(z, None) - black) / (white - black)).clip(0, 1)
        where = {"level": level, "i": int(first[0]), "j": int(first[1]), "across": across, "up": up}
        return {"lattice": where}, {"lattice": halves(np.round(shown * (SHADES - 1)).astype(np.uint8))}
    return {}, {}


def halves(values: Array) -> Array:
    """Numbers below 16, two in a byte.

    >>> halves(np.array([1, 2, 3], np.uint8)).tolist()
    [18, 48]
    """
    flat = np.append(values.reshape(-1), np.zeros(values.size % 2, np.uint8))
    packed: Array = flat[::2] << 4 | flat[1::2]
    return packed
