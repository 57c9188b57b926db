"""From a file of weights to a run, by the name of its format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.files import sha256
from zatlas.importers import declared
from zatlas.importers.foreign import Foreign
from zatlas.importers.hub import from_hub, need_folder
from zatlas.importers.reading import Tensors, read_tensors
from zatlas.importers.writing import configured, write_run
from zatlas.parts import SORTS
from zatlas.recipes import Given
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
    size: tuple[int, int] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Run:
    """A run made of weights that another program trained.

    Shapes, channels, the size of the latent space and which network it is are read from the tensors; outputs equal
    those of the original program to rounding. No optimiser, no objective and no data come along.

    Args:
        file: of ``torch.save`` or safetensors, or a hub folder; only tensors are loaded from it.
        format: ``"disvae"`` (disentangling-vae), ``"beta-vae-1konny"`` (1Konny/Beta-VAE, both networks),
            ``"diffusers"`` (a folder with an AutoencoderKL or VQModel), ``"torch"`` (any state_dict, with a mapping) or
            ``"hub"`` (a folder of `zatlas export --hub`).
        out: the run folder; None: a free name under ``runs/``.
        data: the user's own data, by name or path, resized to what the model takes; None: what wants data says so,
            and the rest (samples, traversals, decoding) works.
        mapping: for ``"torch"``, a TOML file: see :mod:`zatlas.importers.declared`.
        size: for ``"diffusers"``, whose networks take any, height and width of the images; None: what its config says.
        say: is given sentences for people, such as weights of 16 bits that are converted.

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
    part = SORTS["importer"].find(format)
    of_folder = part is not None and bool(part.facts.get("folder"))
    if size is not None and not of_folder:
        raise UsageError(f"the images of {format} have the size that its weights were made for: leave the size out.")
    if format == "hub":
        return from_hub(need_folder(file), out=Path(out) if out else None, data=data)
    if of_folder:
        found = SORTS["importer"].get(format).target(file, size)
        for remark in found.remarks:
            say(remark)
        origin = {"format": format, "file": file.resolve().name, "sha256": _folder_sha256(file)}
        return write_run(found, origin=origin, name=file.resolve().name, out=Path(out) if out else None, data=data)
    if mapping is None:
        found = _read(format, read_tensors(file))
    else:
        declaration = declared.read_mapping(Path(mapping))
        found = declared.read(read_tensors(file, declaration["state"]), declaration)
    origin = {"format": format, "file": file.name, "sha256": sha256(file)}
    return write_run(found, origin=origin, name=file.stem, out=Path(out) if out else None, data=data)


def _folder_sha256(folder: Path) -> str:
    """Of the checksums of all files of a folder that hold tensors or say what they are."""
    files = sorted(path for end in ("safetensors", "json") for path in folder.rglob(f"*.{end}"))
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def start(weights: str | Path, size: tuple[int, int] | None = None) -> Given:
    """What a training starts from, in the place of random weights: ``zatlas.train(data, start=start("vae/"))``.

    Args:
        weights: a folder with an AutoencoderKL or VQModel as diffusers writes it.
        size: height and width of the images to be shown, which only have to divide; None: those of its config.

    Returns:
        The words of its configuration, its tensors by our names, and sentences for people.

    Raises:
        UsageError, ZatlasError: as for :func:`import_weights`.
    """
    folder = Path(weights)
    found = SORTS["importer"].get("diffusers").target(folder, size)
    config = configured(found)
    sections = ("model", "network", "likelihood")
    words: dict[str, Any] = {name: getattr(config, name).model_dump(exclude_unset=True) for name in sections}
    origin = {"format": "diffusers", "file": folder.resolve().name, "sha256": _folder_sha256(folder), **found.origin}
    return Given(words=words, weights=found.tensors, remarks=found.remarks, origin=origin)


def _layout(format: str, tensors: Tensors) -> Foreign:
    found: Foreign = SORTS["importer"].get(format).target(tensors)
    return found


def _read(format: str, tensors: Tensors) -> Foreign:
    try:
        return _layout(format, tensors)
    except ZatlasError:
        for other in [part.name for part in SORTS["importer"].parts() if not part.facts.get("folder")]:
            if _fits(other, tensors):
                raise UsageError(f"these are weights of {other} and not of {format}: give --from {other}.") from None
        raise


def _fits(format: str, tensors: Tensors) -> bool:
    try:
        _layout(format, tensors)
    except ZatlasError:
        return False
    return True
