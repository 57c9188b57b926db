"""Measures of disentanglement against the scores that the original library gives, and what 10,000 points cost.

    python benchmarks/disentanglement.py [--no-boosted]

The reference is shared/reference: codes and factors, and the scores of disentanglement_lib on them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import SHARED, median, parser, show

from zatlas.evaluation.disentanglement import (
    Score,
    beta_vae,
    dci,
    dci_forest,
    explicitness,
    factor_vae,
    irs,
    mig_histogram,
    mig_sampled,
    modularity,
    sap,
    sap_correlation,
)

POINTS, TEST_POINTS = 10_000, 5_000


def measures(
    codes: Any, factors: Any, codes_test: Any, factors_test: Any, *, boosted: bool
) -> dict[str, Callable[[], Score]]:
    split = (codes, factors, codes_test, factors_test)
    found: dict[str, Callable[[], Score]] = {
        "MIG, histogram": lambda: mig_histogram(codes, factors),
        "MIG, sampled": lambda: mig_sampled(codes, np.full_like(codes, -4.0), factors),
        "modularity": lambda: modularity(codes, factors),
        "explicitness": lambda: explicitness(*split),
        "SAP, SVM": lambda: sap(*split),
        "SAP, correlation": lambda: sap_correlation(codes, factors),
        "IRS": lambda: irs(codes, factors),
        "FactorVAE": lambda: factor_vae(codes.__getitem__, factors),
        "BetaVAE": lambda: beta_vae(codes.__getitem__, factors),
        "DCI, forest": lambda: dci_forest(*split),
    }
    return {**found, **({"DCI, boosted": lambda: dci(*split)} if boosted else {})}


def reference_of(name: str, scores: dict[str, Any]) -> dict[str, float]:
    """The reference's figures of a measure, under the names of ours."""
    return {
        "MIG, histogram": {"": scores["mig"]},
        "modularity": {"": scores["modularity"]},
        "IRS": {"": scores["irs"]},
        "SAP, SVM": {"": scores["sap_continuous_factors_false"]["SAP_score"]},
        "SAP, correlation": {"": scores["sap_continuous_factors_true"]["SAP_score"]},
        "DCI, boosted": {
            "": scores["dci_disentanglement"],
            "completeness": scores["dci_completeness"],
            "informativeness": scores["dci_informativeness_test"],
            "informativeness_train": scores["dci_informativeness_train"],
        },
    }.get(name, {"": None})


def timed(measure: Callable[[], Score]) -> tuple[Score, float]:
    start = time.perf_counter()
    score = measure()
    return score, time.perf_counter() - start


def agreement(*, boosted: bool) -> list[dict[str, Any]]:
    folder = SHARED / "reference"
    if not folder.is_dir():
        sys.exit(f"skipped: no reference under {SHARED}; set ZATLAS_SHARED")
    scores = json.loads((folder / "disentanglement_scores.json").read_text(encoding="utf-8"))["scores"]
    rows = []
    for kind in ("aligned", "mixed"):
        with np.load(folder / f"codes_{kind}.npz") as held:
            table = [held[k] for k in ("codes_train", "factors_train", "codes_test", "factors_test")]
        for name, measure in measures(*table, boosted=boosted).items():
            score, seconds = timed(measure)
            for part, expected in reference_of(name, scores[kind]).items():
                ours = score.parts[part] if part else score.value
                rows.append(
                    {
                        "codes": kind,
                        "measure": f"{name} {part}".strip(),
                        "reference": "" if expected is None else f"{expected:.6f}",
                        "ours": f"{ours:.6f}",
                        "difference": "" if expected is None else f"{ours - expected:+.1e}",
                        "standard error": "" if part else f"{score.figure.standard_error:.4f}",
                        "seconds": None if part else seconds,
                    }
                )
    return rows


def costs(repeats: int, *, boosted: bool) -> list[dict[str, Any]]:
    """Seconds for 10,000 points (5,000 to test) of ten units that mix the five factors of sprites."""
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 6, 40, 32, 32), size=(POINTS + TEST_POINTS, 5))
    codes = np.tanh(factors / 20 @ rng.standard_normal((5, 10))) + 0.1 * rng.standard_normal((len(factors), 10))
    codes = codes.astype(np.float32)
    table = (codes[:POINTS], factors[:POINTS], codes[POINTS:], factors[POINTS:])
    rows = []
    for name, measure in measures(*table, boosted=boosted).items():
        once = 1 if name.startswith("DCI") else repeats
        runs = [timed(measure) for _ in range(once)]
        rows.append({"measure": name, "value": f"{runs[0][0].value:.3f}", "seconds": median(s for _, s in runs)})
    return rows


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--no-boosted", action="store_true", help="leave out the DCI of boosted trees, which is slow")
    arguments = options.parse_args()
    boosted = not arguments.no_boosted
    show("Agreement with the original library (4,000 and 2,000 points)", agreement(boosted=boosted), arguments.json)
    show("Cost of 10,000 and 5,000 points with the factors of sprites", costs(arguments.repeats, boosted=boosted))


if __name__ == "__main__":
    main()
