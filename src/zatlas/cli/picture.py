"""Commands from a run to pictures and arrays: sample, reconstruct, encode, decode, manifold, traverse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.cli.train import DataPath, Device, Json, RunPath, Split
from zatlas.errors import UsageError, ZatlasError

if TYPE_CHECKING:
    from zatlas.opened import Experiment

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Where to; .png and .npz are added. (default: in RUN/pictures)")
]
Seed = Annotated[int, typer.Option(help="Of the draws.")]
Label = Annotated[str | None, typer.Option(help="Class of a conditional model. (default: every class in turn)")]


def _open(run: Path, device: str | None, data: str | None = None) -> Experiment:
    from zatlas.cli.console import say
    from zatlas.opened import Experiment

    return Experiment(run, device=device or "auto", data=data, say=say)


def _finish(
    experiment: Experiment, out: Path | None, name: str, json: bool, figure: Any, arrays: dict[str, Any]
) -> None:
    """Writes NAME.png and NAME.npz and says where."""
    import io

    import numpy as np

    from zatlas.cli.console import print_json, say
    from zatlas.figures import save
    from zatlas.files import replacing, write_bytes

    stem = out if out is not None else experiment.run.folder / "pictures" / name
    if stem.suffix in (".png", ".npz"):
        stem = stem.with_suffix("")
    written = []
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{key: value for key, value in arrays.items() if value is not None})
    write_bytes(stem.with_name(stem.name + ".npz"), buffer.getvalue())
    written.append(stem.with_name(stem.name + ".npz"))
    if figure is not None:
        picture = stem.with_name(stem.name + ".png")
        with replacing(picture) as beside:
            save(figure, beside, background="white")
        written.insert(0, picture)
    if json:
        print_json({"run": str(experiment.run.folder), "files": [str(p) for p in written]})
    else:
        for path in written:
            say(str(path))


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
    from zatlas.figures import grid

    experiment = _open(run, device, data)
    pictures, y = experiment.sample(n, label=label, seed=seed, prior=prior)
    shown = pictures.draw if draws else pictures.mean
    figure = grid(experiment.displayable(shown)) if experiment.spec.is_image else None
    _finish(experiment, out, "sample", json, figure, {**pictures._asdict(), "y": y})


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

    experiment = _open(run, device)
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
    from zatlas.figures import pairs

    experiment = _open(run, device, source)
    rows = experiment.spread(split or experiment.held_out(), n)
    x, codes, pictures = experiment.reconstruct(rows)
    images = experiment.spec.is_image
    figure = pairs(experiment.displayable(x), experiment.displayable(pictures.mean)) if images else None
    arrays = {"x": x, "reconstruction": pictures.mean, "z": codes.mean, "rows": rows, "y": codes.y}
    _finish(experiment, out, "reconstruct", json, figure, arrays)


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
    from zatlas.figures import scatter

    experiment = _open(run, device, source)
    rows = experiment.rows(split)
    with counting("encoding", len(rows)) as progress:
        codes = experiment.encode(rows, progress)
    figure = None
    if codes.mean.shape[1] == 2:
        figure = scatter(codes.mean, experiment.label_numbers(codes.y), experiment.spec.labels or None)
    factors = experiment.source.factors
    arrays = {
        "mean": codes.mean,
        "std": codes.std,
        "rows": rows,
        "y": codes.y,
        "factors": None if factors is None else factors[rows],
    }
    _finish(experiment, out, "codes", json, figure, arrays)


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
    from zatlas.figures import grid

    experiment = _open(run, device)
    z, y = _read_codes(codes, experiment.latent_dim)
    wanted = experiment.spec.label_dim if experiment.kind.conditional else 0
    if y is None or label is not None or not wanted:
        y = experiment.labels_for(len(z), label)
    elif y.shape != (len(z), wanted):
        raise ZatlasError(f"{codes} holds labels of shape {list(y.shape)}, and these codes want [{len(z)}, {wanted}].")
    pictures = experiment.decode(z, y)
    shown = pictures.draw if draws else pictures.mean
    figure = grid(experiment.displayable(shown[:400])) if experiment.spec.is_image else None
    _finish(experiment, out, "decode", json, figure, {**pictures._asdict(), "y": y})


def _read_codes(path: Path, latent_dim: int) -> tuple[Any, Any]:
    """z ``[N, D]`` and y or None from a file.

    Raises:
        UsageError, ZatlasError: no such file, damage, no codes in it, or codes of another size.
    """
    import zlib
    from zipfile import BadZipFile

    import numpy as np

    z: Any = None
    y: Any = None
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                z = loaded
            else:
                names = loaded.files
                key = next((k for k in ("z", "mean", "codes") if k in names), None)
                z = loaded[key] if key else None
                y = loaded["y"] if "y" in names else None
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}.") from None
    except (OSError, ValueError, EOFError, NotImplementedError, BadZipFile, zlib.error):
        raise ZatlasError(f"{path} is no sound .npy or .npz of plain numbers.") from None
    if z is None:
        raise ZatlasError(f"{path} holds {', '.join(names)}, and codes are looked for under z, mean or codes.")
    for array in (z, *([] if y is None else [y])):
        if array.dtype.kind not in "fiub":
            raise ZatlasError(f"{path} holds {array.dtype} where numbers are wanted.")
    if z.ndim != 2 or z.shape[1] != latent_dim or not len(z):
        raise ZatlasError(f"{path} holds codes of shape {list(z.shape)}, and this model wants [N, {latent_dim}].")
    if not (np.isfinite(z).all() and (y is None or np.isfinite(y).all())):
        raise ZatlasError(f"{path} holds NaN or infinity.")
    return z, y


def manifold(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=2, help="Points a side.")] = 20,
    span: Annotated[float, typer.Option(min=0.0, help="The grid covers [-span, span].")] = 2.0,
    spacing: Annotated[str, typer.Option(help="even, or quantile: the standard normal's quantiles.")] = "even",
    units: Annotated[str | None, typer.Option(help="Two units, as 1,2. (default: the two of highest rate)")] = None,
    label: Label = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """The plane of two latent units, decoded on a grid."""
    from zatlas.figures import manifold as draw
    from zatlas.measure import unit_names

    experiment = _open(run, device, data)
    if spacing not in ("even", "quantile"):
        raise UsageError(f"--spacing is even or quantile, not {spacing!r}.")
    pair = _units(units, experiment.latent_dim, 2)
    grid, pair = experiment.manifold(n=n, span=span, spacing=spacing, units=pair, label=label)
    shown = (
        experiment.displayable(grid.images.reshape(n * n, *experiment.spec.shape)) if experiment.spec.is_image else None
    )
    figure = None
    if shown is not None:
        names = unit_names(experiment.model.latent_dims)
        figure = draw(shown.reshape(n, n, *shown.shape[1:]), grid.ticks, labels=(names[pair[0]], names[pair[1]]))
    arrays = {"mean": grid.images, "ticks": grid.ticks, "units": [u + 1 for u in pair]}
    _finish(experiment, out, "manifold", json, figure, arrays)


def traverse(
    run: RunPath,
    steps: Annotated[int, typer.Option(min=2, help="Images a row.")] = 11,
    span: Annotated[float, typer.Option(min=0.0, help="Each unit moves over [-span, span].")] = 2.5,
    units: Annotated[str | None, typer.Option(help="Units, as 1,4,7. (default: the ten of highest rate)")] = None,
    row: Annotated[int | None, typer.Option(help="Around this row of the data instead of the prior's mean.")] = None,
    label: Label = None,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Each latent unit moved by itself, units ordered by their rate."""
    from zatlas.figures import traversals
    from zatlas.measure import unit_names

    experiment = _open(run, device, data)
    chosen = _units(units, experiment.latent_dim, None)
    walk, rates = experiment.traverse(units=chosen, steps=steps, span=span, row=row, label=label)
    figure = None
    if experiment.spec.is_image:
        flat = experiment.displayable(walk.images.reshape(-1, *experiment.spec.shape))
        shown = flat.reshape(*walk.images.shape[:2], *flat.shape[1:])
        names = unit_names(experiment.model.latent_dims)
        figure = traversals(shown, [names[u] for u in walk.units], walk.values, rates)
    arrays = {"mean": walk.images, "units": [u + 1 for u in walk.units], "values": walk.values, "rates": rates}
    _finish(experiment, out, "traverse", json, figure, arrays)


def _units(text: str | None, latent_dim: int, count: int | None) -> tuple[int, ...] | None:
    """Units counted from 1 on the command line, from 0 inside.

    Raises:
        UsageError: no numbers, too many, or out of range.
    """
    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts) or (count and len(parts) != count):
        raise UsageError(f"--units wants {count or 'some'} numbers such as 1,2, and {text!r} is not that.")
    units = tuple(int(part) - 1 for part in parts)
    for unit in units:
        if not 0 <= unit < latent_dim:
            raise UsageError(f"there is no unit {unit + 1}: this model has units 1 to {latent_dim}.")
    return units
