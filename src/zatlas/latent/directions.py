"""Directions of the latent space along which an attribute grows, and how sure they are."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import Figure
from zatlas.files import read_json, write_json


@dataclass(frozen=True, eq=False)
class Direction:
    r"""A direction of the latent space along which an attribute y grows.

    .. math:: z(t) = z + t\,s\,u, \qquad |u| = 1, \qquad s = \frac{Cov(u^T z, y)}{Var(y)}\,\Delta y

    With two groups, y is 0 or 1 and :math:`\Delta y = 1`, so that strength t = 1 carries the mean of one group to
    where the mean of the other projects. With real values :math:`\Delta y` is one standard deviation of y.

    Attributes:
        name: what it is called, and its file.
        method: ``"centroid"``, ``"logistic"`` or ``"cca"``.
        vector: u ``[D]``.
        scale: s, not negative, in units of the code.
        threshold: the projection halfway between the two groups' mean projections; of a real attribute the mean one.
        facts: ``accuracy`` (both groups weighing the same) or, of a real attribute, ``correlation``, by
            cross-validation; ``effect`` (d') of the same held-out projections; ``angle_degrees`` and
            ``angle_degrees_95`` to directions of resampled examples; ``counts``; and whatever was given with it.
    """

    name: str
    method: str
    vector: Array
    scale: float
    threshold: float
    facts: dict[str, Any]

    def project(self, z: Array) -> Array:
        """Where codes ``[..., D]`` lie along it, ``[...]``, in units of the code."""
        return np.asarray(z, np.float64) @ self.vector

    def move(self, z: Array, strengths: Sequence[float] | Array) -> Array:
        """Codes ``[N, D]`` moved by each of S strengths, ``[N, S, D]`` float32."""
        steps = np.asarray(strengths, np.float64)[:, None] * self.scale * self.vector
        return (np.asarray(z)[:, None] + steps).astype(np.float32)

    def accuracy(self, z: Array, y: Array, where: str = "other examples") -> Figure:
        """Share of codes ``[N, D]`` on the side of their group (y ``[N]`` bool), both groups weighing the same."""
        return balanced_accuracy(self.project(z) - self.threshold, np.asarray(y, bool), where)

    def describe(self) -> str:
        """One line for people."""
        f = self.facts
        figure = f.get("accuracy") or f["correlation"]
        what = "accuracy" if "accuracy" in f else "correlation"
        effect = f"d' {f['effect']:.1f}; " if "effect" in f else ""
        return (
            f"{self.name}: {what} {with_error(figure)} held out, {figure['estimator']}; {effect}angle between "
            f"bootstrap directions {_degrees(f['angle_degrees'])} (95%: {_degrees(f['angle_degrees_95'])})."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "method": self.method,
            "scale": self.scale,
            "threshold": self.threshold,
            **self.facts,
            "vector": self.vector.tolist(),
        }

    def save(self, folder: Path) -> Path:
        """Writes ``NAME.json`` into a folder, whole or not at all; its numbers come back bit for bit.

        Raises:
            UsageError: the name cannot be a file's.
            ZatlasError: it could not be written.
        """
        path = folder / f"{check_name(self.name)}.json"
        record = self.to_json()
        write_json(path, {**record, "sha256": _seal(record)})
        return path

    @classmethod
    def load(cls, path: Path) -> Direction:
        """The direction in a file, its checksum verified.

        Raises:
            ZatlasError: the file is missing, cut short, altered, or no direction.
        """
        record = read_json(path, "the direction")
        if record.pop("sha256", None) != _seal(record) or "vector" not in record:
            raise ZatlasError(f"the direction {path} is damaged or was altered: fit it anew.")
        own = {key: record.pop(key) for key in ("name", "method", "scale", "threshold", "vector")}
        return cls(**{**own, "vector": np.array(own["vector"], np.float64)}, facts=record)


def with_error(figure: dict[str, Any]) -> str:
    """``0.93 ± 0.01``, with a digit more where the error is small.

    >>> with_error(Figure(0.9312, 0.002, 5, "").to_json())
    '0.931 ± 0.002'
    """
    digits = 3 if figure["standard_error"] < 0.005 else 2
    return f"{figure['value']:.{digits}f} ± {figure['standard_error']:.{digits}f}"


def _degrees(angle: float) -> str:
    return f"{angle:.0f}°" if angle > 9.5 else f"{angle:.1f}°"


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def check_name(name: str) -> str:
    """The name of a direction, once it is sure that a file can have it.

    Raises:
        UsageError: it cannot.
    """
    if not re.fullmatch(r"\w[\w.+=-]{0,99}", name):
        raise UsageError(f"a direction cannot be called {name!r}: use letters, digits and . + = - _, at most 100.")
    return name


def balanced_accuracy(margins: Array, y: Array, estimator: str) -> Figure:
    """Mean over the two groups (y ``[N]`` bool) of the share of margins ``[N]`` with the sign of the group.

    A margin of zero counts half. The standard error is that of two independent shares, each with one more right and
    one more wrong, so that it is not zero where all are right.
    """
    right = np.where(margins == 0, 0.5, (margins > 0) == y)
    sides = [right[y], right[~y]]
    shares = [(side.sum() + 1) / (len(side) + 2) for side in sides]
    error = 0.5 * math.sqrt(sum(p * (1 - p) / len(side) for p, side in zip(shares, sides, strict=True)))
    return Figure(
        float(np.mean([side.mean() for side in sides])), error, len(y), estimator, fixed="the directions of the folds"
    )
