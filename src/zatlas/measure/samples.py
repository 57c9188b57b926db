"""Samples against data, in the features of a classifier of the same data, or in raw values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zatlas.evaluation import Figure
from zatlas.evaluation.classifier import Classifier
from zatlas.evaluation.disentanglement.score import binomial_error
from zatlas.evaluation.quality import quality, raw_values
from zatlas.measure.feature_classifier import examples, feature_classifier, held_out_accuracy
from zatlas.measure.metric import Found, Options, Progress, Refused
from zatlas.parts import metric
from zatlas.runs.opened import Run

Array = npt.NDArray[np.float32]

MOST_TRAINING = 20_000
SMALLEST = 200  # samples of which figures say anything
SURE = 0.9  # the probability of a class from which on an image counts as recognised


def lacks_images(run: Run) -> str | None:
    if not run.spec.is_image:
        return "samples are compared as images, and these data are columns"
    if run.kind.point and not run.priors:
        return "an autoencoder samples from a fitted prior only: zatlas prior RUN makes one"
    return None


@metric(
    "samples",
    when="how samples differ from data: Fréchet and kernel distance, precision, recall, density, coverage, copies",
    order=12,
    lacks=lacks_images,
    rows=10_000,
    draws=True,
)
def samples(run: Run, rows: npt.NDArray[np.int64], options: Options, progress: Progress) -> Found:
    """Fréchet and kernel distance, precision, recall, density, coverage, modes and copies, beside their floors."""
    source, binarise = run.source, run.config.data.binarise
    seed = run.config.training.seed
    known = feature_classifier(source, run.rows("train"), binarise, run.device, run.say)
    extractor = raw_values()
    figures: dict[str, Figure] = {}
    if known:
        accuracy, reason = held_out_accuracy(run, known)
        if reason:
            raise Refused(
                f"{reason}; train it longer with `zatlas classifier {run.config.data.source} --epochs N` (and "
                "the options of the data), or measure a run on data with fewer classes or more images of each"
            )
        extractor = replace(known.extractor, name=f"{known.name} (accuracy {accuracy.value:.3f})")
        figures["classifier_accuracy"] = accuracy
    train, _ = examples(source, run.spread("train", MOST_TRAINING), binarise, seed)
    test, _ = examples(source, rows, binarise, seed)
    made, asked = drawn_as_data(run, max(SMALLEST, len(rows)), options)
    found = quality(
        made,
        train,
        test,
        extractor=extractor,
        predict=known.predict if known else None,
        seed=options.seed,
    )
    if known:
        figures |= _recognised(known, made, asked, test)
    progress(len(rows))
    return Found(figures | found.figures, {"warnings": list(found.warnings)})


def _recognised(known: Classifier, made: Array, asked: Array | None, test: Array) -> dict[str, Figure]:
    """The share of samples that a classifier is sure of, beside that of test examples; and, where they were drawn for
    a class, the share that it finds in that class."""
    figures = {}
    for name, x, over in (("recognised", made, "samples"), ("recognised_floor", test, "test examples")):
        share = float((known.probabilities(x).max(1) >= SURE).mean())
        how = f"share to which {known.name} gives a class with a probability of {SURE:g} or more"
        figures[name] = Figure(share, binomial_error(share, len(x)), len(x), how, over=over, fixed="the classifier")
    if asked is not None:
        share = float((known.predict(made) == asked).mean())
        how = f"share that {known.name} finds in the class that it was drawn for"
        figures["as_asked"] = Figure(share, binomial_error(share, len(made)), len(made), how, over="samples")
    return figures


def drawn_as_data(run: Run, count: int, options: Options) -> tuple[Array, Array | None]:
    """New samples ``[N, *data]`` as the data are: bits where the data are bits, else means, in the data's own steps;
    and the classes that they were drawn for ``[N]``, where they were."""
    pictures, y = run.sample(count, seed=options.seed, prior=options.prior, guidance=options.guidance)
    asked = y.argmax(1) if y is not None and run.spec.label_kind == "class" else None
    if run.config.data.binarise != "none":
        return np.asarray(pictures.draw, np.float32), asked
    x = np.asarray(pictures.mean, np.float32)
    if run.spec.values == "uint8":
        x = (np.round(x.clip(0, 1) * 255) / 255).astype(np.float32)
    return x, asked


def shown_as_data(run: Run, count: int, seed: int) -> Array:
    """New samples ``[N, *data]`` from the model's own prior, as the data are."""
    return drawn_as_data(run, count, Options(seed=seed))[0]
