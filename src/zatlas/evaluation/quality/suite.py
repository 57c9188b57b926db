"""The measures of sample quality under one protocol, each beside what test examples themselves reach."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.score import Score
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import Extractor, check_pair
from zatlas.evaluation.quality.frechet import frechet_distance
from zatlas.evaluation.quality.kernel import kernel_distance
from zatlas.evaluation.quality.memorisation import copying
from zatlas.evaluation.quality.modes import mode_coverage
from zatlas.evaluation.quality.neighbours import overlap

FLOOR = "_floor"  # after the name of a measure: the same of test examples


@dataclass(frozen=True, eq=False)
class Quality:
    """How good samples are.

    Attributes:
        figures: by name; ``NAME_floor`` is the same measure of test examples.
        nearest: row of each sample's nearest training example ``[N]``, and ``distances`` to it.
        distances: ``[N]``, in the extractor's features.
        warnings: sentences; empty where nothing is amiss.
    """

    figures: dict[str, Figure]
    nearest: Array
    distances: Array
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "warnings": list(self.warnings),
        }


def quality(
    samples: Array,
    train: Array,
    test: Array,
    *,
    extractor: Extractor,
    predict: Callable[[Array], Array] | None = None,
    count: int = 10_000,
    k: int = 5,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Quality:
    """Fréchet and kernel distance, precision, recall, density and coverage of samples against training examples.

    N examples of each set are compared, N the same for all, so that the floor (test against the same training
    examples) has the bias that the figure has. Copies are looked for among all training examples given.

    Args:
        samples: ``[S, *data]``, in the values that the extractor expects.
        train: ``[T, *data]``.
        test: ``[M, *data]``.
        extractor: of features.
        predict: examples to class numbers ``[n]``; with it the classes that samples hit are counted.
        count: most examples of a set.
        k: neighbours.
        seed: of the choice of examples.
        progress: is told the name of each measure before it starts.

    Returns:
        ``frechet_distance``, ``kernel_distance``, ``precision``, ``recall``, ``density``, ``coverage``;
        ``neighbour_share``, the test for copies; with ``predict`` ``modes`` and ``mode_kl``; each with its ``_floor``.

    Raises:
        UsageError: examples of different shapes, too few of them, or features that are not finite.
    """
    sets = _checked({"samples": samples, "train": train, "test": test})
    tell = progress or (lambda name: None)
    rng = np.random.default_rng(seed)
    number = min(count, *(len(x) for x in sets.values()))
    rows = {name: np.sort(rng.permutation(len(x))[:number]) for name, x in sets.items()}
    tell("features")
    every = extractor(sets["train"])
    reference, made, held = every[rows["train"]], extractor(sets["samples"]), extractor(sets["test"])
    check_pair(reference, made)
    found: dict[str, dict[str, Figure]] = {}
    warnings: list[str] = []
    for suffix, features in (("", made[rows["samples"]]), (FLOOR, held[rows["test"]])):
        tell(f"distances{suffix}")
        frechet = frechet_distance(features, reference)
        warnings += frechet.warnings
        found[suffix] = {
            "frechet_distance": frechet.figure,
            "kernel_distance": kernel_distance(features, reference),
        }
        tell(f"overlap{suffix}")
        found[suffix] |= overlap(reference, features, k=k)
    if predict is not None:
        tell("modes")
        seen = {name: predict(x[rows[name]]) for name, x in sets.items()}
        for suffix, name in (("", "samples"), (FLOOR, "test")):
            modes = mode_coverage(seen[name], seen["train"])
            warnings += modes.warnings
            found[suffix] |= _mode_figures(modes, number)
    tell("copying")
    copies = copying(made, every, held)
    found[""]["neighbour_share"] = copies.figure
    found[FLOOR]["neighbour_share"] = _held_out_copies(copies, len(held))
    size = "x".join(map(str, sets["test"].shape[1:]))
    figures = {
        name + suffix: _of_features(found[suffix][name], extractor, size)
        for name in found[""]
        for suffix in found
        if name in found[suffix]
    }
    told = tuple(dict.fromkeys((*warnings, *copies.warnings)))  # the floor's are the same sentences
    return Quality(figures, copies.matrices["index"], copies.matrices["distance"], told)


def _checked(sets: dict[str, Array]) -> dict[str, Array]:
    """The sets as arrays.

    Raises:
        UsageError: their examples differ in shape.
    """
    sets = {name: np.asarray(x) for name, x in sets.items()}
    if len({x.shape[1:] for x in sets.values()}) > 1:
        shapes = ", ".join(f"{name} {x.shape[1:]}" for name, x in sets.items())
        raise UsageError(f"examples of different shapes cannot be compared: {shapes}.")
    return sets


def _mode_figures(modes: Score, number: int) -> dict[str, Figure]:
    """The number of classes that were hit, and the divergence of their shares from those of ``number`` examples."""
    kl = Figure(
        modes.parts["kl"],
        modes.parts["kl_error"] or math.nan,  # all in one class: their own spread tells nothing
        number,
        "KL(samples || training) of classes, nats",
        unit="nats",
        over="samples",
        fixed=f"the classifier and its counts of {number} training examples",
        caution=f"{number} draws of the training classes themselves have {modes.parts['kl_floor']:.2g} nats.",
    )
    return {"modes": modes.figure, "mode_kl": kl}


def _held_out_copies(copies: Score, count: int) -> Figure:
    """The share of test examples, ``count`` of them, that the test for copies would call copies."""
    return replace(
        copies.figure,
        value=copies.parts["held_out"],
        standard_error=copies.parts["held_out_error"],
        count=count,
        over="test examples",
        caution="Each test example beside the training and the other test examples.",
    )


def _of_features(figure: Figure, extractor: Extractor, size: str) -> Figure:
    """A figure that says by which features of examples of which size it was measured."""
    return replace(
        figure,
        estimator=f"{figure.estimator} by {extractor.name}, N={figure.count}, {size}",
        caution=f"{figure.caution} {extractor.caution}".strip(),
    )
