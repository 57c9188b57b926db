"""The examples that a model explains worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from zatlas import figures
from zatlas.data import Rows
from zatlas.errors import UsageError, nearest
from zatlas.evaluation.outliers import DEFAULT, SCORES, Explained, explained
from zatlas.figures import View, arrays
from zatlas.runs.opened import Run
from zatlas.walks.images import alike
from zatlas.walks.rows import called, table


def outliers(
    run: Run,
    *,
    n: int = 24,
    score: str = DEFAULT,
    split: str = "all",
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> View:
    """The rows of the data that the model explains worst, worst first.

    Args:
        run: an opened run with its data.
        n: how many to show.
        score: a name of :data:`zatlas.evaluation.outliers.SCORES`, which says what each means; all are in the arrays.
        split: which rows: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``. They are also what is usual.
        seed: of the draws of z.
        progress: is told how many examples were seen.

    Returns:
        rows ``[N]`` of the split, a score ``[N]`` of each name, distortion, rate, pixels and compressed ``[N]`` in
        nats, worst ``[n]`` row numbers.

    Raises:
        UsageError: there is no such score, or the model has no bound.
    """
    if score not in SCORES:
        raise UsageError(f"there is no score {score!r}; {nearest(score, SCORES)}")
    rows = run.rows(split)
    known = explanations(run, rows, seed=seed, progress=progress)
    scores = {name: kind.of(known) for name, kind in SCORES.items()}
    order = np.argsort(-scores[score], kind="stable")[:n]
    worst = rows[order]
    records = table(run, worst, score=scores[score][order], **{k: v[order] for k, v in known._asdict().items()})
    figure = None
    if run.spec.is_image:
        shown, back = alike(run, run.examples(worst), run.reconstruct(worst)[2].mean)
        captions = [(called(record), f"{record['score']:.3g}") for record in records]
        figure = figures.captioned(shown, captions, below=back)
    meaning = SCORES[score].meaning
    first = ", ".join(f"{called(record)} ({record['score']:.3g})" for record in records[:3])
    return View(
        arrays(rows=rows, **scores, **known._asdict(), worst=worst),
        figure,
        f"The {len(worst)} examples of {len(rows)} that score highest, each above its reconstruction, with its score.",
        (f"Score: {meaning}.", f"Worst of {len(rows):,}: {first}."),
        {"score": score, "meaning": meaning, "count": len(rows), "outliers": records},
    )


def explanations(run: Run, rows: Rows, *, seed: int = 0, progress: Callable[[int], None] | None = None) -> Explained:
    """What the model and the images alone say of some rows, in nats.

    Raises:
        UsageError: the model has no bound.
    """
    run.need_inference("bound by which examples could be scored")
    found = run.elbo(rows, progress, seed=seed)

    def batches() -> Iterator[npt.NDArray[np.float32]]:
        return (batch.x.cpu().numpy() for batch in run.batches(rows).epoch(0))

    values = "levels"
    if run.spec.values == "real" or not run.spec.is_image:
        values = "real"
    elif run.config.data.binarise != "none":
        values = "bits"
    elif run.quantity == "loss":
        values = "grey"
    return explained(found.distortion.numpy(), found.rate.numpy(), batches, values)
