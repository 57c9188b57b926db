"""A run taken elsewhere: as ONNX, as programs of torch.export, as a folder of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zatlas.errors import UsageError
from zatlas.export.diffusers import to_diffusers
from zatlas.export.facts import facts_of
from zatlas.export.hub import to_hub
from zatlas.export.onnx import to_onnx
from zatlas.export.parts import parts_of
from zatlas.export.ports import Part, Parts, Port
from zatlas.export.program import to_torch
from zatlas.runs.opened import Run
from zatlas.training.checkpoint import name_of

__all__ = ["Part", "Parts", "Port", "export", "facts_of", "parts_of", "to_diffusers", "to_hub", "to_onnx", "to_torch"]


def export(
    run: Run | str | Path,
    *,
    onnx: str | Path | None = None,
    torch: str | Path | None = None,
    hub: str | Path | None = None,
    diffusers: str | Path | None = None,
    half: bool = False,
) -> dict[str, Any]:
    """Writes a run in the forms asked for; what is written gives what the model gives, which is checked before.

    Args:
        run: an opened run, or its folder.
        onnx: a folder for ``encoder.onnx``, ``decoder.onnx``, ``prior.onnx`` and ``meta.json``.
        torch: ``NAME.pt2``: programs ``NAME-encoder.pt2``, ``NAME-decoder.pt2`` and ``NAME-prior.pt2``, and
            ``NAME.py``, ten lines of Python that run them.
        hub: a folder as the Hugging Face hub wants it.
        diffusers: a folder for the autoencoder of a latent diffusion model (networks autoencoder-kl and vq-model).
        half: ONNX weights are stored in 16 bits; outputs are then within 2e-3.

    Returns:
        What is known of each form, under its name, ``"onnx"`` and so on; ``written`` lists the files.

    Raises:
        UsageError: nothing is asked for, 16 bits of what is not ONNX, or a folder that holds something else.
        ZatlasError: a part that cannot have that form, or is too far off; a library that is missing.

    >>> import tempfile, zatlas
    >>> options = {"latent_dim": 2, "size": "xs", "steps": 1, "verbose": False}
    >>> folder = Path(tempfile.mkdtemp())
    >>> run = zatlas.train("digits", out=folder / "run", **options)
    >>> sorted(Path(path).name for path in zatlas.export.export(run, hub=folder / "hub")["hub"]["written"])
    ['README.md', 'config.json', 'latent.png', 'model.safetensors', 'samples.png']
    """
    if not (onnx or torch or hub or diffusers):
        raise UsageError("say in which form the run is wanted: --onnx DIR, --torch FILE, --hub DIR or --diffusers DIR.")
    if half and not onnx:
        raise UsageError("--half is about the weights of --onnx: give --onnx DIR with it, or leave it out.")
    opened = run if isinstance(run, Run) else Run(run, device="cpu")
    if opened.device.type != "cpu":
        opened = Run(opened.folder, device="cpu", checkpoint=name_of(opened.step))
    done: dict[str, Any] = {}
    if diffusers:
        done["diffusers"] = to_diffusers(opened, Path(diffusers))
    if not (onnx or torch or hub):
        return done
    parts = parts_of(opened)
    facts = facts_of(opened, parts)
    if onnx:
        done["onnx"] = to_onnx(parts, Path(onnx), facts, half=half)
    if torch:
        done["torch"] = to_torch(parts, Path(torch), facts)
    if hub:
        done["hub"] = to_hub(opened, Path(hub), facts)
    return done
