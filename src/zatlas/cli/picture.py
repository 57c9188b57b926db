"""Commands from a run to pictures and arrays, example by example: sample, prior, reconstruct, encode, decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zatlas.cli.commands import EXAMPLES, MAKE, command
from zatlas.cli.showing import (
    ExPost,
    Guidance,
    Label,
    Out,
    Seed,
    SolverSteps,
    opened,
    read_codes,
    show_run,
)
from zatlas.cli.train import DataPath, Device, Json, RunPath, Split

if TYPE_CHECKING:
    from zatlas.runs.opened import Run


@command("sample", panel=EXAMPLES, order=1)
def sample(
    folder: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many.")] = 64,
    draws: Annotated[bool, typer.Option(help="Picture draws from p(x|z) instead of its means.")] = False,
    label: Label = None,
    prior: ExPost = None,
    guidance: Guidance = None,
    solver_steps: SolverSteps = None,
    seed: Seed = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """New examples: z from the prior, then p(x|z); a picture, and an .npz with z, means and draws.

    An autoencoder has no prior of its own: a mixture of Gaussians fitted to its codes stands in.
    """
    from zatlas import walks

    run = opened(folder, device, data)
    view = walks.sample(
        run, n=n, draws=draws, label=label, prior=prior, guidance=guidance, steps=solver_steps, seed=seed
    )
    show_run(run, out, "sample", json, view)


@command("prior", panel=MAKE, order=5)
def prior(
    folder: RunPath,
    kind: Annotated[
        str, typer.Option(help="mixture (of Gaussians), flow (of couplings), or flow-matching, for maps of codes.")
    ] = "mixture",
    components: Annotated[
        int | None, typer.Option(min=1, help="Of the mixture. (default: as many as held-out codes want)")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of training, for flow-matching. (default: 4000, without --seconds)")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Of training, at most, for flow-matching.")] = None,
    seed: Seed = 0,
    data: DataPath = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Fit a density to a trained model's codes, so that an autoencoder samples, and a VAE samples better.

    flow-matching is trained step by step, and given the labels of the data; stopped, the same command goes on with it.
    """
    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.training.progress import TrainingProgress

    run = opened(folder, device, data)
    fitted = run.fit_prior(
        kind, components=components, steps=steps, seconds=seconds, seed=seed, watchers=[TrainingProgress()]
    )
    if json:
        print_json({"run": str(folder), "kind": kind, **fitted.facts})
    else:
        say(fitted.describe().capitalize() + f". Draw from it: zatlas sample {folder} --prior {kind}")


@command("reconstruct", panel=EXAMPLES, order=2)
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
    from zatlas import walks

    run = opened(folder, device, source)
    show_run(run, out, "reconstruct", json, walks.reconstruct(run, n=n, split=split))


@command("encode", panel=EXAMPLES, order=3)
def encode(
    folder: RunPath,
    source: Annotated[str | None, typer.Argument(metavar="DATA", help="Other data than the run's own.")] = None,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "all",
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Codes of all examples as .npz: posterior mean and std [N, D] (of a spatial code [N, C, h, w]), rows, y, names,
    factors; for z = 2 a scatter too.

    --out codes.csv or codes.parquet: a table instead, a row an example, with its file, class, code, and the bound,
    distortion and rate in nats.
    """
    from zatlas import walks
    from zatlas.cli.tables import SUFFIXES, check_table
    from zatlas.console import counting

    table = out if out is not None and out.suffix.lower() in SUFFIXES else None
    if table is not None:
        check_table(table)
    run = opened(folder, device, source)
    if table is not None:
        _write_codes(run, split, table, json)
        return
    with counting("encoding", len(run.rows(split))) as progress:
        view = walks.encode(run, split=split, progress=progress)
    show_run(run, out, "codes", json, view)


def _write_codes(run: Run, split: str, out: Path, json: bool) -> None:
    """The table of codes, as a file."""
    from zatlas import walks
    from zatlas.cli.console import print_json
    from zatlas.cli.tables import write_table
    from zatlas.console import counting, say

    view = walks.codes(run, split=split, counting=counting)
    write_table(out, view.arrays)
    if json:
        print_json({"run": str(run.folder.path), "rows": len(view["row"]), "files": [str(out)]})
    else:
        say(str(out))


@command("decode", panel=EXAMPLES, order=4)
def decode(
    folder: RunPath,
    codes: Annotated[
        Path, typer.Argument(metavar="CODES", help=".npy [N, D] or [N, C, h, w], or .npz with z or mean (and y).")
    ],
    draws: Annotated[bool, typer.Option(help="Picture draws from p(x|z) instead of its means.")] = False,
    label: Label = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """What the model shows at given codes."""
    from zatlas import walks
    from zatlas.walks.examples import check_labels

    run = opened(folder, device)
    z, y = read_codes(codes, run)
    if y is not None and label is None and run.kind.conditional:
        check_labels(run, y, len(z), str(codes))
    show_run(run, out, "decode", json, walks.decode(run, z, y, draws=draws, label=label))
