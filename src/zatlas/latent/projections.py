"""Many units shown in two dimensions by a neighbour embedding."""

from __future__ import annotations

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError, ZatlasError


def umap(codes: Array, *, neighbours: int = 15, seed: int = 0) -> Array:
    """Codes ``[N, D]`` in two dimensions ``[N, 2]``: neighbours stay neighbours, distances mean little (McInnes 2018).

    Args:
        codes: ``[N, D]``.
        neighbours: of each code, whose nearness is kept.
        seed: of the descent.

    Raises:
        ZatlasError: umap-learn is not installed.
        UsageError: fewer than four codes.
    """
    if len(codes) < 4:
        raise UsageError(f"UMAP wants four codes or more, and there are {len(codes)}.")
    try:
        from umap import UMAP  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ZatlasError("--projection umap needs the library umap-learn: pip install 'zatlas[umap]'.") from None
    # one thread: with several, the same seed gives other pictures
    reducer = UMAP(n_neighbors=min(neighbours, len(codes) - 1), random_state=seed % 2**32, n_jobs=1)
    return np.asarray(reducer.fit_transform(codes))
