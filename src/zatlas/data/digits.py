"""The 8x8 handwritten digits that come with scikit-learn: always there, small enough for every test."""

from __future__ import annotations

import numpy as np

from zatlas.data.array import ArraySource


def open_digits() -> ArraySource:
    """1,797 grey images ``[1, 8, 8]``, labels 0..9; the stored counts 0..16 become uint8 round(255 v / 16)."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = np.round(x * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    about = {
        "origin": "UCI optical recognition of handwritten digits, as in scikit-learn",
        "licence": "CC BY 4.0",
        "values": "counts 0..16, shown as round(255 v / 16)",
    }
    return ArraySource("digits", images, y.astype(np.int64), about=about)
