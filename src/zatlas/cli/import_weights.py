"""The command that imports foreign weights: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zatlas.cli.commands import MAKE, command
from zatlas.cli.train import Json, size


@command("import", panel=MAKE, order=4)
def import_(
    file: Annotated[
        Path, typer.Argument(help="Weights: .pt, .pth or .safetensors; or a folder (hub, diffusers).", metavar="FILE")
    ],
    format: Annotated[
        str, typer.Option("--from", help="disvae, beta-vae-1konny, diffusers, torch or hub.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder. (default: a new one under runs/)")
    ] = None,
    map_: Annotated[
        Path | None, typer.Option("--map", help="torch: a TOML file that says which tensor is which.")
    ] = None,
    resize: Annotated[
        str | None,
        typer.Option("--resize", help="diffusers: pixels of its images, 64 or 64x48. (default: as its config says)"),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Your own data, a name or a path: resized to what the model takes.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a run of weights that another program trained; then sample it, walk it, measure it.

    zatlas import betaH_celeba.pt --from disvae  ·  zatlas import checkpoint/last --from beta-vae-1konny
    ·  zatlas import vae-of-digits/ --from hub, a folder that zatlas export --hub wrote
    ·  zatlas import stable-diffusion/vae --from diffusers --resize 64, an AutoencoderKL or VQModel

    Only tensors are ever loaded: a file that wants to run code is refused. --from torch takes any state_dict whose
    layers are those of a network of zatlas, with a mapping such as

    \b
    model.network = "course-mlp"
    model.latent_dim = 20
    data.shape = [1, 28, 28]
    tensors."encoder.net.layers.0.*" = "fc1.*"        # ours = theirs
    tensors."encoder.net.layers.2.*" = ["fc_mean.*", "fc_logvar.*"]
    tensors."decoder.net.layers.0.*" = "fc3.*"
    tensors."decoder.net.layers.2.*" = "fc4.*"
    ignore = ["classifier.*"]                         # theirs, not wanted
    interleaved = []   # ours whose rows are mean, log-variance, mean, ...

    Modules of any other shape come in from Python: zatlas.importers.from_modules(encoder, decoder, ...).
    """
    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.importers import import_weights

    pixels = size("--resize", resize)
    both = (pixels, pixels) if isinstance(pixels, int) else pixels
    run = import_weights(file, format, out=out, data=data, mapping=map_, size=both, say=say)
    config, spec, folder = run.config.model, run.spec, run.folder.path
    facts = {
        "run": str(folder),
        "format": format,
        "kind": config.kind,
        "network": run.config.network_kind,
        "shape": list(spec.shape),
        "latent_dim": run.latent_dim,
        "parameters": run.folder.record["parameters"],
        "data": data,
    }
    if json:
        print_json(facts)
        return
    shape = "x".join(map(str, spec.shape))
    say(
        f"Read   {config.kind}, z = {run.code_size}, {run.config.network_kind} for {shape}, "
        f"{facts['parameters']:,} parameters"
    )
    say(f"Run    {folder}" + ("" if data else ", without data: what wants data takes --data DATA"))
    say(f"Next   zatlas sample {folder}  ·  zatlas traverse {folder}")
