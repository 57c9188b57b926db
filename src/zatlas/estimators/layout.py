"""How a person's X and what the model sees of it correspond: shape, values, units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from zatlas.arrays import Array
from zatlas.data import ArraySource, Rows
from zatlas.data.content import fingerprint
from zatlas.errors import UsageError, ZatlasError
from zatlas.types import DataSpec


class Examples:
    """A source in memory: x ``[N, *shape]`` as the model wants it, labels class numbers ``[N]`` or real ``[N, Y]``."""

    factors: npt.NDArray[Any] | None = None
    factor_names: tuple[str, ...] = ()
    test_rows: Rows | None = None
    validation_rows: Rows | None = None
    names: None = None

    def __init__(self, name: str, x: Array, spec: DataSpec, labels: Array | None = None) -> None:
        self.name, self.spec, self.about = name, spec, dict[str, Any]()
        self._x, self._labels = x, labels
        self._fingerprint = ""

    def __len__(self) -> int:
        return len(self._x)

    def read(self, rows: Rows) -> Array:
        return self._x[rows]

    def read_labels(self, rows: Rows) -> Array | None:
        return None if self._labels is None else self._labels[rows]

    def fingerprint(self) -> str:
        self._fingerprint = self._fingerprint or fingerprint(self)
        return self._fingerprint


@dataclass(frozen=True)
class Layout:
    """What one row of X is.

    Args:
        spec: as the model sees it.
        input_shape: shape of one example in X.
        scale: X / scale is what the model sees; 255 for whole numbers 0..255, else 1.
    """

    spec: DataSpec
    input_shape: tuple[int, ...]
    scale: float

    @classmethod
    def learn(cls, x: Array, *, grey: bool) -> tuple[Self, Array]:
        """The layout of X, and X as the model wants it: ``[N, *shape]``, uint8 or float32.

        Args:
            x: ``[N, features]`` or images.
            grey: floats ``[N, features]`` in [0, 1] are grey intensities and not just real numbers.

        Raises:
            UsageError: an unknown shape, numbers too large for float32, all examples the same.
        """
        try:
            source = ArraySource("X", x)
        except ZatlasError as error:
            raise UsageError(str(error)) from None
        spec, stored = source.spec, source.read(np.arange(len(x)))
        if grey and spec.values == "real" and stored.min() >= 0 and stored.max() <= 1:
            spec = replace(spec, values="unit")
        scale = 255.0 if spec.values == "uint8" and x.max() > 1 else 1.0
        return cls(spec, tuple(x.shape[1:]), scale), stored

    @classmethod
    def of_run(cls, data: dict[str, Any]) -> Self:
        """The layout of the data of a run that no estimator made, by its record."""
        spec = DataSpec.from_json(data["spec"])
        grey = spec.is_image and spec.shape[0] == 1
        about = data.get("about", {})
        factor = about.get(
            "factor", 255 if "0 and 1" in str(about.get("values")) else 1
        )  # at first 0 and 1 were known by a sentence alone
        scale = 255.0 / factor if spec.values == "uint8" else 1.0
        return cls(spec, spec.shape[1:] if grey else spec.shape, scale)

    @property
    def log_volume(self) -> float:
        """log |dX/dx| of one example in nats: what a density in the units of X is smaller by."""
        return self.spec.size * math.log(self.scale)

    def shown(self, x: Array, who: str) -> Array:
        """X as the model sees it, float32 ``[N, *shape]``; a copy.

        Raises:
            UsageError: examples of another shape, or values that the estimator was not fitted on.
        """
        shape, spec = tuple(x.shape[1:]), self.spec
        if shape == spec.shape:
            pass
        elif spec.is_image and shape == (*spec.shape[1:], spec.shape[0]):
            x = x.transpose(0, 3, 1, 2)
        elif spec.is_image and (1, *shape) == spec.shape:
            x = x[:, None]
        else:
            raise UsageError(
                f"X holds examples of shape {list(shape)}, but {who} is expecting {list(self.input_shape)}."
            )
        if spec.values != "real":
            low, high = float(x.min()), float(x.max())
            if low < -1e-6 or high > self.scale * (1 + 1e-6):
                raise UsageError(
                    f"X holds {low if low < 0 else high:g}, and {who} was fitted on values from 0 to {self.scale:g}: "
                    "bring X into that range."
                )
            if self.scale > 1 and high <= 1 and (x.dtype == bool or (x != np.round(x)).any()):
                # such values are black to the model, and it would answer with tens of thousands of nats
                raise UsageError(
                    f"X holds values from 0 to 1, and {who} was fitted on whole numbers from 0 to {self.scale:g}: "
                    f"multiply X by {self.scale:g}."
                )
            seen = np.divide(x.astype(np.float32), np.float32(self.scale))
            return np.ascontiguousarray(seen.clip(0, 1))
        with np.errstate(over="ignore"):
            seen = np.array(x, dtype=np.float32, order="C")
        if not np.isfinite(seen).all():
            raise UsageError("X holds numbers too large for 32-bit floats: scale them down.")
        return seen

    def restored(self, x: Array) -> Array:
        """What the model shows ``[N, *shape]`` in the shape and units of X, float32."""
        if self.input_shape != self.spec.shape:
            x = x.reshape(len(x), *self.input_shape) if self.spec.shape[0] == 1 else x.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(x * np.float32(self.scale))
