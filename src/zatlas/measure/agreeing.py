"""Several trainings of one thing: which units they share, which of their latent spaces only turned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from zatlas.errors import UsageError
from zatlas.evaluation.codes import Alignment, align, reproducibility
from zatlas.evaluation.disentanglement import udr
from zatlas.figures import View, arrays, heat
from zatlas.runs.opened import Run

MOST_ROWS = 5000
MOST_UNITS = 40  # in a picture of every unit with every unit


def agree(runs: Sequence[Run], split: str | None = None, *, rows: int = MOST_ROWS, seed: int = 0) -> View:
    """What stays and what turns over trainings: codes of the same examples aligned by Procrustes, matching and CCA, and
    the unsupervised disentanglement ranking (Duan et al. 2020) of the runs.

    Args:
        runs: opened runs on the same data; usually of one configuration and several seeds.
        split: as for :func:`zatlas.measure.evaluate_run`.
        rows: at most so many examples.
        seed: of the bootstrap behind the standard errors.

    Returns:
        correlations ``[D, E]`` of the units of the first two runs, canonical correlations, udr ``[R]``; the facts have
        every figure with its error; the figure shows the first run's units against the second's.

    Raises:
        UsageError: fewer than two runs, runs without codes to compare, or on other data.
    """
    if len(runs) < 2:
        raise UsageError("trainings are compared with one another: name at least two runs.")
    first, *others = runs
    for run in runs:
        run.need_inference("codes to align")
        if not run.kind.axes:
            raise UsageError(f"the codes of {run.folder.path} are words of a codebook, and have no axes to align.")
    for other in others:
        if other.source.fingerprint() != first.source.fingerprint():
            raise UsageError(
                f"{other.folder.path} and {first.folder.path} are about different data: their codes cannot be aligned."
            )
    split = split or first.held_out()
    chosen = first.spread(split, rows)
    codes = [run.encode(chosen).mean for run in runs]
    figures = reproducibility(codes, seed=seed)
    rates = None if any(e.kind.point for e in runs) else [e.unit_rates() for e in runs]
    ranking = udr(codes, unit_rates=rates)
    figures["udr"] = ranking.figure
    pairs = {other.folder.name: align(codes[0], code, seed=seed) for other, code in zip(others, codes[1:], strict=True)}
    names = first.unit_names
    sentences = [f"{first.folder.name} and {name}: {' '.join(pair.sentences(names))}" for name, pair in pairs.items()]
    nearest_pair = next(iter(pairs.values()))
    facts = {
        "split": split,
        "count": len(chosen),
        "figures": {name: figure.to_json() for name, figure in figures.items()},
        "udr_of_run": {str(e.folder.path): float(v) for e, v in zip(runs, ranking.matrices["run"], strict=True)},
        "pairs": {name: pair.to_json() for name, pair in pairs.items()},
        "warnings": list(ranking.warnings),
    }
    return View(
        arrays(
            correlations=nearest_pair.correlations,
            canonical=nearest_pair.canonical,
            matches=nearest_pair.matches,
            rotation=nearest_pair.rotation,
            udr=ranking.matrices["run"],
        ),
        _table(runs, nearest_pair),
        "|correlation| of every unit of the first run with every unit of the second, matched units on the diagonal.",
        (*sentences, *ranking.warnings),
        facts,
    )


def _table(runs: Sequence[Run], pair: Alignment) -> Figure | None:
    """|correlation| of units, the second run's in the order in which they match the first's."""
    names = [run.unit_names for run in runs[:2]]
    units, partners = pair.correlations.shape
    if max(units, partners) > MOST_UNITS:
        return None
    matched = [int(unit) for unit in pair.matches if unit >= 0]
    order = [*matched, *(unit for unit in range(partners) if unit not in matched)]
    return heat(
        np.abs(pair.correlations)[:, order],
        names[0],
        [names[1][unit] for unit in order],
        title=f"|correlation|: {runs[0].folder.name} down, {runs[1].folder.name} across",
    )
