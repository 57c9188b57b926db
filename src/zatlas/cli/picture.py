"""Commands from a run to pictures and arrays, example by example: sample, prior, reconstruct, encode, decode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zatlas.cli.showing import Label, Out, Seed, opened, read_codes, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath, Split
from zatlas.errors import ZatlasError


def sample(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 64,
    draws: Annotated[bool, typer.Option(help="Picture draws from p(x|z) instead of its means.")] = False,
    label: Label = None,
    prior: Annotated[
        str | None, typer.Option(help="mixture or flow: an ex-post prior, fitted first if need be. (default: its own)")
    ] = None,
    seed: Seed = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """New examples: z from the prior, then p(x|z); a picture, and an .npz with z, means and draws.

    An autoencoder has no prior of its own: a mixture of Gaussians fitted to its codes stands in.
    """
    from zatlas.figures import View, arrays, grid

    experiment = opened(run, device, data)
    pictures, y = experiment.sample(n, label=label, seed=seed, prior=prior)
    shown = pictures.draw if draws else pictures.mean
    figure = grid(experiment.displayable(shown)) if experiment.spec.is_image else None
    show_run(experiment, out, "sample", json, View(arrays(**pictures._asdict(), y=y), figure))


def prior(
    run: RunPath,
    kind: Annotated[str, typer.Option(help="mixture (of Gaussians) or flow.")] = "mixture",
    components: Annotated[
        int | None, typer.Option(min=1, help="Of the mixture. (default: as many as held-out codes want)")
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    json: Json = False,
) -> None:
    """Fit a density to a trained model's codes, so that an autoencoder samples, and a VAE samples better."""
    from zatlas.cli.console import print_json, say

    experiment = opened(run, device)
    fitted = experiment.fit_prior(kind, components=components, seed=seed)
    if json:
        print_json({"run": str(run), "kind": kind, **fitted.facts})
    else:
        say(fitted.describe().capitalize() + f". Draw from it: zatlas sample {run} --prior {kind}")


def reconstruct(
    run: RunPath,
    source: Annotated[str | None, typer.Argument(metavar="DATA", help="Other data than the run's own.")] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 20,
    split: Split = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Examples beside what comes back from the mean of their code."""
    from zatlas.figures import View, arrays, pairs

    experiment = opened(run, device, source)
    rows = experiment.spread(split or experiment.held_out(), n)
    x, codes, pictures = experiment.reconstruct(rows)
    images = experiment.spec.is_image
    figure = pairs(experiment.displayable(x), experiment.displayable(pictures.mean)) if images else None
    found = arrays(x=x, reconstruction=pictures.mean, z=codes.mean, rows=rows, y=codes.y)
    show_run(experiment, out, "reconstruct", json, View(found, figure))


def encode(
    run: RunPath,
    source: Annotated[str | None, typer.Argument(metavar="DATA", help="Other data than the run's own.")] = None,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "all",
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Codes of all examples as .npz: posterior mean and std [N, D], rows, y, known factors; for z = 2 a scatter too."""
    from zatlas.cli.console import counting
    from zatlas.figures import View, arrays, scatter

    experiment = opened(run, device, source)
    rows = experiment.rows(split)
    with counting("encoding", len(rows)) as progress:
        codes = experiment.encode(rows, progress)
    figure = None
    if codes.mean.shape[1] == 2:
        figure = scatter(codes.mean, experiment.label_numbers(codes.y), experiment.spec.labels or None)
    factors = experiment.source.factors
    known = None if factors is None else factors[rows]
    found = arrays(mean=codes.mean, std=codes.std, rows=rows, y=codes.y, factors=known)
    show_run(experiment, out, "codes", json, View(found, figure))


def decode(
    run: RunPath,
    codes: Annotated[Path, typer.Argument(metavar="CODES", help=".npy [N, D], or .npz with z or mean (and y).")],
    draws: Annotated[bool, typer.Option(help="Picture draws from p(x|z) instead of its means.")] = False,
    label: Label = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What the model shows at given codes."""
    from zatlas.figures import View, arrays, grid

    experiment = opened(run, device)
    z, y = read_codes(codes, experiment.latent_dim)
    wanted = experiment.spec.label_dim if experiment.kind.conditional else 0
    if y is None or label is not None or not wanted:
        y = experiment.labels_for(len(z), label)
    elif y.shape != (len(z), wanted):
        raise ZatlasError(f"{codes} holds labels of shape {list(y.shape)}, and these codes want [{len(z)}, {wanted}].")
    pictures = experiment.decode(z, y)
    shown = pictures.draw if draws else pictures.mean
    figure = grid(experiment.displayable(shown[:400])) if experiment.spec.is_image else None
    show_run(experiment, out, "decode", json, View(arrays(**pictures._asdict(), y=y), figure))
