"""Runs of a reader's own modules leave like any other, and say in a sentence what cannot be traced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zatlas
from zatlas.errors import ZatlasError
from zatlas.export import export, parts_of
from zatlas.export.program import traced


def pair() -> tuple[nn.Module, nn.Module]:
    """Those of docs/extending.md, smaller."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.SiLU(), nn.Linear(24, 6))
    decoder = nn.Sequential(nn.Linear(3, 24), nn.SiLU(), nn.Linear(24, 64), nn.Unflatten(1, (1, 8, 8)))
    return encoder, decoder


class ByValue(nn.Module):
    """A decoder that asks a tensor for a number: no graph has that."""

    def __init__(self) -> None:
        super().__init__()
        self.two = nn.ModuleList([nn.Linear(3, 64), nn.Linear(3, 64)])

    def forward(self, z: Tensor) -> Tensor:
        return self.two[int(z.sum().item() > 0)](z).unflatten(1, (1, 8, 8))


def trained(out: Path, encoder: nn.Module, decoder: nn.Module) -> Any:
    torch.manual_seed(0)
    return zatlas.train("digits", encoder=encoder, decoder=decoder, steps=2, out=out, verbose=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(tmp_path_factory.mktemp("foreign") / "own", *pair())


@pytest.mark.slow
def test_modules_of_ones_own_can_be_traced(run: Any) -> None:
    for part in parts_of(run).parts:
        assert traced(part) is not None


@pytest.mark.slow
def test_a_run_of_own_modules_leaves_as_onnx_and_as_programs(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    export(run, onnx=tmp_path / "onnx", torch=tmp_path / "own.pt2")
    z = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx/decoder.onnx"), providers=["CPUExecutionProvider"])
    expected = run.decode(z).mean
    np.testing.assert_allclose(session.run(None, {"z": z})[0], expected, atol=1e-4)
    program = torch.export.load(tmp_path / "own-decoder.pt2").module()
    np.testing.assert_allclose(program(torch.from_numpy(z)).detach().numpy(), expected, atol=1e-4)
    words = {"cwd": tmp_path, "env": {"PATH": "", "OMP_NUM_THREADS": "1"}, "capture_output": True, "text": True}
    script = subprocess.run([sys.executable, "own.py"], check=False, **words)
    assert "[4, 1, 8, 8]" in script.stdout, script.stderr


@pytest.mark.slow
def test_a_run_of_own_modules_leaves_as_one_file(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    single_file = pytest.importorskip("zatlas.explorer.single_file")
    written = single_file.write_html(run, tmp_path / "own.html")
    assert set(written.differences) == {"encoder", "decoder", "score", "density"}
    assert max(written.differences.values()) <= 2e-3


@pytest.mark.slow
def test_what_cannot_be_traced_is_refused_in_a_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    single_file = pytest.importorskip("zatlas.explorer.single_file")
    run = trained(tmp_path / "run", pair()[0], ByValue())
    for number, leave in enumerate(
        (
            lambda to: export(run, onnx=to / "onnx"),
            lambda to: export(run, torch=to / "own.pt2"),
            lambda to: single_file.write_html(run, to / "own.html"),
        )
    ):
        to = tmp_path / f"to{number}"
        to.mkdir()
        with pytest.raises(ZatlasError, match="decoder") as refused:
            leave(to)
        assert str(refused.value).count("\n") == 0
        assert not list(to.iterdir())
