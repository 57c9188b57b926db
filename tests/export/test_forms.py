"""ONNX in onnxruntime and programs of torch.export give what torch gives; what cannot be is refused in a sentence.

``ZATLAS_EXPORT_CASES=all pytest tests/export/test_forms.py`` runs every model of the laws; else one of each sort.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tests.export.conftest import parts
from tests.laws import cases
from zatlas.errors import UsageError, ZatlasError
from zatlas.export import export, to_onnx, to_torch
from zatlas.export.onnx import halved, onnx_bytes, onnx_function, onnx_model
from zatlas.export.parity import HALF_TOLERANCE, TOLERANCE, difference
from zatlas.export.ports import Parts
from zatlas.export.program import program_bytes, script
from zatlas.files import read_json

FACTS = {"name": "law", "prior": {}, "versions": {}}
SOME = (
    *("vae-normal-full", "vae-vamp-diagonal", "cvae-flow-flow", "cvae-conditional-diagonal", "fa", "ladder-resnet"),
    *(
        "vqvae-conv",
        "vqvae-mlp",
        "cgan-conv",
        "gan-course-mlp",
        "ae-resnet",
        "vae-logistic-mixture",
        "vae-continuous-bernoulli",
    ),
)
PROGRAMS = ("fa", "cvae-flow-flow", "ladder-resnet", "vqvae-conv", "vqvae-mlp", "cgan-conv", "vae-categorical")
ALL = tuple(cases.MODELS) if os.environ.get("ZATLAS_EXPORT_CASES") == "all" else ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL or SOME)
def test_onnx_gives_what_the_model_gives(name):
    for part in parts(name).parts:
        model = onnx_model(part)
        assert difference(part, onnx_function(model.SerializeToString(), part)) <= TOLERANCE
        if part.name == "decoder":
            short = halved(model).SerializeToString()
            assert difference(part, onnx_function(short, part), HALF_TOLERANCE) <= HALF_TOLERANCE
        assert [(one.domain, one.version) for one in model.opset_import] == [("", 18)]
        assert not model.functions
        kinds = {node.op_type for node in model.graph.node}
        assert not {kind for kind in kinds if kind.startswith("Random") or kind in ("Bernoulli", "Multinomial")}
        assert [port.name for port in part.inputs] == [value.name for value in model.graph.input]
        assert [port.name for port in part.outputs] == [value.name for value in model.graph.output]


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL or PROGRAMS)
def test_a_program_gives_what_the_model_gives(name):
    for part in parts(name).parts:
        content, gap = program_bytes(part)  # what it gives when it is read again
        assert gap <= 1e-5
        assert os.path.dirname(torch.__file__).encode() not in content  # the tracer notes files of this machine


@pytest.mark.slow
def test_half_is_half_and_near(tmp_path):
    found = parts("vae-normal-diagonal")
    decoder = next(part for part in found.parts if part.name == "decoder")
    whole, half = onnx_bytes(decoder), onnx_bytes(decoder, half=True)
    assert len(half[0]) < 0.6 * len(whole[0])
    assert whole[1] < half[1] < HALF_TOLERANCE


@pytest.mark.slow
def test_what_is_written_is_described(tmp_path):
    found = parts("vae-mixture-diagonal")
    small = Parts(tuple(part for part in found.parts if part.name == "prior"), "", found.prior)
    to_onnx(small, tmp_path / "onnx", {**FACTS, "prior": found.prior})
    record = read_json(tmp_path / "onnx" / "meta.json", "the record")
    about = record["files"]["prior"]
    assert [(port["name"], port["shape"]) for port in about["inputs"]] == [
        ("noise", ["batch", 2]),
        ("component", ["batch"]),
    ]
    assert about["bytes"] == (tmp_path / "onnx" / about["file"]).stat().st_size
    assert len(record["prior"]["weights"]) == 5
    (tmp_path / "onnx" / "encoder.onnx").write_bytes(b"of an earlier export")
    to_onnx(small, tmp_path / "onnx", FACTS)
    assert sorted(path.name for path in (tmp_path / "onnx").iterdir()) == ["meta.json", "prior.onnx"]


@pytest.mark.slow
def test_what_is_off_is_not_written(tmp_path):
    found = parts("ppca")
    wrong = replace(found.parts[1], reference=lambda z: found.parts[1].expected((z,))[0] + 0.01)
    broken = replace(found, parts=(wrong,))
    with pytest.raises(ZatlasError, match=r"the decoder as ONNX is off from the model's by .* nothing was written"):
        to_onnx(broken, tmp_path / "onnx", FACTS)
    with pytest.raises(ZatlasError, match=r"the decoder as a program of torch\.export is off"):
        to_torch(broken, tmp_path / "m.pt2", FACTS)
    assert not list(tmp_path.iterdir())


class Spectrum(torch.nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvalsh(z[:, :, None] * z[:, None, :])


@pytest.mark.slow
def test_an_operation_that_onnx_does_not_have_is_named(tmp_path):
    found = parts("ppca")
    strange = replace(found.parts[1], module=Spectrum(), reference=None)
    with pytest.raises(
        ZatlasError, match=r"cannot be written as ONNX, which has no operation aten\._?linalg_eig.*--torch FILE"
    ):
        to_onnx(replace(found, parts=(strange,)), tmp_path / "onnx", FACTS)
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ZatlasError, match=r"onnxruntime: pip install 'zatlas\[export\]'"):
        to_onnx(parts("ppca"), tmp_path / "onnx", FACTS)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty \(it holds mine.txt\): give --onnx another folder"):
        to_onnx(parts("ppca"), tmp_path, FACTS)
    with pytest.raises(UsageError, match="is a file: give --onnx a folder"):
        to_onnx(parts("ppca"), tmp_path / "mine.txt", FACTS)
    with pytest.raises(UsageError, match=r"ends in \.pt2"):
        to_torch(parts("ppca"), tmp_path / "model.pt", FACTS)


def test_words_that_ask_for_nothing(run):
    with pytest.raises(UsageError, match="--onnx DIR, --torch FILE, --hub DIR or --diffusers DIR"):
        export(run("vae"))
    with pytest.raises(UsageError, match="--half is about the weights of --onnx"):
        export(run("vae"), hub="somewhere", half=True)


@pytest.mark.parametrize("name", ["vae-normal-diagonal", "cvae-mixture-diagonal", "vqvae-mlp", "gan-mlp", "ae-mlp"])
def test_a_script_has_ten_lines_and_no_zatlas(name):
    text = script(parts(name), "it's")
    compile(text, name, "exec")
    assert len(text.splitlines()) <= 10
    assert "zatlas" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cvae-mixture-diagonal", "vqvae-mlp"])
def test_a_script_runs_by_itself(name, tmp_path):
    found = parts(name)
    done = to_torch(found, tmp_path / "my model.pt2", {**FACTS, "prior": found.prior})
    assert (tmp_path / "my model.py").read_text() == done["script"]
    command = [sys.executable, "-I", "-c", f"import sys; sys.modules['zatlas'] = None\n{done['script']}"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert answer.returncode == 0, answer.stderr
    shape = list(found.parts[0].outputs[0].shape if len(found.parts) == 2 else found.parts[1].outputs[0].shape)
    assert answer.stdout == f"torch.Size({[4, *shape]}) torch.Size({[4, *shape]})\n"
