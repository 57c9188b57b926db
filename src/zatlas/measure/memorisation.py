"""Samples beside the training examples that they are nearest to: what a model that only repeats its data would show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from zatlas import figures
from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.classifier import load_classifier
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.quality import copying, raw_values
from zatlas.figures import View, arrays
from zatlas.measure.feature_classifier import classifier_path, examples, held_out_accuracy
from zatlas.measure.samples import MOST_TRAINING, SMALLEST, lacks_images, shown_as_data
from zatlas.runs.opened import Run

COMPARED = 1000  # samples, of which those nearest to training images are shown
MOST_VALUES = 20_000_000


def neighbours(run: Run, *, n: int = 20, seed: int = 0, most: int | None = None, held_out: int | None = None) -> View:
    """New samples, nearest to the training data first, each with its nearest training example.

    Distances are in the features of the data's classifier where ``zatlas classifier`` has trained one, else between
    raw values. :func:`zatlas.evaluation.quality.copying` says whether training images are nearer than held-out ones.

    Args:
        run: an opened run with its data.
        n: samples shown, of at least 1,000 drawn.
        seed: of the samples.
        most: training examples that are searched, spread evenly; None: 20,000, or as many as fit some 160 MB.
        held_out: held-out examples that stand against them; None: as many as ``most``. Fewer take less time, and widen
            the null spread.

    Returns:
        sample ``[n, *data]``, nearest ``[n, *data]``, rows ``[n]`` of the latter in the data, distance ``[n]``.

    Raises:
        UsageError: data that are no images, or a model that cannot sample.
    """
    return begin_neighbours(run, n=n, seed=seed, most=most, held_out=held_out)()


def begin_neighbours(
    run: Run, *, n: int = 20, seed: int = 0, most: int | None = None, held_out: int | None = None
) -> Callable[[], View]:
    """:func:`neighbours` in two parts: samples are drawn and examples read at once, a thread searches while the caller
    does other things, and the call that is returned waits for it."""
    if reason := lacks_images(run):
        raise UsageError(f"{run.folder.path} has no samples to compare: {reason}.")
    source, binarise, seen = run.source, run.config.data.binarise, run.config.training.seed
    path = classifier_path(source, binarise)
    extractor, told = raw_values(), []
    if path.is_file():
        known = load_classifier(path, run.device)
        accuracy, reason = held_out_accuracy(run, known)
        if reason:
            told.append(f"Compared in raw values, since {reason}.")
        else:
            extractor = replace(known.extractor, name=f"{known.name} (accuracy {accuracy.value:.3f})")
    most = most or min(MOST_TRAINING, max(SMALLEST, MOST_VALUES // run.spec.size))
    rows, held = run.spread("train", most), run.spread(run.held_out(), held_out or most)
    train, made = examples(source, rows, binarise, seen)[0], shown_as_data(run, max(COMPARED, n), seed)
    test = examples(source, held, binarise, seen)[0]
    pool = ThreadPoolExecutor(1)
    searched = pool.submit(lambda: copying(*(extractor(x) for x in (made, train, test))))
    pool.shutdown(wait=False)  # the thread ends with the search

    def shown() -> View:
        return _shown(run, searched.result(), n, made, train, rows, extractor.name, told)

    return shown


def _shown(
    run: Run, found: Score, n: int, made: Array, train: Array, rows: Array, name: str, told: Sequence[str]
) -> View:
    """Samples ``[S, *data]``, nearest first, each with its nearest of the training examples ``[T, *data]``."""
    index, distance = found.matrices["index"], found.matrices["distance"]
    order = np.argsort(distance, kind="stable")[:n]
    pair = (run.displayable(made[order]), run.displayable(train[index[order]]))
    share, error = found.figure.value, found.figure.standard_error
    stated = f"{share:.1%} ± {error:.1%}" if math.isfinite(error) else f"{share:.1%}"
    return View(
        arrays(sample=made[order], nearest=train[index[order]], rows=rows[index[order]], distance=distance[order]),
        figures.pairs(*pair, labels=("sample", "nearest training image")),
        f"The {len(order)} of {len(made)} samples that lie nearest to training images, each above that image.",
        (
            f"Of samples whose nearest image by {name} is a training or a held-out one, both of equal "
            f"weight, {stated} have a training image. {found.figure.caution}",
            *told,
        ),
        {"neighbour_share": found.figure.to_json(), "extractor": name, "rows": rows[index[order]].tolist()},
    )
