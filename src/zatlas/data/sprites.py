"""Sprites: squares, ellipses and hearts drawn from five known factors, the grid of dSprites (Matthey et al., 2017).

Nothing is stored. Positions are whole pixels apart, so an image is one of 720 small pictures (shape, scale,
orientation) put down somewhere, and drawing it is a copy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas.data import counter_rng
from zatlas.data.source import Rows
from zatlas.errors import UsageError
from zatlas.types import DataSpec

SHAPES = ("square", "ellipse", "heart")
FACTORS = ("shape", "scale", "orientation", "x", "y")
GRID = (3, 6, 40, 32, 32)
DEFAULT_ROWS = 20_000
SIDE = 64

_PATCH = 32
_RADIUS = 15.0  # pixels from centre to farthest corner at scale 1, so a shape stays in its patch when it turns
# Where a pixel is sampled: a Hammersley set, all of whose 16 columns and rows differ. On a 4x4 lattice, tried first,
# the edges of an upright square fall between the same columns everywhere, and its area is 2 % off.
_SAMPLES = np.array([[(k + 0.5) / 16, (int(f"{k:04b}"[::-1], 2) + 0.5) / 16] for k in range(16)], np.float32)
_SUBSET_KEY = 0x5350524954455331  # never change it: it fixes which rows sprites:N are


def _inside(shape: str, u: npt.NDArray[np.float32], v: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether points, in units of the radius and with v upwards, lie in the upright shape."""
    if shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) <= np.sqrt(0.5)
    if shape == "ellipse":
        return u**2 + (2 * v) ** 2 <= 1
    a, b = 1.36 * u, 1.36 * v + 0.12  # the heart (a^2 + b^2 - 1)^3 = a^2 b^3, centred and scaled into the circle
    return (a**2 + b**2 - 1) ** 3 <= a**2 * b**3


@cache
def patches() -> npt.NDArray[np.uint8]:
    """The 720 pictures ``[3, 6, 40, 32, 32]``, by shape, scale 0.5..1 and orientation in [0, 2 pi)."""
    ticks = np.arange(_PATCH, dtype=np.float32) - _PATCH / 2
    across = ticks + _SAMPLES[:, 0, None, None]
    down = ticks[:, None] + _SAMPLES[:, 1, None, None]
    out = np.empty((*GRID[:3], _PATCH, _PATCH), np.uint8)
    for i, shape in enumerate(SHAPES):
        for j, scale in enumerate(np.linspace(0.5, 1, GRID[1])):
            for k in range(GRID[2]):
                angle = 2 * np.pi * k / GRID[2]
                cos, sin = np.float32(np.cos(angle) / (_RADIUS * scale)), np.float32(np.sin(angle) / (_RADIUS * scale))
                inside = _inside(shape, cos * across - sin * down, -sin * across - cos * down)
                out[i, j, k] = np.round(inside.mean(axis=0) * 255)
    return out


def draw(factors: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Images ``[B, 1, 64, 64]`` of factor indices ``[B, 5]`` (shape, scale, orientation, x, y)."""
    shape, scale, orientation, x, y = factors.T
    out = np.zeros((len(factors), 1, SIDE, SIDE), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(out[:, 0], (_PATCH, _PATCH), axis=(1, 2), writeable=True)
    windows[np.arange(len(factors)), y, x] = patches()[shape, scale, orientation]
    return out


class SpritesSource:
    """Some rows of the grid of 737,280 sprites, drawn when they are read.

    Args:
        name: what people call it.
        grid_rows: indices into the grid, sorted; the last factor changes fastest.
    """

    def __init__(self, name: str, grid_rows: Rows) -> None:
        self.name = name
        self.spec = DataSpec((1, SIDE, SIDE), "uint8", "class", SHAPES)
        self.factors: npt.NDArray[Any] | None = np.stack(np.unravel_index(grid_rows, GRID), axis=1).astype(np.int64)
        self.factor_names: tuple[str, ...] = FACTORS
        self.test_rows: Rows | None = None
        self.validation_rows: Rows | None = None
        self.names: Sequence[str] | None = None
        self.about: dict[str, Any] = {
            "origin": "drawn by zatlas on the factor grid of dSprites, anti-aliased",
            "rows": f"{len(grid_rows):,} of the {prod(GRID):,} on the grid",
            "grid": dict(zip(FACTORS, GRID, strict=True)),
        }

    def __len__(self) -> int:
        return len(self._factors)

    @property
    def _factors(self) -> npt.NDArray[np.int64]:
        assert self.factors is not None
        return self.factors

    def read(self, rows: Rows) -> npt.NDArray[Any]:
        return draw(self._factors[rows])

    def read_labels(self, rows: Rows) -> npt.NDArray[Any] | None:
        return self._factors[rows, 0]

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"sprites {GRID} {SIDE}".encode())
        digest.update(patches().tobytes())
        digest.update(self._factors.astype("<i8").tobytes())
        return digest.hexdigest()


def open_sprites(count: str | None = None) -> SpritesSource:
    """N rows of the grid (default 20,000; "all" for the whole grid), the same ones on every machine.

    The rows of a smaller N are among those of a larger.

    Raises:
        UsageError: N is no whole number from 1 to 737,280.
    """
    total = prod(GRID)
    text = (count or "").replace(",", "").replace("_", "")
    if count is not None and text != "all" and not (re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= total):
        raise UsageError(f"sprites:{count} must be sprites:N with N from 1 to {total}, or sprites:all.")
    n = DEFAULT_ROWS if count is None else total if text == "all" else int(text)
    rows = counter_rng.permutation(_SUBSET_KEY, total)[:n] if n < total else np.arange(total)
    return SpritesSource("sprites" if count is None else f"sprites:{text}", np.sort(rows))
