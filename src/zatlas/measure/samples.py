"""Samples against data, in the features of a classifier of the same data, or in raw values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from zatlas.data.catalog import data_folder
from zatlas.evaluation.classifier import Classifier, load_classifier, train_classifier
from zatlas.evaluation.quality import quality, raw_values
from zatlas.measure.metric import Found, Options, Progress
from zatlas.opened import Experiment

Array = npt.NDArray[np.float32]

MOST_TRAINING = 20_000
SMALLEST = 200  # samples of which figures say anything


def lacks_images(experiment: Experiment) -> str | None:
    if not experiment.spec.is_image:
        return "samples are compared as images, and these data are columns"
    if experiment.kind.point and not experiment.has_prior():
        return "an autoencoder samples from a fitted prior only: zatlas prior RUN makes one"
    return None


def classifier_path(experiment: Experiment) -> Path:
    """Where the classifier of these data is kept, for all runs on them."""
    source = experiment.source
    return data_folder() / "extractors" / f"{source.fingerprint()[:16]}-{experiment.config.data.binarise}.safetensors"


def classifier(experiment: Experiment) -> Classifier | None:
    """The classifier whose features stand for these data, trained once; None without classes.

    It learns from the run's training rows, as the model sees them.
    """
    if experiment.spec.label_kind != "class" or experiment.spec.shape[0] not in (1, 3):
        return None
    path = classifier_path(experiment)
    if path.is_file():
        return load_classifier(path, experiment.device)
    experiment.say(f"Training a classifier of {experiment.source.name} as feature extractor; it is kept in {path}.")
    x, y = _examples(experiment, experiment.rows("train"))
    about = {"data": experiment.source.name, "fingerprint": experiment.source.fingerprint()}
    trained = train_classifier(x, y, classes=experiment.spec.label_dim, device=experiment.device, about=about)
    trained.save(path)
    return trained


def samples(experiment: Experiment, rows: npt.NDArray[np.int64], options: Options, progress: Progress) -> Found:
    """Fréchet and kernel distance, precision, recall, density, coverage, modes and copies, beside their floors."""
    judge = classifier(experiment)
    train, _ = _examples(experiment, experiment.spread("train", MOST_TRAINING))
    test, _ = _examples(experiment, rows)
    made = _shown(experiment, max(SMALLEST, len(rows)), options.seed)
    found = quality(
        made,
        train,
        test,
        extractor=judge.extractor if judge else raw_values(),
        predict=judge.predict if judge else None,
        seed=options.seed,
    )
    progress(len(rows))
    return Found(found.figures, {"warnings": list(found.warnings)})


def _shown(experiment: Experiment, count: int, seed: int) -> Array:
    """Samples as the data are: bits where the data are bits, else means, in the data's own steps."""
    pictures, _ = experiment.sample(count, seed=seed)
    if experiment.config.data.binarise != "none":
        return np.asarray(pictures.draw, np.float32)
    x = np.asarray(pictures.mean, np.float32)
    return (np.round(x.clip(0, 1) * 255) / 255).astype(np.float32) if experiment.spec.values == "uint8" else x


def _examples(experiment: Experiment, rows: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Examples as the model sees them, and their class numbers (zeros without classes)."""
    parts = list(experiment.batches(rows).epoch(0))
    x = np.concatenate([batch.x.cpu().numpy() for batch in parts])
    if experiment.spec.label_kind != "class":
        return x, np.zeros(len(x), np.int64)
    return x, np.concatenate([batch.y.cpu().numpy().argmax(1) for batch in parts if batch.y is not None])
