"""The classifier in whose features images are compared: one for each data set, kept beside the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from zatlas.config import Config
from zatlas.data import Batches, Rows, Source, gathered
from zatlas.data.catalog import data_folder
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation.classifier import Classifier, load_classifier, train_classifier
from zatlas.files import sha256
from zatlas.networks.features import Features, of_classifier, of_vgg
from zatlas.recipes import Given
from zatlas.types import Binarise

CHANNELS = (1, 3)
EVALUATED_AT_ONCE = 1000

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


def wanted_features(
    config: Config,
    source: Source,
    rows: Rows,
    given: Given,
    say: Callable[[str], None] = lambda sentence: None,
) -> tuple[Config, Given]:
    """The configuration and the objects with the features that the objective compares images in.

    Args:
        config: of a training that begins.
        source: its data.
        rows: the training rows.
        given: the objects so far.
        say: is told where a classifier has to be trained first.

    Raises:
        UsageError: the data have no classes and no file is named, or the features are of other images.
        ZatlasError: the file is missing, damaged or no such file.
    """
    settings: Any = config.objective
    if not config.part("objective").facts.get("features") or not settings.perceptual or not source.spec.is_image:
        return config, given
    if settings.features:
        found = read_features(Path(settings.features))
    else:
        made = feature_classifier(source, rows, config.data.binarise, None, say)
        if made is None:
            raise UsageError(
                f"the perceptual distance of objective.kind = 'sharp' wants features, and {source.name} has no classes "
                "to learn some from: give objective.features = FILE (of zatlas classifier OTHER --out FILE, or a VGG's "
                "weights), or objective.perceptual = 0."
            )
        found = of_classifier(made.module.state_dict(), made.name)
    channels = int(found.layout[0].removeprefix("pool ").partition(">")[0])
    if channels != source.spec.shape[0]:
        raise UsageError(
            f"the features {found.name} are of images of {channels} channels, and {source.name} has "
            f"{source.spec.shape[0]}: give --channels {channels}, or other objective.features."
        )
    config = config.model_copy(deep=True)
    settings = config.objective
    settings.features_name, settings.features_layout = found.name, found.layout
    return config, replace(given, parts={**given.parts, "features": found.tensors})


def read_features(path: Path) -> Features:
    """The convolutions in a file of ``zatlas classifier --out``, or in the weights of a VGG, named by their hash.

    Raises:
        UsageError: there is no such file, or it is no safetensors.
        ZatlasError: it is damaged, or holds no features.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path} of features (objective.features).")
    try:
        with safe_open(path, "pt") as file:
            ours = "zatlas" in (file.metadata() or {})
            tensors = {} if ours else {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"{path} is no whole safetensors file ({str(error)[:100]}): features are read from one of zatlas "
            "classifier --out, or from a VGG's state_dict saved with safetensors."
        ) from None
    if ours:
        made = load_classifier(path)
        return of_classifier(made.module.state_dict(), made.name)
    return of_vgg(tensors, f"{path.stem}-{sha256(path)[:6]}")
