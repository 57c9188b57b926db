"""Whether the classifier in whose features samples are compared with data may score them."""

from __future__ import annotations

from zatlas.evaluation import Figure
from zatlas.evaluation.classifier import Classifier, unfit
from zatlas.runs.features import (
    classifier_path,
    examples,
    feature_classifier,
    lacks_classes,
    train_feature_classifier,
)
from zatlas.runs.opened import Run

MOST_HELD_OUT = 10_000

__all__ = [
    "classifier_path",
    "examples",
    "feature_classifier",
    "held_out_accuracy",
    "lacks_classes",
    "train_feature_classifier",
]


def held_out_accuracy(run: Run, classifier: Classifier) -> tuple[Figure, str | None]:
    """Its accuracy over rows held out of the run's training, and why it cannot score samples; None where it can."""
    held = run.spread(run.held_out(), MOST_HELD_OUT)
    x, y = examples(run.source, held, run.config.data.binarise)
    accuracy = classifier.accuracy(x, y)
    return accuracy, unfit(accuracy, y)
