import os
from pathlib import Path

import numpy as np
import pytest

from zatlas.data import ArraySource


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that the project does not carry."""
    folder = Path(os.environ.get("ZATLAS_SHARED", Path(__file__).parents[3] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder}: set ZATLAS_SHARED")
    return folder / "data"


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch) -> Path:
    """An empty data folder, so that no test sees or fills the user's own."""
    folder = tmp_path / "zatlas-data"
    monkeypatch.setenv("ZATLAS_DATA", str(folder))
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def grey(rng) -> ArraySource:
    """103 grey images of 6x5 pixels in three classes."""
    return ArraySource("grey", rng.integers(0, 256, (103, 6, 5), dtype=np.uint8), rng.integers(0, 3, 103))
