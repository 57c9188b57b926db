"""The autoencoder of a latent diffusion model, as diffusers reads it: config.json and one file of tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save as serialise

from zatlas.errors import UsageError, listed
from zatlas.files import read_json, write_bytes
from zatlas.networks.diffusers_layout import CONFIG, DOWN, KL, NETWORKS, OWN, TESTED, UP, VQ, WEIGHTS, theirs
from zatlas.runs.opened import Run

CLASSES = {network: name for name, network in NETWORKS.items()}


@torch.no_grad()
def to_diffusers(run: Run, folder: Path) -> dict[str, Any]:
    """Writes ``config.json`` and ``diffusion_pytorch_model.safetensors``.

    Images in [0, 1] of zatlas are those in [-1, 1] of the library. What it has no place for is left behind: the width
    of p(x|z), and the prior over codewords.

    Args:
        run: an opened run whose network is ``autoencoder-kl`` or ``vq-model``.
        folder: new, empty, or one that held such an export before.

    Returns:
        The class, the number of tensors, and the files ``written``.

    Raises:
        UsageError: another network, or the folder holds something else.
        ZatlasError: a disk that refuses.
    """
    network: Any = run.config.network
    if network is None or network.kind not in CLASSES:
        raise UsageError(
            f"--diffusers writes the networks {listed(CLASSES)}, and that of {run.folder.path} is "
            f"{run.config.network_kind}: train with one of them, or choose --onnx, --torch or --hub."
        )
    _check_free(folder)
    kind = CLASSES[network.kind]
    tensors, model = {}, cast(Any, run.model)
    for ours, tensor in model.state_dict().items():
        if (name := theirs(ours)) is not None:
            tensors[name] = tensor.detach().float().cpu().clone().contiguous()
    start = float(getattr(run.config.posterior, "start_log_variance", None) or 0.0)
    if kind == KL and start:  # what zatlas adds to log-variances is part of the last layer that says them
        last = "quant_conv.bias" if network.use_quant_conv else "encoder.conv_out.bias"
        tensors[last][network.latent_channels :] += start
    channels, height, width = run.spec.shape
    kept = run.folder.record.get("imported", run.folder.record.get("started_from", {})).get("diffusers", {})
    config: dict[str, Any] = {
        "_class_name": kind,
        "_diffusers_version": TESTED,
        "act_fn": "silu",
        "in_channels": channels,
        "out_channels": channels,
        "sample_size": height if height == width else [height, width],
        "down_block_types": [DOWN] * len(network.block_out_channels),
        "up_block_types": [UP] * len(network.block_out_channels),
        **{key: getattr(network, key) for key in OWN[kind]},
    }
    config["block_out_channels"] = list(network.block_out_channels)
    if kind == VQ:
        book = model.codebook
        config |= {"num_vq_embeddings": book.size, "vq_embed_dim": book.dim}
        config |= {"norm_type": "group"}
    config |= {key: value for key, value in kept.items() if key not in ("_class_name", "_name_or_path")}
    write_bytes(folder / WEIGHTS, serialise(tensors, {"format": "pt"}))
    write_bytes(folder / CONFIG, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
    return {"class": kind, "tensors": len(tensors), "written": [str(folder / name) for name in (CONFIG, WEIGHTS)]}


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give --diffusers a folder.")
    held = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")} if folder.is_dir() else set()
    if not held:
        return
    ours = CONFIG in held and read_json(folder / CONFIG, "the configuration").get("_class_name") in NETWORKS
    if not ours or held - {CONFIG, WEIGHTS}:
        raise UsageError(f"{folder} is not empty (it holds {min(held)}): give --diffusers another folder.")
