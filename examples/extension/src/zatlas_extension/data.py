"""A data source: pictures of spirals with known factors, made as they are read."""

import hashlib

import numpy as np

from zatlas.parts import data_format
from zatlas.types import DataSpec


@data_format("spirals", when="spirals of known turns and direction")
class Spirals:
    """N grey images of 16x16 pixels, each with its own number of turns and direction."""

    name, test_rows, about = "spirals", None, {"origin": "generated"}
    spec = DataSpec((1, 16, 16), "uint8", "class", ("left", "right"))
    factor_names = ("turns", "direction")

    def __init__(self, count: int = 2000) -> None:
        rng = np.random.default_rng(0)
        self.factors = np.stack([rng.uniform(0.5, 2.5, count), np.arange(count) % 2], 1)

    def __len__(self):
        return len(self.factors)

    def read(self, rows):
        t = np.linspace(0, 1, 200)
        turns, sign = self.factors[rows, 0, None], 1 - 2 * self.factors[rows, 1, None]
        x, y = (8 + 7 * t * f(2 * np.pi * turns * t * sign) for f in (np.cos, np.sin))
        images = np.zeros((len(rows), 1, 16, 16), np.uint8)
        images[np.arange(len(rows))[:, None], 0, y.astype(int), x.astype(int)] = 255
        return images

    def read_labels(self, rows):
        return self.factors[rows, 1].astype(np.int64)

    def fingerprint(self):
        return hashlib.sha256(self.factors.tobytes()).hexdigest()
