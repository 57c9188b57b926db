"""How long the exact search for the nearest codes takes, beside scikit-learn's brute force and its tree.

    python benchmarks/similar.py

10^6 codes of 16 units, drawn from a standard normal as a VAE's lie about, and the 16 nearest to one of them; the aim is
50 ms. The codes are searched in memory: to encode the images is `zatlas encode`'s time and not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from common import median, parser, show
from sklearn.neighbors import NearestNeighbors

from zatlas.latent import Neighbours


def milliseconds(search: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    times = []
    for query in queries:
        start = time.perf_counter()
        search(query[None])
        times.append(1000 * (time.perf_counter() - start))
    return median(times)


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--codes", type=int, default=1_000_000)
    options.add_argument("--units", type=int, default=16)
    args = options.parse_args()
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((args.codes, args.units), np.float32)
    queries = codes[rng.integers(0, len(codes), 5 * args.repeats)]
    ours = Neighbours(codes)
    brute = NearestNeighbors(n_neighbors=16, algorithm="brute").fit(codes)
    rows = [{"search": "zatlas, exact", "ms": milliseconds(lambda q: ours.nearest(q, 16), queries)}]
    rows.append({"search": "scikit-learn, brute force", "ms": milliseconds(brute.kneighbors, queries)})
    if args.units <= 16:
        tree = NearestNeighbors(n_neighbors=16, algorithm="kd_tree").fit(codes)
        rows.append({"search": "scikit-learn, k-d tree", "ms": milliseconds(tree.kneighbors, queries)})
    show(f"16 nearest of {args.codes:,} codes of {args.units} units, one query, median", rows, args.json)


if __name__ == "__main__":
    main()
