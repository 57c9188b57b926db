"""`zatlas explore` and `zatlas export --html`, as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

ZATLAS = [sys.executable, "-c", "from zatlas.cli.app import main; main()"]


def test_the_address_that_is_said_is_served_until_ctrl_c(digits_run: Path) -> None:
    process = subprocess.Popen(
        [*ZATLAS, "explore", str(digits_run), "--no-browser"], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stderr is not None
    line = next(line for line in process.stderr if "http://127.0.0.1:" in line)
    address = next(word for word in line.split() if word.startswith("http://"))
    root, token = address.split("/?token=")
    with urlopen(Request(root + "/api/runs", headers={"X-Zatlas-Token": token}), timeout=10) as response:
        assert json.load(response)["runs"][0]["name"] == "digits"
    with pytest.raises(HTTPError, match="401"):
        urlopen(root + "/api/runs", timeout=10)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) in (0, 130)
    process.stderr.close()


def test_a_folder_that_is_no_run_is_a_sentence(zatlas: Callable[..., Any], tmp_path: Path) -> None:
    answer = zatlas("explore", tmp_path)
    assert answer.status == 2
    assert "is no run" in answer.err


def test_a_run_is_exported_as_a_page(zatlas: Callable[..., Any], digits_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    out = tmp_path / "atlas.html"
    answer = zatlas("export", digits_run, "--html", out, "--json")
    assert answer.status == 0, answer.err
    page = json.loads(answer.out)["html"]
    assert page["bytes"] == out.stat().st_size < 5e6
    assert page["training_images"] == 0
