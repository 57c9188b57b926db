"""All measures that a table of codes and factors allows, under one protocol."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zatlas.arrays import Array
from zatlas.evaluation.disentanglement.beta_vae import beta_vae
from zatlas.evaluation.disentanglement.dci import dci, dci_forest
from zatlas.evaluation.disentanglement.factor_vae import factor_vae
from zatlas.evaluation.disentanglement.irs import irs
from zatlas.evaluation.disentanglement.mig import mig_histogram, mig_sampled
from zatlas.evaluation.disentanglement.modularity import explicitness, modularity
from zatlas.evaluation.disentanglement.points import check_split
from zatlas.evaluation.disentanglement.sap import sap, sap_correlation
from zatlas.evaluation.disentanglement.score import Score


def score_all(
    codes: Array,
    factors: Array,
    codes_test: Array,
    factors_test: Array,
    *,
    log_variances: Array | None = None,
    boosted: bool = True,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Score]:
    """Every measure by its name, in the order of rising cost.

    10,000 points to learn from and 5,000 to be tested on are usual (Locatello et al. 2019). The two measures that fix
    factors draw from the former.

    Args:
        codes: posterior means ``[N, D]``.
        factors: integers ``[N, F]``.
        codes_test: ``[M, D]``.
        factors_test: ``[M, F]``.
        log_variances: of the posteriors ``[N, D]``; with them MIG is also estimated from draws.
        boosted: DCI by gradient-boosted trees, a minute or two; else by a quick forest, named so.
        seed: of everything drawn.
        progress: is told the name of each measure before it starts.

    Raises:
        UsageError: shapes that do not match, NaN, or fewer than 20 points.
    """
    check_split(codes, factors, codes_test, factors_test)
    split = (codes, factors, codes_test, factors_test)
    lookup = np.asarray(codes).__getitem__
    measures: dict[str, Callable[[], Score]] = {
        "mig": lambda: mig_histogram(codes, factors, seed=seed),
        "modularity": lambda: modularity(codes, factors, seed=seed),
        "irs": lambda: irs(codes, factors),
        "sap_correlation": lambda: sap_correlation(codes, factors, seed=seed),
        "sap": lambda: sap(*split, seed=seed),
        "explicitness": lambda: explicitness(*split),
        "factor_vae": lambda: factor_vae(lookup, factors, seed=seed),
        "beta_vae": lambda: beta_vae(lookup, factors, seed=seed),
    }
    if log_variances is not None:
        measures["mig_sampled"] = lambda: mig_sampled(codes, log_variances, factors, seed=seed)
    measures["dci" if boosted else "dci_forest"] = lambda: (dci if boosted else dci_forest)(*split, seed=seed)
    scores = {}
    for name, measure in measures.items():
        if progress:
            progress(name)
        scores[name] = measure()
    return scores
