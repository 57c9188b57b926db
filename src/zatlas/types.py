"""The records that pass between rooms.

Letters for shapes, used everywhere: K samples, B batch, D latent units, C H W image, N data, Y label columns,
E ensemble members. ``*data`` is ``[C, H, W]`` for images and ``[features]`` for vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from zatlas.arrays import Array

Values = Literal["uint8", "unit", "real"]
Binarise = Literal["none", "static", "dynamic"]
Shape = torch.Size | list[int] | tuple[int, ...]
LabelKind = Literal["none", "class", "real"]


@dataclass(frozen=True)
class DataSpec:
    """What a model has to know of its data, and nothing more.

    Args:
        shape: shape of one example, ``(C, H, W)`` for images or ``(features,)`` for vectors.
        values: ``"uint8"`` integers 0..255, shown to models as x/255; ``"unit"`` floats in [0, 1];
            ``"real"`` any floats.
        label_kind: ``"class"`` (y is one-hot), ``"real"`` (y is a real vector) or ``"none"``.
        labels: names of the label columns, one per class or per real column; its length is Y.
    """

    shape: tuple[int, ...]
    values: Values
    label_kind: LabelKind = "none"
    labels: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """Number of values in one example."""
        return prod(self.shape)

    @property
    def label_dim(self) -> int:
        """Y, the number of label columns; 0 without labels."""
        return len(self.labels)

    def to_json(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "values": self.values,
            "label_kind": self.label_kind,
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> DataSpec:
        return cls(tuple(record["shape"]), record["values"], record["label_kind"], tuple(record["labels"]))


@dataclass(frozen=True)
class Linear:
    """x = mean + noise * (weight z + epsilon), epsilon ~ N(0, I), with orthogonal columns of the weight.

    Attributes:
        weight: ``[P, D]``.
        noise: standard deviation of each column ``[P]``, in the units of x.
    """

    weight: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of the training data, ``[*data]`` each, as the model sees it; and some examples.

    Attributes:
        mean, std: of every value.
        examples: ``[M, *data]``, none unless a model starts from some.
        linear: a linear model of the data, for a model that starts as one.
    """

    mean: Tensor
    std: Tensor
    examples: Tensor = field(default_factory=lambda: torch.zeros(0))
    linear: Linear | None = None

    @classmethod
    def unknown(cls, spec: DataSpec, *, examples: int) -> Statistics:
        """Those of no data, for a model whose weights are loaded afterwards."""
        return cls(torch.full(spec.shape, 0.5), torch.ones(spec.shape), torch.zeros(examples, *spec.shape))


class Batch(NamedTuple):
    """Examples as a model sees them: x ``[B, *data]`` float32; y ``[B, Y]`` one-hot or real, or None."""

    x: Tensor
    y: Tensor | None


class Level(NamedTuple):
    """One stochastic layer: posterior q(z|x), prior p(z), and the draw z ``[K, B, D]`` from q."""

    q: Distribution
    p: Distribution
    z: Tensor


class Inference(NamedTuple):
    """What z made this x: the stochastic layers, top first, and p(x|z) over ``[K, B, *data]``."""

    levels: tuple[Level, ...]
    px: Distribution


class Generation(NamedTuple):
    """A draw from the model: z of every layer ``[1, B, D]``, and p(x|z) over ``[1, B, *data]``."""

    z: tuple[Tensor, ...]
    px: Distribution


class Terms(NamedTuple):
    """A player's loss ``[B]`` and its named parts ``[B]`` (or scalars), in nats per example."""

    loss: Tensor
    parts: dict[str, Tensor]


class Generates(Protocol):
    """Draws x: n examples from the prior, or from given z (top layers first; missing ones are drawn).

    A model is a torch.nn.Module: ``eval``, which ends training for layers such as BatchNorm and dropout, ``parameters``
    and ``cpu`` are those of its base class.

    Attributes:
        latent_dims: D of every stochastic layer, top first; the code of an example is all of them side by side. A model
            whose layers are maps also has ``code_shapes``: of each ``(C, h, w)``, its units channel by channel.
    """

    latent_dims: tuple[int, ...]

    def eval(self) -> Self: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def cpu(self) -> Self: ...
    def generate(self, n: int | None = None, y: Tensor | None = None, *, z: tuple[Tensor, ...] = ()) -> Generation: ...


@runtime_checkable
class Infers(Generates, Protocol):
    """Also answers which z made x.

    ``infer`` gives K samples of z for every example, or those made from given standard normal noise
    ``[K, B, sum(latent_dims)]``; ``encode`` gives q over the whole code ``[B, sum(latent_dims)]``.
    """

    def infer(
        self, x: Tensor, y: Tensor | None = None, *, samples: int = 1, noise: Tensor | None = None
    ) -> Inference: ...
    def encode(self, x: Tensor, y: Tensor | None = None) -> Distribution: ...


@runtime_checkable
class ClosedForm(Infers, Protocol):
    """Is also fitted without steps, in closed form or by EM, and knows its likelihood.

    ``fit`` sets the parameters to the best for x ``[N, *data]``; ``log_marginal`` gives log p(x) ``[B]`` in nats.
    """

    def fit(self, x: Array) -> Any: ...
    def log_marginal(self, x: Tensor) -> Tensor: ...


def inferring(model: Generates) -> Infers:
    """The same model, as one that infers.

    Raises:
        TypeError: it has no ``infer`` or no ``encode``.
    """
    if not isinstance(model, Infers):
        raise TypeError(f"a {type(model).__name__} does not infer: it lacks infer(x, y) or encode(x, y).")
    return model


def in_closed_form(model: Generates) -> ClosedForm:
    """The same model, as one that is fitted in closed form.

    Raises:
        TypeError: it has no ``fit`` or no ``log_marginal``.
    """
    if not isinstance(model, ClosedForm):
        raise TypeError(f"a {type(model).__name__} has no closed form: it lacks fit(x) or log_marginal(x).")
    return model
