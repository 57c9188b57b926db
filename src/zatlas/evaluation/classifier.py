"""A small convolutional classifier of our own, whose last hidden layer is what samples are compared in."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn import functional as F

from zatlas.arrays import Array
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation.disentanglement.score import binomial_error
from zatlas.evaluation.figure import Figure
from zatlas.evaluation.quality.features import BATCH, Extractor, unit_values
from zatlas.evaluation.quality.modes import check_classes
from zatlas.files import write_bytes
from zatlas.training import Optimisation, Schedule, forked_rng

FEATURES = 64
FORMAT = "zatlas classifier 1"
LEAST_SKILL = 0.5  # of the way from chance to always right, from which its features may be used to score samples
SIGMAS = 3  # that the accuracy must be above chance
LEAST_STEPS = 500  # of training, where nobody says how many epochs


class ConvolutionalClassifier(nn.Module):
    """Three convolutions with stride 2, a linear layer of 64 features, and a linear layer of logits.

    Features are taken before their nonlinearity, where they are nearer to the Gaussians that the Fréchet distance takes
    them for, and standardised by the training images, or a longer training would by itself make distances larger.
    Images of any size from 8x8 are pooled to 4x4 before the linear layer.

    Args:
        channels: 1 grey, 3 RGB.
        classes: number of them.
    """

    shift: Tensor
    scale: Tensor
    feature_shift: Tensor
    feature_scale: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, 16, 32, 64)
        layers = [
            layer
            for i, (a, b) in enumerate(itertools.pairwise(widths))
            for layer in (nn.Conv2d(a, b, 3 if i else 5, 2, 1 if i else 2), nn.ReLU())
        ]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * 64, FEATURES))
        self.head = nn.Linear(FEATURES, classes)
        self.register_buffer("shift", torch.zeros(channels, 1, 1))
        self.register_buffer("scale", torch.ones(channels, 1, 1))
        self.register_buffer("feature_shift", torch.zeros(FEATURES))
        self.register_buffer("feature_scale", torch.ones(FEATURES))

    def hidden(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, 64]``."""
        return self.body((x - self.shift) / self.scale)

    def features(self, x: Tensor) -> Tensor:
        """The same, standardised."""
        return (self.hidden(x) - self.feature_shift) / self.feature_scale

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to logits ``[B, Y]``."""
        return self.head(self.hidden(x).relu())


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier of images ``[N, C, H, W]``, uint8 or float with 1 for white.

    Attributes:
        module: the network, in evaluation mode.
        shape: of one image, ``(C, H, W)``.
        classes: Y.
        about: plain facts of its training, kept with its weights.
    """

    module: ConvolutionalClassifier
    shape: tuple[int, int, int]
    classes: int
    about: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Of the weights' names and bytes, hex."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def name(self) -> str:
        """Such as ``grey-cnn 3f2a91``: the weights are part of every figure made with them."""
        return f"{ {1: 'grey', 3: 'rgb'}.get(self.shape[0], f'{self.shape[0]}-channel') }-cnn {self.sha256[:6]}"

    @property
    def extractor(self) -> Extractor:
        return Extractor(self.name, self.features)

    def features(self, x: Array) -> Array:
        """Images ``[N, C, H, W]`` to ``[N, 64]``, each with mean 0 and variance 1 over the training images."""
        return self._over(x, self.module.features)

    def probabilities(self, x: Array) -> Array:
        """p(y|x), ``[N, Y]``."""
        return self._over(x, lambda images: self.module(images).softmax(-1))

    def predict(self, x: Array) -> Array:
        """The likeliest class of each image, ``[N]``."""
        return self.probabilities(x).argmax(axis=1)

    def accuracy(self, x: Array, y: Array) -> Figure:
        """Share of images ``[N, C, H, W]`` that are given their class ``[N]``."""
        value = float((self.predict(x) == check_images(x, y)).mean())
        error = binomial_error(value, len(x))
        return Figure(value, error, len(x), f"accuracy of {self.name}", over="images", fixed="the classifier")

    @torch.no_grad()
    def _over(self, x: Array, function: Callable[[Tensor], Tensor]) -> Array:
        if tuple(np.shape(x)[1:]) != self.shape:
            raise UsageError(f"{self.name} was trained on images of shape {self.shape}, not {tuple(np.shape(x)[1:])}.")
        device = next(self.module.parameters()).device
        pieces = (torch.from_numpy(unit_values(x[i : i + BATCH])).to(device) for i in range(0, len(x), BATCH))
        return np.concatenate([function(piece).cpu().numpy() for piece in pieces])

    def save(self, path: Path) -> None:
        """Writes one safetensors file, its description in the metadata.

        Raises:
            ZatlasError: it could not be written.
        """
        record = {"format": FORMAT, "shape": self.shape, "classes": self.classes, "about": self.about}
        metadata = {"zatlas": json.dumps({**record, "sha256": self.sha256})}
        write_bytes(path, serialise({n: t.cpu().contiguous() for n, t in self.module.state_dict().items()}, metadata))


def unfit(accuracy: Figure, y: Array) -> str | None:
    """Why samples should not be scored in the features of a classifier, as a clause; None where they may be.

    Its accuracy must be above the share of the commonest class by three standard errors, and half of the way from that
    share to one: a rule that holds for any number of classes, however unequal.

    Args:
        accuracy: of the classifier.
        y: class numbers ``[N]`` of the images that it is over.
    """
    chance = float(np.bincount(check_classes(y, "the labels")).max() / len(y))
    least = max(chance + LEAST_SKILL * (1 - chance), chance + SIGMAS * accuracy.standard_error)
    if accuracy.value >= least:
        return None
    return (
        f"the {accuracy.estimator} is {accuracy.value:.3f} ± {accuracy.standard_error:.3f}, and its features tell "
        f"nothing below {least:.3f}: half of the way from the commonest class's share ({chance:.3f}) to 1, and "
        f"{SIGMAS} standard errors above that share"
    )


def load_classifier(path: Path, device: torch.device | None = None) -> Classifier:
    """A classifier from its file, its weights' checksum verified.

    Raises:
        ZatlasError: the file is missing, damaged or no classifier of zatlas.
    """
    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {}).get("zatlas", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except OSError as error:
        raise ZatlasError(f"the classifier {path} cannot be read: {error.strerror or error}.") from None
    except (SafetensorError, ValueError) as error:
        raise ZatlasError(f"the classifier {path} is damaged ({error}).") from None
    if record.get("format") != FORMAT:
        raise ZatlasError(f"{path} is no classifier of this version of zatlas; train one with train_classifier.")
    module = ConvolutionalClassifier(record["shape"][0], record["classes"])
    try:
        module.load_state_dict(tensors)
    except RuntimeError:
        raise ZatlasError(f"the classifier {path} is damaged: its tensors are not those of its description.") from None
    channels, height, width = record["shape"]
    found = Classifier(module.to(device).eval(), (channels, height, width), record["classes"], record["about"])
    if found.sha256 != record["sha256"]:
        raise ZatlasError(f"the classifier {path} is damaged: its checksum is not the one recorded.")
    return found


def check_images(x: Array, y: Array) -> Array:
    """The classes ``[N]`` of images ``[N, C, H, W]`` as int64.

    Raises:
        UsageError: no images, NaN, or classes of other examples.
    """
    if np.ndim(x) != 4 or min(np.shape(x)[2:], default=0) < 8:
        raise UsageError(
            f"a classifier wants images [N, C, H, W] of at least 8x8, not an array of shape {np.shape(x)}."
        )
    if np.asarray(x).dtype != np.uint8 and not np.isfinite(x).all():
        raise UsageError("the images hold NaN or infinity.")
    y = check_classes(y, "the labels")
    if len(x) != len(y):
        raise UsageError(f"there are {len(x)} images and {len(y)} labels; give both for the same examples.")
    return y


def enough_epochs(count: int, batch_size: int = 128) -> int:
    """Passes over so many images that make 500 steps, and at least two.

    >>> enough_epochs(60_000), enough_epochs(1400)
    (2, 46)
    """
    return max(2, math.ceil(LEAST_STEPS / math.ceil(count / batch_size)))


def train_classifier(
    x: Array,
    y: Array,
    *,
    classes: int | None = None,
    epochs: int | None = None,
    batch_size: int = 128,
    learning_rate: float = 4e-3,
    seed: int = 0,
    device: torch.device | None = None,
    about: dict[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Classifier:
    """Minimises the cross-entropy by AdamW, the rate rising for a tenth and then falling to zero.

    Args:
        x: images ``[N, C, H, W]``, uint8 or float with 1 for white.
        y: class numbers ``[N]``.
        classes: Y; None: as many as the labels show.
        epochs: passes over the images; None: two, or as many as make 500 steps.
        batch_size: images a step.
        learning_rate: the highest.
        seed: of weights and order; the global random state is left as it was.
        device: where it is trained, and stays.
        about: plain facts to be kept with the weights, such as the data's name and fingerprint.
        progress: is told how many images were seen at every step.

    Raises:
        UsageError: no images, NaN, labels of other examples, or fewer than two classes.
    """
    y = check_images(x, y)
    known = int(y.max()) + 1
    if (classes or known) < max(2, known):
        raise UsageError(f"a classifier of {classes or known} classes cannot be trained on labels up to {known - 1}.")
    device = device or torch.device("cpu")
    with forked_rng(seed=seed):
        module = ConvolutionalClassifier(x.shape[1], classes or known)
    some = x[:: max(1, len(x) // 10_000)]
    pixels = unit_values(some)
    module.shift.copy_(torch.from_numpy(pixels.mean(axis=(0, 2, 3), keepdims=True)[0]))
    module.scale.copy_(torch.from_numpy(pixels.std(axis=(0, 2, 3), keepdims=True)[0].clip(1e-3)))
    module.to(device).train()
    optimizer = Optimisation("adamw", learning_rate)(list(module.parameters()), lambda p: p.dim() > 1)
    schedule, rng = Schedule("cosine", warmup=0.1), np.random.default_rng(seed)
    starts = range(0, len(x), batch_size)
    epochs = enough_epochs(len(x), batch_size) if epochs is None else epochs
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        for step, start in enumerate(starts):
            factor = schedule((epoch * len(starts) + step + 1) / (epochs * len(starts)))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * factor
            rows = order[start : start + batch_size]
            images, labels = torch.from_numpy(unit_values(x[rows])).to(device), torch.from_numpy(y[rows]).to(device)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(module(images), labels).backward()
            optimizer.step()
            if progress:
                progress(len(rows))
    facts = {"images": len(x), "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    channels, height, width = x.shape[1:]
    found = Classifier(module.eval(), (channels, height, width), classes or known, {**facts, **(about or {})})
    features = found.features(some)
    module.feature_shift.copy_(torch.from_numpy(features.mean(axis=0)))
    module.feature_scale.copy_(torch.from_numpy(features.std(axis=0).clip(1e-3)))
    return found
