"""Autoencoders of latent diffusion models: a folder with config.json and safetensors, as diffusers writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from zatlas.errors import UsageError, ZatlasError, listed, nearest, shown
from zatlas.files import read_json
from zatlas.importers.foreign import Foreign, neutral_game
from zatlas.importers.reading import read_tensors
from zatlas.importers.writing import configured
from zatlas.networks.diffusers_layout import (
    CONFIG,
    DEFAULTS,
    DOWN,
    FIXED,
    KEPT,
    KL,
    NETWORKS,
    OWN,
    UP,
    WEIGHTS,
    renewed,
    theirs,
)
from zatlas.parts import importer
from zatlas.types import DataSpec

BLOCKS = {"down_block_types": DOWN, "up_block_types": UP}
SETTLED = 1e3  # the running count of codewords that were trained elsewhere: none is new


@importer("diffusers", when="a folder with the AutoencoderKL or VQModel of a latent diffusion model", folder=True)
def read(folder: Path, size: tuple[int, int] | None = None) -> Foreign:
    """The autoencoder in a folder of config.json and one .safetensors file, or in its subfolder ``vae``.

    Args:
        folder: as the library's ``save_pretrained`` writes it.
        size: height and width of the images; None: config.json's sample_size.

    Raises:
        UsageError: there is no such folder, or images of that size do not divide.
        ZatlasError: config.json is of another class or layout; tensors are missing, left over, or do not fit.
    """
    folder = _holding(folder)
    path = folder / CONFIG
    config = read_json(path, "the configuration")
    kind = config.get("_class_name")
    if kind not in NETWORKS:
        raise ZatlasError(f"{path} is of class {shown(kind)}, and only {listed(NETWORKS)} can be read.")
    said = _checked(path, kind, config)
    file = _weights(folder)
    tensors = {renewed(name): tensor for name, tensor in read_tensors(file).items()}
    height, width = size or _sizes(path, said["sample_size"])
    # only to say what does not fit as the network says it, before anything is compared with the file
    spec = DataSpec((said["in_channels"], height, width), "unit")
    network = {"kind": NETWORKS[kind], **{key: said[key] for key in OWN[kind]}}
    if kind == KL:
        model: dict[str, Any] = {"kind": "vae", "likelihood": "gaussian-learned"}
        unsaid: tuple[str, ...] = ()
    else:
        dim = said["vq_embed_dim"] or said["latent_channels"]
        model = {"kind": "vqvae", "likelihood": "gaussian-learned", "code_dim": dim}
        model["codebook_size"] = said["num_vq_embeddings"]
        network["size"], unsaid = "xs", ("prior.", "codebook.usage")
    halved = _half(file)
    remarks = (f"The weights of {file.name} are {halved} and are used as float32.",) if halved else ()
    origin = {"config": {key: config[key] for key in config if key in (*KEPT, "scaling_factor", "shift_factor")}}
    found = Foreign(model, spec, {}, {}, network, remarks, {"diffusers": origin["config"]}, unsaid)
    model_of: Any = neutral_game(configured(found), spec).model
    own = model_of.state_dict()
    names = {ours: name for ours in own if (name := theirs(ours)) is not None}
    for name in names.values():
        if name not in tensors:
            raise ZatlasError(f"the weights do not fit: {name} is missing, which config.json asks for.")
    if left := sorted(set(tensors) - set(names.values())):
        raise ZatlasError(f"the weights do not fit: {left[0]} has no place in what config.json describes.")
    for ours, name in names.items():
        found.tensors[ours] = _flat(tensors[name]) if ".attentions." in name else tensors[name]
        found.theirs[ours] = name
    if "codebook.usage" in own:
        found.tensors["codebook.usage"] = own["codebook.usage"].fill_(SETTLED)
    return found


def _holding(folder: Path) -> Path:
    """The folder that holds the autoencoder, itself or as the ``vae`` of a pipeline."""
    if not folder.is_dir():
        raise UsageError(f"--from diffusers reads a folder with {CONFIG}, and {folder} is none.")
    inner = next((place for place in (folder, folder / "vae", folder / "vqvae") if (place / CONFIG).is_file()), None)
    if inner is None:
        raise UsageError(f"{folder} holds no {CONFIG}: give the folder of an autoencoder, or of a pipeline with a vae.")
    return inner


def _weights(folder: Path) -> Path:
    """The file of tensors.

    Raises:
        UsageError: there is none, or several of which none has the usual name.
    """
    files = sorted(folder.glob("*.safetensors"))
    if folder / WEIGHTS in files:
        return folder / WEIGHTS
    if len(files) != 1:
        held = f"several ({listed(file.name for file in files)})" if files else "none"
        raise UsageError(f"{folder} should hold one .safetensors file, {WEIGHTS}, and there is {held}.")
    return files[0]


def _half(file: Path) -> str | None:
    """The name of the type of 16 bits that a file's tensors have; None where they have another."""
    names = {"F16": "float16", "BF16": "bfloat16"}
    with safe_open(file, "pt") as tensors:
        types = {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118 (it is no mapping)
    return next((names[one] for one in sorted(types) if one in names), None)


def _checked(path: Path, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that config.json says, with the library's defaults where it is silent.

    Raises:
        ZatlasError: a key that is not known or has a value of another architecture.
    """
    version = f"diffusers {config.get('_diffusers_version', '')}".strip()
    known = {*DEFAULTS[kind], *BLOCKS, *FIXED, *KEPT}
    for key, value in config.items():
        if key not in known:
            raise ZatlasError(f"{path} ({version}) has a key {key[:80]} that is not known here; {nearest(key, known)}")
        if key in FIXED and value != FIXED[key]:
            raise ZatlasError(f"{path}: {key} is {shown(value)}, and only {shown(FIXED[key])} can be read.")
        if key in BLOCKS and (not isinstance(value, list) or set(value) != {BLOCKS[key]}):
            raise ZatlasError(f"{path}: {key} is {shown(value)}, and only {BLOCKS[key]} can be read.")
    said = {**DEFAULTS[kind], **{key: value for key, value in config.items() if key in DEFAULTS[kind]}}
    for key in ("in_channels", "out_channels", "layers_per_block", "latent_channels", "norm_num_groups"):
        if type(said[key]) is not int or said[key] < 1:
            raise ZatlasError(f"{path}: {key} is {shown(said[key])} where a number from 1 on is wanted.")
    widths = said["block_out_channels"]
    if not isinstance(widths, list) or not widths or not all(type(width) is int and width > 0 for width in widths):
        raise ZatlasError(f"{path}: block_out_channels is {shown(widths)} where a list of numbers is wanted.")
    if any(len(config[key]) != len(widths) for key in BLOCKS if key in config):
        raise ZatlasError(f"{path}: there are {len(widths)} block_out_channels and another number of block types.")
    if said["in_channels"] != said["out_channels"]:
        raise ZatlasError(
            f"{path}: in_channels is {said['in_channels']} and out_channels {said['out_channels']}, and an autoencoder "
            "gives back what it was shown."
        )
    return said


def _sizes(path: Path, size: Any) -> tuple[int, int]:
    sizes = size if isinstance(size, list) else [size, size]
    if len(sizes) != 2 or not all(type(one) is int and 0 < one < 2**16 for one in sizes):
        raise ZatlasError(f"{path}: sample_size is {shown(size)} where a number of pixels is wanted: give --resize.")
    return sizes[0], sizes[1]


def _flat(weight: Any) -> Any:
    """The weight of a linear layer, which old files have as that of a 1x1 convolution."""
    return weight.flatten(1) if weight.dim() == 4 and weight.shape[2:] == (1, 1) else weight
