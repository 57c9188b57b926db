"""Where samples are compared: features of images, by an extractor whose name every figure repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from zatlas.arrays import Array
from zatlas.errors import UsageError
from zatlas.evaluation.disentanglement.points import LEAST_POINTS, check_codes

BATCH = 500
RAW = (
    "Raw values are a poor distance between images, as one moved by a pixel is as far away as another image: "
    "compare with the floor, and runs on the same data only."
)


@dataclass(frozen=True)
class Extractor:
    """Examples ``[N, *data]`` to features ``[N, F]``, with a name that tells it from every other extractor.

    Attributes:
        name: what it is and which weights it has.
        call: any function of an array; what it returns may be an array or a tensor, of any shape after N.
        caution: a sentence that every figure made with it carries; empty where there is none.

    >>> Extractor("raw values", lambda x: x)(np.zeros((30, 1, 2, 2))).shape
    (30, 4)
    """

    name: str
    call: Callable[[Array], Array | Tensor]
    caution: str = ""

    def __call__(self, x: Array) -> Array:
        """Features ``[N, F]``, float64.

        Raises:
            UsageError: the features are not finite, or there are fewer than 20 examples.
        """
        found = [self.call(x[i : i + BATCH]) for i in range(0, len(x), BATCH)]
        arrays = [f.detach().float().cpu().numpy() if isinstance(f, Tensor) else np.asarray(f) for f in found]
        features = np.concatenate([f.reshape(len(f), -1) for f in arrays]) if arrays else np.zeros((0, 1))
        return check_codes(features, f"the features of {self.name}").astype(np.float64, copy=False)


def unit_values(x: Array) -> Array:
    """8-bit values as x/255 in float32, others as float32 as they are."""
    return np.asarray(x, np.float32) / 255 if np.asarray(x).dtype == np.uint8 else np.asarray(x, np.float32)


def raw_values(name: str = "raw values") -> Extractor:
    """The values themselves, 8-bit ones as x/255."""
    return Extractor(name, unit_values, RAW)


def module_extractor(name: str, module: nn.Module, device: torch.device | None = None) -> Extractor:
    """Any torch module from ``[B, *data]`` (8-bit values as x/255) to features; it is put into evaluation mode."""
    module.eval()

    @torch.no_grad()
    def call(x: Array) -> Tensor:
        return module(torch.from_numpy(unit_values(x)).to(device or "cpu"))

    return Extractor(name, call)


def check_pair(first: Array, second: Array, least: int = LEAST_POINTS) -> tuple[Array, Array]:
    """Two finite float64 tables ``[N, F]`` and ``[M, F]``.

    Raises:
        UsageError: NaN, fewer than ``least`` rows, or columns that differ in number.
    """
    a, b = (
        check_codes(x, what).astype(np.float64, copy=False)
        for x, what in ((first, "the features"), (second, "the others"))
    )
    if a.shape[1] != b.shape[1]:
        raise UsageError(f"features of {a.shape[1]} and {b.shape[1]} columns cannot be compared; use one extractor.")
    if min(len(a), len(b)) < least:
        raise UsageError(f"there are {min(len(a), len(b))} examples to compare, and at least {least} are needed.")
    return a, b
