"""Programs of torch.export: each part as a file that PyTorch runs by itself, and a script that does it."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from zatlas.errors import UsageError, ZatlasError
from zatlas.export.parity import TOLERANCE, check, difference, torch_function
from zatlas.export.ports import Part, Parts
from zatlas.files import write_bytes
from zatlas.networks.tracing import quiet

MOST = 2**20  # examples in a batch; torch.export wants some bound


def traced(part: Part) -> torch.export.ExportedProgram:
    """The part as a graph for any number of examples, without the machine's paths that the tracer notes beside it.

    Raises:
        ZatlasError: it cannot be traced; the reason is named.
    """
    batch = torch.export.Dim("batch", min=1, max=MOST)
    shapes = tuple({0: batch} for _ in part.examples)
    module = part.module.eval()
    with torch.no_grad(), quiet():
        try:
            # three examples: one would be taken for the only number of them
            inputs = tuple(tensor[:3] for tensor in part.examples)
            program = torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
        except Exception as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ZatlasError(
                f"the {part.name} cannot be written as a graph of operations ({lines[0].rstrip('.')[:200]}): "
                "export with --hub, which zatlas reads back whole."
            ) from error
    graphs = [inner.graph for inner in program.graph_module.modules() if isinstance(inner, torch.fx.GraphModule)]
    for node in (node for graph in graphs for node in graph.nodes):
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(note, None)
    return program


def slim(part: Part, program: torch.export.ExportedProgram) -> Part:
    """The part without tensors that its program does not read: the decoder's in the encoder, and so on."""
    signature = program.graph_signature
    named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    module = copy.deepcopy(part.module)
    tensors = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    nodes = [node for node in program.graph.nodes if node.name in named]
    # one tensor may have several names, of which the program reads it by one
    read = {id(tensors[named[node.name]]) for node in nodes if node.users}
    unread = [named[node.name] for node in nodes if id(tensors[named[node.name]]) not in read]
    for name in unread:
        owner, _, leaf = name.rpartition(".")
        room = module.get_submodule(owner)
        for held in (room._parameters, room._buffers):
            if leaf in held:
                held[leaf] = None
    return replace(part, module=module) if unread else part


def program_bytes(part: Part) -> tuple[bytes, float]:
    """The file of a part, and how far what it gives when it is read again is from what the model gives.

    Raises:
        ZatlasError: it cannot be traced, or is too far off.
    """
    buffer = io.BytesIO()
    with quiet():
        program = traced(part)
        slender = slim(part, program)
        torch.export.save(program if slender is part else traced(slender), buffer)
        again = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    gap = difference(part, torch_function(again))
    check(part, gap, TOLERANCE, "a program of torch.export", "export with --hub, which zatlas reads back whole")
    return buffer.getvalue(), gap


def to_torch(parts: Parts, file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Writes a program for each part, ``NAME-encoder.pt2`` and so on, and beside them ``NAME.py``, which runs them.

    Args:
        parts: of the run.
        file: ``NAME.pt2``.
        facts: of the run, for ``NAME.json``.

    Returns:
        The facts, with ``files`` and the text of the ``script``.

    Raises:
        UsageError: another suffix.
        ZatlasError: a part cannot be traced or is too far off; nothing is written then.
    """
    if file.suffix != ".pt2":
        raise UsageError(f"--torch wants a name that ends in .pt2, and {file} does not.")
    made = [(part, *program_bytes(part)) for part in parts.parts]
    name = lambda part: f"{file.stem}-{part.name}.pt2"
    described = {part.name: describe(part, name(part), content, gap) for part, content, gap in made}
    text = script(parts, file.stem)
    for part, content, _ in made:
        write_bytes(file.with_name(name(part)), content)
    write_bytes(file.with_suffix(".py"), text.encode())
    record = {**facts, "format": "zatlas torch.export", "files": described}
    write_bytes(file.with_suffix(".json"), (json.dumps(record, indent=2) + "\n").encode())
    written = [*(file.with_name(name(part)) for part, _, _ in made), file.with_suffix(".py"), file.with_suffix(".json")]
    return {**record, "script": text, "written": [str(path) for path in written]}


def script(parts: Parts, stem: str) -> str:
    """Some ten lines of Python that run the programs ``STEM-encoder.pt2`` and so on without zatlas."""
    have = {part.name: part for part in parts.parts}
    named = ", ".join(have)
    y = ", y" if "y" in [port.name for port in have["decoder"].inputs] else ""
    lines = [
        "import json, torch" if parts.prior.get("weights") else "import torch",
        f"{named} = (torch.export.load({f'{stem}-'!r} + part + '.pt2').module() for part in {tuple(have)!r})",
        "with torch.no_grad():",
    ]
    if y:
        (port,) = (port for port in have["decoder"].inputs if port.name == "y")
        drawn = f"torch.eye({port.shape[0]})[torch.arange(4) % {port.shape[0]}]"
        drawn = drawn if "one-hot" in port.meaning else f"torch.zeros(4, {port.shape[0]})"
        lines.append(f"    y = {drawn}  # {port.meaning}")
    if "encoder" in have:
        x, outputs = have["encoder"].inputs[0], [port.name for port in have["encoder"].outputs]
        lines.append(f"    x = torch.rand({', '.join(map(str, (4, *x.shape)))})  # {x.meaning}")
        lines.append(f"    {', '.join(outputs)} = encoder(x{y})")
        lines.append(f"    image = decoder(mean{y})")
    if "codebook" in have:
        places = have["prior"].inputs[0].shape[0]
        drawn = "torch.multinomial(prior(indices)[:, p].softmax(-1), 1)[:, 0]"
        lines.append(f"    indices = torch.zeros(4, {places}, dtype=torch.int64)")
        lines.append(f"    for p in range({places}): indices[:, p] = {drawn}")
        lines.append(f"    new = decoder(codebook(indices){y})")
    elif "prior" in have:
        inputs = [port.name for port in have["prior"].inputs]
        given = [f"torch.randn(4, {have['decoder'].inputs[0].shape[0]})", *inputs[1:]]
        if "component" in inputs:
            weights = f"torch.tensor(json.load(open({f'{stem}.json'!r}))['prior']['weights'])"
            lines.append(f"    component = torch.multinomial({weights}, 4, replacement=True)")
        lines.append(f"    new = decoder(prior({', '.join(given)}){y})")
    lines.append(
        f"print({', '.join(f'{n}.shape' for n in ('image', 'new') if any(n + ' =' in line for line in lines))})"
    )
    return "\n".join(lines) + "\n"


def describe(part: Part, name: str, content: bytes, gap: float) -> dict[str, Any]:
    """What is said of a file."""
    return {
        "file": name,
        "bytes": len(content),
        "inputs": [port.to_json() for port in part.inputs],
        "outputs": [port.to_json() for port in part.outputs],
        "largest_difference": float(f"{gap:.3g}"),
    }
