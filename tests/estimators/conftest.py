"""Small real data and estimators that train in a blink."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits

from zatlas import VAE, AutoEncoder, ConditionalVAE

Array = npt.NDArray[Any]
KINDS = (AutoEncoder, VAE, ConditionalVAE)
TINY = {"steps": 20, "size": "xs", "batch_size": 64}


@pytest.fixture(scope="session")
def digits() -> tuple[Array, Array]:
    """500 digits as uint8 ``[500, 8, 8]`` with values 0..240, and their classes."""
    x, y = load_digits(return_X_y=True)
    return (x[:500].reshape(-1, 8, 8) * 15).astype(np.uint8), y[:500]


@pytest.fixture(scope="session")
def vae(digits: tuple[Array, Array]) -> VAE:
    """Trained for 150 steps on 400 digits; not to be changed."""
    return VAE(latent_dim=4, size="xs", steps=150).fit(digits[0][:400])


@pytest.fixture(scope="session")
def cvae(digits: tuple[Array, Array]) -> ConditionalVAE:
    """Trained for 300 steps on 400 digits; not to be changed."""
    return ConditionalVAE(size="xs", steps=300).fit(digits[0][:400], digits[1][:400])
