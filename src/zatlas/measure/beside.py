"""The table that stands for a group of runs: short names, what differs in how they were made, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from zatlas.measure.comparing import Group
from zatlas.measure.numbers import plain, with_error
from zatlas.measure.words import Record, about

ABSENT = "–"
SHOWN = ("elbo", "bits_per_dimension", "distortion", "rate", "active_units", "reconstruction.psnr")
SETTINGS: dict[str, Callable[[Record], str]] = {
    "model": lambda row: str(row["model"]),
    "objective": lambda row: str(row["objective"]),
    "z": lambda row: f"z {row['latent_dim']}",
    "beta": lambda row: f"β {row['beta']:g}" if row["objective"] == "elbo" and "elbo" in row["figures"] else "",
}


class Beside(NamedTuple):
    """A group as a table: a title of all that its runs share, the columns, and a row of cells for each run."""

    title: str
    columns: list[str]
    cells: list[list[str]]
    cautions: list[str]


def beside(group: Group, names: Mapping[str, str]) -> Beside:
    """The table of a group of runs, each under its folder's name; a column without anything in it is left out."""
    rows, first = group.rows, group.rows[0]
    made = [{name: of(row) for name, of in SETTINGS.items()} for row in rows]
    alike = [one for name, one in made[0].items() if one and all(each[name] == one for each in made)]
    unlike = [" ".join(filter(None, (one for one in each.values() if one not in alike))) for each in made]
    columns: dict[str, list[str]] = {"run": [names[row["run"]] for row in rows], "model": unlike}
    columns["−ELBO nats"] = [_value(row, "elbo", sign=-1, error=True) if not row["point"] else ABSENT for row in rows]
    columns["bits /dim"] = [_value(row, "bits_per_dimension") for row in rows]
    columns["distortion"] = [_value(row, "distortion") for row in rows]
    columns["rate"] = [_value(row, "rate") for row in rows]
    columns["active units"] = [_value(row, "active_units") for row in rows]
    columns["PSNR dB"] = [_value(row, "reconstruction.psnr") for row in rows]
    columns["n"] = [f"{row['n']:,}" if row["n"] else ABSENT for row in rows]
    columns["train s"] = [f"{row['train_seconds']:.0f}" for row in rows]
    columns = {name: cells for name, cells in columns.items() if name == "run" or {*cells} - {ABSENT, ""}}
    title = f"{first['data']}  ·  {first['split']} rows  ·  {', '.join(alike)}\n{about(first)}."
    shown = [row["figures"][name] for row in rows for name in SHOWN if name in row["figures"]]
    cautions = [figure["caution"] for figure in shown if figure.get("caution")]
    told = [f"Caution: {caution.rstrip('.')}." for caution in dict.fromkeys(cautions)]
    return Beside(title, list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)], told)


def _value(row: Record, name: str, *, sign: int = 1, error: bool = False) -> str:
    figure = row["figures"].get(name)
    if figure is None:
        return ABSENT
    if figure["standard_error"] is None:
        return plain(sign * figure["value"])
    value, deviation = with_error(sign * figure["value"], figure["standard_error"])
    return f"{value} ± {deviation}" if error else value


def _alike(sequences: Sequence[Sequence[str]]) -> int:
    """How many elements all begin with."""
    ends = (at for at, each in enumerate(zip(*sequences, strict=False)) if len(set(each)) > 1)
    return next(ends, min(map(len, sequences)))


def short_names(folders: Sequence[str], width: int = 40) -> dict[str, str]:
    """What tells folders apart, by folder, in at most ``width`` characters where that can be.

    Folders that all lie in go first, then what names begin with alike, then the middle of what is still too long.

    >>> short_names(["runs/mnist-vae-z2-001", "runs/mnist-vae-z2-002"])
    {'runs/mnist-vae-z2-001': 'mnist-vae-z2-001', 'runs/mnist-vae-z2-002': 'mnist-vae-z2-002'}
    >>> list(short_names(["runs/mnist-vae-z2-001", "runs/mnist-vae-z2-002"], 10).values())
    ['…z2-001', '…z2-002']
    """
    folders = list(dict.fromkeys(folders))
    return dict(zip(folders, _shortened(folders, width), strict=True))


def _shortened(folders: Sequence[str], width: int) -> list[str]:
    paths = [Path(folder).parts for folder in folders]
    shared = _alike([parts[:-1] for parts in paths])
    names = ["/".join(parts[shared:] if len(paths) > 1 else parts[-1:]) for parts in paths]
    if max(map(len, names)) <= width or len(set(names)) < len(names):
        return names
    begin = _alike(names)
    spare = max(map(len, names)) - width + 1
    cut = next((at for at in range(spare, begin + 1) if not names[0][at - 1].isalnum()), 0)
    if len(names) > 1 and cut:
        return [f"…{name[cut:]}" for name in names]
    kept = (width - 1) // 2
    middle = [n if len(n) <= width else f"{n[: width - 1 - kept]}…{n[len(n) - kept :]}" for n in names]
    return middle if len(set(middle)) == len(middle) else names
