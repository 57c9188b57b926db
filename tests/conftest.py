"""What all tests share: one thread, a place for data of any machine, and one small trained run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # the cores of a shared machine are never all free, and OpenMP's barriers wait for each
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder for decoded images of this session, so that no test sees or fills the user's own."""
    os.environ["ZATLAS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


SHARED = Path(os.environ.get("ZATLAS_SHARED", Path(__file__).parents[2] / "shared"))


def shared_folder(name: str) -> Path:
    """A folder of what the project does not carry: data, weights, reference scores; where it is not, tests skip."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"no {name} under {SHARED}: set ZATLAS_SHARED")
    return SHARED / name


@pytest.fixture(scope="session")
def pretrained() -> Path:
    """Weights that other programs trained, with what those programs make of them."""
    return shared_folder("pretrained")


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional VAE on the digits, trained for 200 steps."""
    from zatlas.config import make_config
    from zatlas.runs.training import train

    values = {
        "data": {"source": "digits"},
        "model": {"kind": "cvae", "network": "mlp", "size": "xs"},
        "training": {"steps": 200, "precision": "fp32", "validations": 4},
    }
    out = tmp_path_factory.mktemp("runs") / "digits"
    train(make_config(("test", values)), out=out)
    return out
