"""The command that imports foreign weights: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zatlas.cli.commands import MAKE, command
from zatlas.cli.train import Json


@command("import", panel=MAKE, order=4)
def import_(
    file: Annotated[Path, typer.Argument(help="Weights: .pt, .pth or .safetensors; or a hub folder.", metavar="FILE")],
    format: Annotated[str, typer.Option("--from", help="disvae, beta-vae-1konny, torch or hub.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder. (default: a new one under runs/)")
    ] = None,
    map_: Annotated[
        Path | None, typer.Option("--map", help="torch: a TOML file that says which tensor is which.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Your own data, a name or a path: resized to what the model takes.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a run of weights that another program trained; then sample it, walk it, measure it.

    zatlas import betaH_celeba.pt --from disvae  ·  zatlas import checkpoint/last --from beta-vae-1konny
    ·  zatlas import vae-of-digits/ --from hub, a folder that zatlas export --hub wrote

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

    run = import_weights(file, format, out=out, data=data, mapping=map_)
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
        f"Read   {config.kind}, z = {run.latent_dim}, {run.config.network_kind} for {shape}, "
        f"{facts['parameters']:,} parameters"
    )
    say(f"Run    {folder}" + ("" if data else ", without data: what wants data takes --data DATA"))
    say(f"Next   zatlas sample {folder}  ·  zatlas traverse {folder}")
