import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zatlas.runs import training

from .trial import config


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: these tests sync a thousand files, which says nothing about a kill."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="zatlas-faults-") as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(memory: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def whole(memory: Path) -> Path:
    """The run that nothing happened to."""
    training.train(config(), out=memory / "whole")
    return memory / "whole"
