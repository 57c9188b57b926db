"""A run behind the page, a server in this process, and a browser where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


def trained(out: Path, kind: str = "vae", steps: int = 60, **data: Any) -> Path:
    """A small model of the digits."""
    from zatlas.config import make_config
    from zatlas.runs.training import train

    model = {"kind": kind, "network": "mlp", "size": "xs"} if kind not in ("ladder", "vqvae") else {"kind": kind}
    values = {
        "data": {"source": "digits", **data},
        "model": model,
        "training": {"steps": steps, "learning_rate": 3e-3, "precision": "fp32", "validations": 2},
    }
    train(make_config(("test", values)), out=out)
    return out


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of two units on the digits."""
    return trained(tmp_path_factory.mktemp("explorer") / "plain", steps=400)


@pytest.fixture(scope="session")
def explored(plain_run: Path) -> Any:
    from zatlas.explorer.asking import open_explored

    return open_explored(plain_run, device="cpu")


@pytest.fixture(scope="session")
def explored_conditional(digits_run: Path) -> Any:
    from zatlas.explorer.asking import open_explored

    return open_explored(digits_run, device="cpu")


def chromium() -> str:
    """Where the browser is; the test is skipped where there is none."""
    found = os.environ.get("ZATLAS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium here: set ZATLAS_CHROMIUM")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    path = chromium()
    with api.sync_playwright() as playwright:
        shown = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-gpu"]
        )
        yield shown
        shown.close()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., str]]:
    """Serves explored runs until the session ends; gives the address."""
    from zatlas.explorer.launch import serving

    started = []

    def start(*runs: Any) -> str:
        started.append(serving(runs).start())
        return started[-1].address

    yield start
    for one in started:
        one.stop()
