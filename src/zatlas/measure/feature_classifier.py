"""The classifier in whose features samples are compared with data: one for each data set, kept beside the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zatlas.data import Batches, Rows, Source, gathered
from zatlas.data.catalog import data_folder
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import Figure
from zatlas.evaluation.classifier import Classifier, load_classifier, train_classifier, unfit
from zatlas.runs.opened import Run
from zatlas.types import Binarise

CHANNELS = (1, 3)
EVALUATED_AT_ONCE = 1000
MOST_HELD_OUT = 10_000

Array = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


def classifier_path(source: Source, binarise: Binarise) -> Path:
    """Where the classifier of these data is kept, for all runs on them."""
    return data_folder() / "extractors" / f"{source.fingerprint()[:16]}-{binarise}.safetensors"


def examples(source: Source, rows: Rows, binarise: Binarise, seed: int = 0) -> tuple[Array, Classes]:
    """Examples as a model sees them, bits drawn with ``seed``, and their class numbers (zeros without classes)."""
    shown = Batches(source, rows, batch_size=EVALUATED_AT_ONCE, seed=seed, binarise=binarise, shuffle=False)
    parts = list(shown.epoch(0))
    x = gathered(parts)
    if source.spec.label_kind != "class":
        return x, np.zeros(len(x), np.int64)
    return x, np.concatenate([batch.y.numpy().argmax(1) for batch in parts if batch.y is not None])


def lacks_classes(source: Source) -> str | None:
    """Why there can be no classifier of these data, as a clause; None where there can."""
    if not source.spec.is_image or source.spec.shape[0] not in CHANNELS:
        return "they are no grey or RGB images"
    if source.spec.label_kind != "class" or source.spec.label_dim < 2:
        return "they have no classes"
    return None


def train_feature_classifier(
    source: Source,
    rows: Rows,
    binarise: Binarise = "none",
    *,
    epochs: int | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    out: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Classifier:
    """Trains a classifier of the data and keeps it, by default where every run on these data finds it.

    Args:
        source: images with classes.
        rows: the training rows.
        binarise: how the models see the data.
        epochs: passes over the rows; None: two, or as many as make 500 steps.
        seed: of weights and order.
        device: where it is trained, and stays.
        out: the file; None: :func:`classifier_path`.
        progress: is told how many images were seen at every step.

    Raises:
        UsageError: no images, or no classes.
    """
    trained = _trained(source, rows, binarise, epochs=epochs, seed=seed, device=device, progress=progress)
    trained.save(out or classifier_path(source, binarise))
    return trained


def _trained(source: Source, rows: Rows, binarise: Binarise, **words: Any) -> Classifier:
    if reason := lacks_classes(source):
        raise UsageError(f"no classifier of {source.name} can be trained: {reason}.")
    x, y = examples(source, rows, binarise)
    about = {"data": source.name, "fingerprint": source.fingerprint(), "binarise": binarise}
    return train_classifier(x, y, classes=source.spec.label_dim, about=about, **words)


def feature_classifier(
    source: Source,
    rows: Rows,
    binarise: Binarise,
    device: torch.device | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Classifier | None:
    """The classifier of these data, trained where there is none yet; None where there can be none."""
    if lacks_classes(source):
        return None
    path = classifier_path(source, binarise)
    if path.is_file():
        return load_classifier(path, device)
    say(f"Training a classifier of {source.name} as feature extractor; it is kept in {path}.")
    trained = _trained(source, rows, binarise, device=device)
    try:
        trained.save(path)
    except ZatlasError as error:
        say(f"The classifier is used here and not kept: {error}")
    return trained


def held_out_accuracy(run: Run, classifier: Classifier) -> tuple[Figure, str | None]:
    """Its accuracy over rows held out of the run's training, and why it cannot score samples; None where it can."""
    held = run.spread(run.held_out(), MOST_HELD_OUT)
    x, y = examples(run.source, held, run.config.data.binarise)
    accuracy = classifier.accuracy(x, y)
    return accuracy, unfit(accuracy, y)
