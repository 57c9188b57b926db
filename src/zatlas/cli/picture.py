"""Commands from a run to pictures and arrays, example by example: sample, prior, reconstruct, encode, decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.cli.showing import Label, Out, Seed, opened, read_codes, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath, Split
from zatlas.errors import ZatlasError

if TYPE_CHECKING:
    from zatlas.data import Rows
    from zatlas.latent import Codes
    from zatlas.runs.opened import Run


def sample(
    folder: RunPath,
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

    run = opened(folder, device, data)
    pictures, y = run.sample(n, label=label, seed=seed, prior=prior)
    shown = pictures.draw if draws else pictures.mean
    figure = grid(run.displayable(shown)) if run.spec.is_image else None
    show_run(run, out, "sample", json, View(arrays(**pictures._asdict(), y=y), figure))


def prior(
    folder: RunPath,
    kind: Annotated[str, typer.Option(help="mixture (of Gaussians) or flow.")] = "mixture",
    components: Annotated[
        int | None, typer.Option(min=1, help="Of the mixture. (default: as many as held-out codes want)")
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    json: Json = False,
) -> None:
    """Fit a density to a trained model's codes, so that an autoencoder samples, and a VAE samples better."""
    from zatlas.cli.console import print_json
    from zatlas.console import say

    run = opened(folder, device)
    fitted = run.fit_prior(kind, components=components, seed=seed)
    if json:
        print_json({"run": str(folder), "kind": kind, **fitted.facts})
    else:
        say(fitted.describe().capitalize() + f". Draw from it: zatlas sample {folder} --prior {kind}")


def reconstruct(
    folder: RunPath,
    source: Annotated[str | None, typer.Argument(metavar="DATA", help="Other data than the run's own.")] = None,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 20,
    split: Split = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Examples beside what comes back from the mean of their code; DATA may be a single image file."""
    from zatlas.figures import View, arrays, pairs

    run = opened(folder, device, source)
    rows = run.spread(split or run.held_out(), n)
    x, codes, pictures = run.reconstruct(rows)
    images = run.spec.is_image
    figure = pairs(run.displayable(x), run.displayable(pictures.mean)) if images else None
    found = arrays(x=x, reconstruction=pictures.mean, z=codes.mean, rows=rows, y=codes.y)
    show_run(run, out, "reconstruct", json, View(found, figure))


def encode(
    folder: RunPath,
    source: Annotated[str | None, typer.Argument(metavar="DATA", help="Other data than the run's own.")] = None,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "all",
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Codes of all examples as .npz: posterior mean and std [N, D], rows, y, names, factors; for z = 2 a scatter too.

    --out codes.csv or codes.parquet: a table instead, a row an example, with its file, class, code, and the bound,
    distortion and rate in nats.
    """
    from zatlas.cli.tables import SUFFIXES, check_table
    from zatlas.console import counting
    from zatlas.figures import View, arrays, scatter

    as_table = out if out is not None and out.suffix.lower() in SUFFIXES else None
    if as_table is not None:
        check_table(as_table)
    run = opened(folder, device, source)
    rows = run.rows(split)
    with counting("encoding", len(rows)) as progress:
        codes = run.encode(rows, progress)
    if as_table is not None:
        _write_codes(run, rows, codes, as_table, json)
        return
    figure = None
    if codes.mean.shape[1] == 2:
        figure = scatter(codes.mean, run.label_numbers(codes.y), run.spec.labels or None)
    factors = run.source.factors
    known = None if factors is None else factors[rows]
    names = None if run.source.names is None else [run.source.names[row] for row in rows]
    found = arrays(mean=codes.mean, std=codes.std, rows=rows, y=codes.y, factors=known, names=names)
    show_run(run, out, "codes", json, View(found, figure))


def _write_codes(run: Run, rows: Rows, codes: Codes, out: Path, json: bool) -> None:
    """The table of codes: row, name, class, z1 .. zD, and what the model makes of each example in nats."""
    from zatlas.cli.console import print_json
    from zatlas.cli.tables import write_table
    from zatlas.console import counting, say
    from zatlas.walks.rows import classes_of, names_of

    with counting("judging", len(rows)) as progress:
        found = run.elbo(rows, progress)
    distortion, rate = found.distortion.numpy(), found.rate.numpy()
    columns: dict[str, Any] = {"row": rows, "name": names_of(run, rows), "class": classes_of(run, rows)}
    if columns["class"] is None and codes.y is not None:
        columns |= {name: codes.y[:, i] for i, name in enumerate(run.source.spec.labels)}
    z = codes.mean.reshape(len(rows), -1)
    columns |= {f"z{unit + 1}": z[:, unit] for unit in range(z.shape[1])}
    if not run.kind.point:  # an autoencoder's rate is none, and so its distortion no bound
        columns["bound"] = -(distortion + rate)
    columns |= {"distortion": distortion} | ({} if run.kind.point else {"rate": rate})
    write_table(out, {name: values for name, values in columns.items() if values is not None})
    if json:
        print_json({"run": str(run.folder.path), "rows": len(rows), "files": [str(out)]})
    else:
        say(str(out))


def decode(
    folder: RunPath,
    codes: Annotated[Path, typer.Argument(metavar="CODES", help=".npy [N, D], or .npz with z or mean (and y).")],
    draws: Annotated[bool, typer.Option(help="Picture draws from p(x|z) instead of its means.")] = False,
    label: Label = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What the model shows at given codes."""
    from zatlas.figures import View, arrays, grid

    run = opened(folder, device)
    z, y = read_codes(codes, run.latent_dim)
    wanted = run.spec.label_dim if run.kind.conditional else 0
    if y is None or label is not None or not wanted:
        y = run.labels_for(len(z), label)
    elif y.shape != (len(z), wanted):
        raise ZatlasError(f"{codes} holds labels of shape {list(y.shape)}, and these codes want [{len(z)}, {wanted}].")
    pictures = run.decode(z, y)
    shown = pictures.draw if draws else pictures.mean
    figure = grid(run.displayable(shown[:400])) if run.spec.is_image else None
    show_run(run, out, "decode", json, View(arrays(**pictures._asdict(), y=y), figure))
