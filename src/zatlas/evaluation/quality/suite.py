"""The measures of sample quality under one protocol, each beside what test examples themselves reach."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import Extractor, check_pair
from zatlas.evaluation.quality.frechet import frechet_distance
from zatlas.evaluation.quality.kernel import kernel_distance
from zatlas.evaluation.quality.memorisation import copying
from zatlas.evaluation.quality.modes import mode_coverage
from zatlas.evaluation.quality.neighbours import overlap


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
    sets = {"samples": np.asarray(samples), "train": np.asarray(train), "test": np.asarray(test)}
    if len({x.shape[1:] for x in sets.values()}) > 1:
        shapes = ", ".join(f"{name} {x.shape[1:]}" for name, x in sets.items())
        raise UsageError(f"examples of different shapes cannot be compared: {shapes}.")
    tell = progress or (lambda name: None)
    rng = np.random.default_rng(seed)
    number = min(count, *(len(x) for x in sets.values()))
    rows = {name: np.sort(rng.permutation(len(x))[:number]) for name, x in sets.items()}
    tell("features")
    every = extractor(sets["train"])
    reference, made, held = every[rows["train"]], extractor(sets["samples"]), extractor(sets["test"])
    check_pair(reference, made)
    pairs = {"": made[rows["samples"]], "_floor": held[rows["test"]]}
    size = "x".join(map(str, sets["test"].shape[1:]))
    named = lambda figure: replace(
        figure,
        estimator=f"{figure.estimator} by {extractor.name}, N={figure.count}, {size}",
        caution=f"{figure.caution} {extractor.caution}".strip(),
    )
    found: dict[str, dict[str, Figure]] = {}
    warnings: list[str] = []
    for suffix, features in pairs.items():
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
        for suffix, name in (("", "samples"), ("_floor", "test")):
            modes = mode_coverage(seen[name], seen["train"])
            warnings += modes.warnings
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
            found[suffix] |= {"modes": modes.figure, "mode_kl": kl}
    tell("copying")
    copies = copying(made, every, held)
    found[""]["neighbour_share"] = copies.figure
    found["_floor"]["neighbour_share"] = replace(
        copies.figure,
        value=copies.parts["held_out"],
        standard_error=copies.parts["held_out_error"],
        count=len(held),
        over="test examples",
        caution="Each test example beside the training and the other test examples.",
    )
    figures = {
        name + suffix: named(found[suffix][name]) for name in found[""] for suffix in pairs if name in found[suffix]
    }
    told = tuple(dict.fromkeys((*warnings, *copies.warnings)))  # the floor's are the same sentences
    return Quality(figures, copies.matrices["index"], copies.matrices["distance"], told)
