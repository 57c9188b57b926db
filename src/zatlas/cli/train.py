"""Commands that make a run, and say what the machine can do: train, doctor."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.cli import completing
from zatlas.cli.commands import LEARN, MAKE, command
from zatlas.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zatlas.config import Config
    from zatlas.recipes import Given
    from zatlas.runs.opened import Run

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
RunPath = Annotated[
    Path,
    typer.Argument(help="A run folder.", metavar="RUN", show_default=False, autocompletion=completing.complete_run),
]
Split = Annotated[
    str | None, typer.Option(help="train, validation, test or all. (default: test, or what there is of it)")
]
DataPath = Annotated[str | None, typer.Option("--data", help="Other data than the run's own: a name or a path.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or mps.")]
MODEL, DATA, STOP, HOW = "Model", "Data", "When to stop (the first that is met)", "How"


def _option(panel: str, text: str, *names: str, complete: completing.Complete | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, autocompletion=complete)


@command("train", panel=MAKE, order=1)
def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A name (digits, mnist, sprites, …) or a path (folder, .npz, .npy, IDX).",
            autocompletion=completing.complete_data,
        ),
    ] = None,
    model: Annotated[
        str | None,
        _option(
            MODEL,
            "vae, cvae, ladder, ae, vqvae, gan, cgan, ppca or fa. (default: vae)",
            complete=completing.complete_model,
        ),
    ] = None,
    latent_dim: Annotated[
        int | None, _option(MODEL, "Number of latent units. (default: 2; gan: 64)", "--latent-dim", "-z")
    ] = None,
    objective: Annotated[
        str | None,
        _option(
            MODEL,
            "elbo, iwae, tcvae, …, gan, …: see zatlas models. (default: what suits the model)",
            complete=completing.complete_objective,
        ),
    ] = None,
    beta: Annotated[float | None, _option(MODEL, "Weight of the rate. (default: 1)")] = None,
    prior: Annotated[
        str | None,
        _option(
            MODEL,
            "Of z: normal, mixture, vamp, flow, or conditional (cvae). (default: normal)",
            complete=completing.complete_prior,
        ),
    ] = None,
    network: Annotated[
        str | None,
        _option(
            MODEL,
            "mlp, conv, resnet, burgess, …: see zatlas models. (default: mlp; conv for a gan of images)",
            complete=completing.complete_network,
        ),
    ] = None,
    scale: Annotated[str | None, _option(MODEL, "xs, s, m or l. (default: s)", "--size")] = None,
    likelihood: Annotated[
        str | None,
        _option(
            MODEL,
            "bernoulli, gaussian-learned, logistic, …: see zatlas models. (default: by the data)",
            complete=completing.complete_likelihood,
        ),
    ] = None,
    binarise: Annotated[str | None, _option(DATA, "none, static or dynamic. (default: none)")] = None,
    labels: Annotated[str | None, _option(DATA, "Key, column or file of the labels.")] = None,
    label_level: Annotated[
        str | None, _option(DATA, "Which folder is an image's label: 1 the top one, 2, …, or path. (default: 1)")
    ] = None,
    skip_damaged: Annotated[
        bool, _option(DATA, "Leave out images that cannot be read, and list them.", "--skip-damaged")
    ] = False,
    resize: Annotated[
        str | None, _option(DATA, "Pixels: 64 (the square at the centre) or 64x48 (height x width).")
    ] = None,
    crop: Annotated[str | None, _option(DATA, "Pixels cut from the centre: 64 or 64x48.")] = None,
    channels: Annotated[int | None, _option(DATA, "1 grey, 3 RGB. (default: as the images are)")] = None,
    augment: Annotated[
        list[str] | None,
        _option(DATA, "Change training images at random: flip, crop or shift; repeat it. (default: none)"),
    ] = None,
    epochs: Annotated[int | None, _option(STOP, "Passes over the training rows.")] = None,
    steps: Annotated[int | None, _option(STOP, "Optimiser steps.")] = None,
    seconds: Annotated[float | None, _option(STOP, "Seconds of training steps.")] = None,
    target_loss: Annotated[float | None, _option(STOP, "Validation loss in nats.")] = None,
    patience: Annotated[int | None, _option(STOP, "Validations without a better loss.")] = None,
    preset: Annotated[
        str | None,
        _option(
            HOW,
            "A named bundle of values (course-vae, mnist-likelihood, …); options override.",
            complete=completing.complete_preset,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        _option(HOW, "Examples a step. (default: 128, vqvae and gan 64; fewer of costly images on a CPU)"),
    ] = None,
    learning_rate: Annotated[float | None, _option(HOW, "Highest learning rate.", "--learning-rate", "--lr")] = None,
    seed: Annotated[int | None, _option(HOW, "Of weights, order and draws. (default: 0)")] = None,
    device: Annotated[str | None, _option(HOW, "auto, cpu, cuda or mps. (default: auto)")] = None,
    precision: Annotated[
        str | None, _option(HOW, "auto (by hardware and shapes), fp32 or bf16. (default: auto)")
    ] = None,
    out: Annotated[Path | None, _option(HOW, "Run folder. (default: a new one under runs/)", "--out", "-o")] = None,
    config: Annotated[Path | None, _option(HOW, "A config.toml, such as a run's own: repeats that run.")] = None,
    set_: Annotated[list[str] | None, _option(HOW, "Any value: --set section.key=value; repeat it.", "--set")] = None,
    log: Annotated[
        list[str] | None, _option(HOW, "Track it elsewhere too: tensorboard, mlflow, wandb or package.module:Class.")
    ] = None,
    from_: Annotated[
        Path | None,
        _option(HOW, "Start from an AutoencoderKL or VQModel in this folder (config.json, safetensors).", "--from"),
    ] = None,
    resume: Annotated[
        Path | None, _option(HOW, "Go on with this run; limits may be given anew.", complete=completing.complete_run)
    ] = None,
    workers: Annotated[
        int | None, _option(HOW, "Processes on this machine that share each batch. (default: 1; see also torchrun)")
    ] = None,
    on: Annotated[
        str | None, _option(HOW, "ray: on the cluster of RAY_ADDRESS, or one on this machine. (default: here)")
    ] = None,
    hang: Annotated[
        float | None, _option(HOW, "Seconds after which a worker that does not answer is ended. (default: 600)")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=HOW)] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.", rich_help_panel=HOW)] = False,
) -> None:
    """Train a model on DATA into a run folder.

    zatlas train digits  ·  zatlas train mnist -z 16 --seconds 30  ·  zatlas train photos/ --resize 64 --network conv

    zatlas models says when to use which model, objective, prior, posterior, network and likelihood.
    """
    if on not in (None, "ray"):
        raise UsageError(f"--on knows ray, and {on!r} is given.")
    if on is None and (workers is not None or hang is not None):
        _share_out(workers, hang, quiet)
    from zatlas.console import say
    from zatlas.runs import training
    from zatlas.training.progress import TrainingProgress

    words: dict[str, Any] = {"source": source, "binarise": binarise, "labels": labels, "channels": channels}
    words |= {"label_level": level(label_level), "skip_damaged": skip_damaged or None, "augment": augment or None}
    words |= {"resize": size("--resize", resize), "crop": size("--crop", crop), "model": model, "prior": prior}
    words |= {"latent_dim": latent_dim, "network": network, "size": scale, "likelihood": likelihood}
    words |= {"objective": objective, "beta": beta, "epochs": epochs, "steps": steps, "seconds": seconds}
    words |= {"target_loss": target_loss, "patience": patience, "batch_size": batch_size, "seed": seed}
    words |= {"learning_rate": learning_rate, "device": device, "precision": precision}
    given = {word: value for word, value in words.items() if value is not None}
    progress = TrainingProgress(quiet)
    tell = (lambda sentence: None) if quiet else say
    try:
        if resume is not None:
            if on or from_ is not None:
                other = (
                    "on here, or by torchrun: leave --on out" if on else "on with a run's own weights: leave --from out"
                )
                raise UsageError(f"--resume goes {other}, or --resume.")
            changes = _limits(given, preset, config, out, set_)
            done = training.resume(resume, changes=changes, data=source, watchers=[progress], log=log or (), say=tell)
        else:
            merged, began = _asked(given, preset, config, set_, from_)
            if on:
                _conclude(_trained_on_ray(merged, out, workers, hang, log, tell, from_), json, quiet)
                return
            done = training.train(merged, out=out, watchers=[progress], log=log or (), say=tell, given=began)
    finally:
        progress.close()
    _conclude(done, json, quiet)


def _asked(
    given: dict[str, Any], preset: str | None, config: Path | None, set_: list[str] | None, start_from: Path | None
) -> tuple[Config, Given]:
    """The configuration that the words ask for, and the weights that it starts from."""
    from zatlas import recipes
    from zatlas.config.words import configuration

    began = recipes.Given(given)
    if start_from is not None:
        from zatlas.importers import start

        began = began.begun_from(start(start_from))
    merged = configuration(began.words, preset_name=preset, file=config, assignments=set_ or ())
    if not merged.data.source:
        raise UsageError("say what to train on: zatlas train digits, or a folder of images, an .npz, ….")
    return merged, began


def _trained_on_ray(
    config: Config,
    out: Path | None,
    workers: int | None,
    hang: float | None,
    log: list[str] | None,
    tell: Callable[[str], None],
    start_from: Path | None,
) -> Run:
    if start_from is not None:
        raise UsageError("--on ray begins with weights of its own: leave --from out, or --on.")
    from zatlas.runs.cluster import train_on_ray
    from zatlas.runs.folder import free_name
    from zatlas.runs.opened import Run

    if out is None:
        out = free_name(Path("runs"), f"{Path(config.data.source or 'data').stem}-{config.model.kind}-ray")
    return Run(train_on_ray(config, out=out, workers=workers, hang_seconds=hang or 600.0, log=log or (), say=tell))


def _share_out(workers: int | None, hang: float | None, quiet: bool) -> None:
    """Has the same command run by several workers, and ends; returns where this process is to do the work itself."""
    from zatlas.console import say

    if hang is not None and not 0 < hang <= 10**6:
        raise UsageError(f"--hang wants seconds, more than 0, and {hang:g} is given.")
    if workers is None:
        raise UsageError("--hang is about workers: give --workers too, or set ZATLAS_HANG for torchrun.")
    if "RANK" in os.environ:
        raise UsageError("--workers begins the workers itself, and torchrun has begun this one: leave --workers out.")
    if workers == 1:
        return
    from zatlas.runs.launching import launch, without

    tell = (lambda sentence: None) if quiet else say
    status = launch(without(sys.argv[1:], "--workers", "--hang"), workers, hang_seconds=hang or 600.0, say=tell)
    raise typer.Exit(status)


def _limits(
    given: dict[str, Any], preset: str | None, config: Path | None, out: Path | None, set_: list[str] | None
) -> dict[str, Any]:
    """What may be given with --resume."""
    from zatlas.config.words import LIMITS

    allowed = {*LIMITS, "target_loss", "patience"}
    others = [
        name for name, value in (("--preset", preset), ("--config", config), ("--out", out), ("--set", set_)) if value
    ]
    others += ["--" + word.replace("_", "-") for word in given if word not in allowed | {"source"}]
    if others:
        raise UsageError(
            f"--resume goes on with the run as it was made, so {others[0]} cannot be given; "
            "only limits can (--epochs, --steps, --seconds, --target-loss, --patience), and DATA where it was moved."
        )
    limits = {word: value for word, value in given.items() if word in allowed}
    return dict.fromkeys(LIMITS) | limits if limits.keys() & set(LIMITS) else limits


def sizes(resize: str | None, crop: str | None) -> dict[str, Any]:
    """What --resize and --crop stand for: one number alone makes square images."""
    from zatlas.config import square

    return square(size("--resize", resize), size("--crop", crop))


def level(text: str | None) -> Any:
    """What --label-level stands for."""
    if text is None or text == "path":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--label-level wants 1 for the top folder, 2, …, or path, and {text!r} is not that.")
    return int(text)


def size(option: str, text: str | None) -> Any:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(re.fullmatch(r"\s*0*[1-9]\d{0,17}\s*", part, re.ASCII) for part in parts):
        raise UsageError(f"{option} wants pixels, as 64 or 64x48, and {text!r} is not that.")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _conclude(done: Any, json: bool, quiet: bool) -> None:
    from zatlas.cli.console import print_json
    from zatlas.console import say, terms_line
    from zatlas.measure.words import DATA_KINDS

    record = done.folder.record
    seconds, steps = record["train_seconds"], record["steps"]
    examples = record.get("examples", 0)
    result = {name: value for name, value in record.get("result", {}).items() if name != "split"}
    folder = str(done.folder.path)
    if json:
        print_json(
            {
                "run": folder,
                "stopped": record.get("stopped"),
                "train_seconds": round(seconds, 3),
                "epochs": round(steps / record["steps_per_epoch"], 3),
                "steps": steps,
                "images_per_second": round(examples / seconds, 1) if seconds else None,
                "test": result or None,
            }
        )
    if record["status"] == "interrupted":
        say(f"Interrupted at step {steps}; everything is saved. Go on with: zatlas train --resume {folder}")
        raise typer.Exit(130)
    if quiet:
        return
    split = record["result"]["split"]
    unit = "nats per example where no unit is named" if done.kind.infers else "terms of the game"
    if done.kind.infers and not done.game.objective.unit:
        unit = f"terms of {done.config.objective.kind}, which is no likelihood; the rate in nats"
    say(f"{split}: {terms_line(result)} ({unit}; {DATA_KINDS[record['data_kind']]})")
    say(f"Trained {steps:,} steps in {seconds:.1f} s, {examples / max(seconds, 1e-9):,.0f} examples a second.")
    say(f"Run: {folder}\nNext: zatlas report {folder}")


@command("doctor", panel=LEARN, order=3)
def doctor(json: Json = False) -> None:
    """Say what this machine has: versions, devices, precisions and what they reach, folders, extras."""
    from zatlas.cli.console import print_json
    from zatlas.cli.diagnosis import diagnose, table
    from zatlas.console import console

    facts = diagnose()
    if json:
        print_json(facts)
    else:
        console.print(table(facts))
