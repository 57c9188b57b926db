"""From a file of weights to a run, by the name of its format."""

from __future__ import annotations

from pathlib import Path

from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.files import sha256
from zatlas.importers import declared
from zatlas.importers.foreign import Foreign
from zatlas.importers.hub import from_hub, need_folder
from zatlas.importers.reading import Tensors, read_tensors
from zatlas.importers.writing import write_run
from zatlas.parts import SORTS
from zatlas.runs.opened import Run


def formats() -> list[str]:
    """The names of the formats: layouts that are known, any state_dict with a mapping, and folders for the hub."""
    return [*SORTS["importer"].names(), "torch", "hub"]


def import_weights(
    file: str | Path,
    format: str,
    *,
    out: str | Path | None = None,
    data: str | None = None,
    mapping: str | Path | None = None,
) -> Run:
    """A run made of weights that another program trained.

    Shapes, channels, the size of the latent space and which network it is are read from the tensors; outputs equal
    those of the original program to rounding. No optimiser, no objective and no data come along.

    Args:
        file: of ``torch.save`` or safetensors, or a hub folder; only tensors are loaded from it.
        format: ``"disvae"`` (disentangling-vae), ``"beta-vae-1konny"`` (1Konny/Beta-VAE, both networks), or
            ``"torch"`` (any state_dict, with a mapping) or ``"hub"`` (a folder of `zatlas export --hub`).
        out: the run folder; None: a free name under ``runs/``.
        data: the user's own data, by name or path, resized to what the model takes; None: what wants data says so,
            and the rest (samples, traversals, decoding) works.
        mapping: for ``"torch"``, a TOML file: see :mod:`zatlas.importers.declared`.

    Raises:
        UsageError: words that are wrong, a file that is not there, a folder in use.
        ZatlasError: a file that is damaged or wants to run code; weights that do not fit, with the tensor's name.
    """
    file = Path(file)
    if ":" not in format and format not in formats():
        raise UsageError(f"there is no format {format!r} to import; {nearest(format, formats())}")
    if (mapping is None) == (format == "torch"):
        raise UsageError(
            "a mapping says which tensor is which, and torch alone wants one: "
            f"{'give --map MAPPING.toml' if mapping is None else f'leave --map out for {format}'}."
        )
    if format == "hub":
        return from_hub(need_folder(file), out=Path(out) if out else None, data=data)
    if mapping is None:
        found = _read(format, read_tensors(file))
    else:
        declaration = declared.read_mapping(Path(mapping))
        found = declared.read(read_tensors(file, declaration["state"]), declaration)
    origin = {"format": format, "file": file.name, "sha256": sha256(file)}
    return write_run(found, origin=origin, name=file.stem, out=Path(out) if out else None, data=data)


def _layout(format: str, tensors: Tensors) -> Foreign:
    found: Foreign = SORTS["importer"].get(format).target(tensors)
    return found


def _read(format: str, tensors: Tensors) -> Foreign:
    try:
        return _layout(format, tensors)
    except ZatlasError:
        for other in SORTS["importer"].names():
            if _fits(other, tensors):
                raise UsageError(f"these are weights of {other} and not of {format}: give --from {other}.") from None
        raise


def _fits(format: str, tensors: Tensors) -> bool:
    try:
        _layout(format, tensors)
    except ZatlasError:
        return False
    return True
