"""The command that takes a run elsewhere: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zatlas.cli.commands import TAKE, command
from zatlas.cli.train import Json, RunPath

FORMS = "In which form (several may be given)"


def _form(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=FORMS, show_default=False)


@command("export", panel=TAKE, order=1)
def export(
    folder: RunPath,
    onnx: Annotated[
        Path | None, _form("A folder: encoder.onnx, decoder.onnx, prior.onnx and meta.json, which says how.", "--onnx")
    ] = None,
    half: Annotated[
        bool, _form("Store the weights of --onnx in 16 bits: half the size, within 2e-3.", "--half")
    ] = False,
    torch: Annotated[
        Path | None,
        _form("NAME.pt2: programs NAME-encoder.pt2, NAME-decoder.pt2, …, and NAME.py, which runs them.", "--torch"),
    ] = None,
    hub: Annotated[
        Path | None, _form("A folder as the Hugging Face hub wants it: weights, configuration, model card.", "--hub")
    ] = None,
    diffusers: Annotated[
        Path | None,
        _form("A folder as diffusers reads it (networks autoencoder-kl, vq-model).", "--diffusers"),
    ] = None,
    html: Annotated[
        Path | None, _form("One file with the explorer and the model in it, which any browser opens offline.", "--html")
    ] = None,
    images: Annotated[
        int, typer.Option("--with-images", min=0, max=1000, help="Training images that --html holds.")
    ] = 0,
    checkpoint: Annotated[str | None, typer.Option(help="last, best or step-00012345.")] = None,
    json: Json = False,
) -> None:
    """Take a run elsewhere: as ONNX, as programs that PyTorch runs without zatlas, as a folder for the hub,
    as one page that holds the explorer.

    zatlas export runs/mnist-vae-z2-001 --onnx onnx/ --torch vae.pt2 --hub vae-of-mnist/

    Outputs are compared with the model's before anything is written. A hub folder is read again by
    zatlas import DIR --from hub, zatlas.open and zatlas.load.
    """
    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.export import export as write
    from zatlas.runs.opened import Run

    run = Run(folder, device="cpu", checkpoint=checkpoint, say=say)
    asked = onnx or torch or hub or diffusers or not html
    done = write(run, onnx=onnx, torch=torch, hub=hub, diffusers=diffusers, half=half) if asked else {}
    page = None
    if html:
        from zatlas.explorer.single_file import write_html

        page = write_html(run, html, images=images)
        done["html"] = page.to_json()
    if json:
        print_json({"run": str(folder), **done})
        return
    if page:
        say(page.sentence())
    for form, facts in done.items():
        if form == "html":
            continue
        for sentence in _said(form, facts):
            say(sentence)


def _said(form: str, facts: dict[str, Any]) -> list[str]:
    from zatlas.measure.numbers import size

    sentences = []
    for name, part in facts.get("files", {}).items():
        words = [", ".join(port["name"] for port in part[side]) for side in ("inputs", "outputs")]
        gap = f"within {part['largest_difference']:.1g} of the model"
        sentences.append(f"{form}  {name}: {words[0]} → {words[1]}, {size(part['bytes'])}, {gap}")
    sentences += [f"Wrote  {path}" for path in facts["written"]]
    if facts.get("prior", {}).get("family") == "none" and form != "hub":
        sentences.append(f"No prior: {facts['prior']['how']}.")
    if "script" in facts:
        sentences += ["", facts["script"]]
    return sentences
