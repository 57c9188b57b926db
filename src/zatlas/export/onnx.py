"""ONNX: each part as a graph that runs in any language and in the browser, and a record of what is in them.

Operators are those of opset 18, which onnxruntime's CPU and WebAssembly backends have.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zatlas.errors import UsageError, ZatlasError
from zatlas.export.parity import HALF_TOLERANCE, TOLERANCE, Function, check, difference
from zatlas.export.ports import Part, Parts
from zatlas.export.program import describe, traced
from zatlas.files import read_json, write_bytes, write_json, writing
from zatlas.networks.tracing import quiet

OPSET = 18
FORMAT = "zatlas onnx"
META = "meta.json"
FEWEST = 256  # numbers of a tensor that 16 bits are worth while for: biases and scales stay as they are
LARGEST_HALF = 6e4
INSTEAD = "use --torch FILE, whose programs have every operator of PyTorch"


def need_onnx() -> None:
    """Says no where the libraries are not there.

    Raises:
        ZatlasError: one is missing; how it is installed is said.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ZatlasError(f"ONNX needs the library {error.name}: pip install 'zatlas[export]'.") from None


def onnx_model(part: Part) -> Any:
    """The part as an ``onnx.ModelProto`` with float32 weights.

    Raises:
        ZatlasError: an operation has no form in ONNX; it is named.
    """
    need_onnx()
    program = traced(part)
    try:
        with quiet(), torch.no_grad():
            made = torch.onnx.export(
                program,
                dynamo=True,
                external_data=False,
                verbose=False,
                opset_version=OPSET,
                input_names=[port.name for port in part.inputs],
                output_names=[port.name for port in part.outputs],
            )
    except Exception as error:
        raise ZatlasError(
            f"the {part.name} cannot be written as ONNX, which has no {_operation(error)}: {INSTEAD}."
        ) from error
    assert made is not None
    model = made.model_proto
    _tidy(model, part)
    return model


def _operation(error: BaseException) -> str:
    """The operation that an exporter's error, or what caused it, is about."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    for one in reversed(chain):
        if found := re.search(r"aten[.:]+[a-z_0-9]+", str(one)):
            return f"operation {found[0].replace('::', '.')}"
    first = (str(chain[-1]).strip().splitlines() or [type(chain[-1]).__name__])[0]
    return f"form for it ({first.rstrip('.')[:200]})"


def _tidy(model: Any, part: Part) -> None:
    """Leaves out what the exporter notes of this machine, and names the batch the same everywhere."""
    del model.metadata_props[:]
    model.doc_string = ""
    model.graph.doc_string = ""
    model.graph.name = part.name
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.initializer, *model.graph.input, *model.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    del model.graph.value_info[:]  # shapes within, which every runtime finds again
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def halved(model: Any) -> Any:
    """The same graph with large weights stored in 16 bits; what is computed from them is float32 as before."""
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    short = ModelProto()
    short.CopyFrom(model)
    graph, casts = short.graph, []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor) if tensor.data_type == TensorProto.FLOAT else np.zeros(0)
        if values.size < FEWEST or not np.abs(values).max() < LARGEST_HALF:
            continue
        name = f"{tensor.name}_16"
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        graph.initializer.remove(tensor)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return short


def onnx_function(content: bytes, part: Part) -> Function:
    """An ONNX graph in onnxruntime, on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        feed = {port.name: tensor.numpy() for port, tensor in zip(part.inputs, inputs, strict=True)}
        return [torch.from_numpy(value) for value in session.run([port.name for port in part.outputs], feed)]

    return run


def onnx_bytes(part: Part, *, half: bool = False) -> tuple[bytes, float]:
    """The file of a part, and how far what onnxruntime makes of it is from what the model gives.

    Args:
        part: one part of a run.
        half: weights are stored in 16 bits.

    Raises:
        ZatlasError: an operation that ONNX does not have; outputs that are too far off.
    """
    model = onnx_model(part)
    content = model.SerializeToString()
    gap = difference(part, onnx_function(content, part))
    check(part, gap, TOLERANCE, "ONNX", INSTEAD)
    if half:
        content = halved(model).SerializeToString()
        gap = difference(part, onnx_function(content, part), HALF_TOLERANCE)
        check(part, gap, HALF_TOLERANCE, "ONNX with weights of 16 bits", "leave --half out")
    return content, gap


def to_onnx(parts: Parts, folder: Path, facts: dict[str, Any], *, half: bool = False) -> dict[str, Any]:
    """Writes ``encoder.onnx``, ``decoder.onnx``, ``prior.onnx`` (a VQ-VAE also ``codebook.onnx``) and ``meta.json``.

    Args:
        parts: of the run.
        folder: new, empty, or one that held such an export before.
        facts: of the run, for meta.json.
        half: weights are stored in 16 bits.

    Returns:
        What meta.json says, and the files ``written``.

    Raises:
        UsageError: the folder holds something else.
        ZatlasError: a part that ONNX cannot express or that is too far off; nothing is written then.
    """
    need_onnx()
    before = _held(folder)
    import onnx
    import onnxruntime

    name = lambda part: f"{part.name}.onnx"
    made = [(part, *onnx_bytes(part, half=half)) for part in parts.parts]
    record = {
        **facts,
        "format": FORMAT,
        "opset": OPSET,
        "weights": "float16, computed with in float32" if half else "float32",
        "files": {part.name: describe(part, name(part), content, gap) for part, content, gap in made},
        "versions": {**facts["versions"], "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
    }
    for part, content, _ in made:
        write_bytes(folder / name(part), content)
    write_json(folder / META, record)
    for old in before - {name(part) for part in parts.parts}:
        with writing(folder / old):
            (folder / old).unlink(missing_ok=True)
    return {**record, "written": [str(folder / name(part)) for part in parts.parts] + [str(folder / META)]}


def _held(folder: Path) -> set[str]:
    """The ONNX files of an earlier export, which are replaced.

    Raises:
        UsageError: the folder holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give --onnx a folder.")
    held = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if not held:
        return set()
    if META in held and read_json(folder / META, "the record").get("format") == FORMAT:
        return {entry for entry in held if entry.endswith(".onnx")}
    raise UsageError(f"{folder} is not empty (it holds {min(held)}): give --onnx another folder.")
