"""What the commands that show something share: opening a run, reading lists of numbers, writing what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.errors import UsageError, ZatlasError, listed

if TYPE_CHECKING:
    from zatlas.figures import View
    from zatlas.runs.opened import Run

STILL, MOVING = (".png", ".svg", ".pdf"), (".gif", ".webp")
NEITHER = (".jpg", ".jpeg", ".eps", ".tif", ".tiff", ".bmp", ".mp4", ".mov", ".webm", ".avi")


def _writable(out: Path | None) -> Path | None:
    """Refuses a kind of file that nothing here writes before anything is computed; other dots are part of a name."""
    if out is not None and out.suffix.lower() in NEITHER:
        raise UsageError(
            f"{out} cannot be written: give a name in .png, .svg or .pdf, or .gif or .webp where it moves."
        )
    return out


DRAWN = (
    "Where to: NAME.png, .svg or .pdf for the figure, .gif or .webp where it moves; NAME.npz is written "
    "beside it. (default: in RUN/pictures; of a lesson, here)"
)
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        callback=_writable,
        help=DRAWN,
    ),
]
UnitAt = Annotated[
    list[str] | None,
    typer.Option(
        "--unit",
        help="Of a spatial code a channel everywhere, as 3, or at a place, as 3,2,5 (channel, row, column); repeat it.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the draws.")]
Label = Annotated[
    str | None,
    typer.Option(help="Class, of a conditional model or prior. (default: every class in turn)"),
]
ExPost = Annotated[
    str | None,
    typer.Option(
        "--prior",
        help="mixture, flow or flow-matching: an ex-post prior, fitted first if need be. (default: the model's own)",
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        help="Towards the class, for flow-matching: 0 is whatever it is, 1 given it, 2 more typical. (default: 1)"
    ),
]
SolverSteps = Annotated[
    int | None, typer.Option("--steps", min=1, help="Of the solver, for flow-matching. (default: 10)")
]


_LOOKS = "Looks"
LOOK: dict[str, Any] = {
    "theme": Annotated[
        str | None,
        typer.Option(
            "--theme",
            help="light, dark, print, rc (matplotlib's rcParams) or a style sheet of matplotlib's, by name or path.",
            rich_help_panel=_LOOKS,
        ),
    ],
    "font_size": Annotated[
        float | None,
        typer.Option("--font-size", help="Points of ordinary text; 14 for slides.", rich_help_panel=_LOOKS),
    ],
    "colour_map": Annotated[
        str | None,
        typer.Option("--colour-map", help="A name that matplotlib knows: viridis, magma, …", rich_help_panel=_LOOKS),
    ],
    "figure_size": Annotated[
        str | None,
        typer.Option("--size", "--figure-size", help="Inches, width x height: 8x5.", rich_help_panel=_LOOKS),
    ],
}
PAGE_LOOK: dict[str, Any] = {
    **LOOK,
    "figure_size": Annotated[
        str | None,
        typer.Option(
            "--figure-size",
            help="Of every figure, inches, width x height: 8x5.",
            rich_help_panel=_LOOKS,
        ),
    ],
}


@contextmanager
def looking(
    theme: str | None, font_size: float | None, colour_map: str | None, figure_size: str | None
) -> Iterator[None]:
    """Figures drawn inside look as the options say."""
    if not (theme or font_size is not None or colour_map or figure_size):
        yield
        return
    size = None
    if figure_size is not None:
        match = re.fullmatch(r"\s*(\d{1,4}(?:\.\d{1,6})?)\s*x\s*(\d{1,4}(?:\.\d{1,6})?)\s*", figure_size, re.ASCII)
        if match is None:
            raise UsageError(f"--figure-size wants inches, width x height, as 8x5, and {figure_size!r} is not that.")
        size = (float(match[1]), float(match[2]))
    from zatlas.figures import look

    with look(theme, font_size=font_size, colour_map=colour_map, size=size):
        yield


def opened(folder: Path, device: str | None, data: str | None = None) -> Run:
    """The run, with its model."""
    from zatlas.console import say
    from zatlas.runs.opened import Run

    return Run(folder, device=device or "auto", data=data, say=say)


def show(folder: Path, out: Path | None, name: str, json: bool, view: View) -> None:
    """Writes a view's figure (or its animation) and its arrays, and says what it says and where it lies.

    Args:
        folder: where NAME goes when nothing else is said.
        out: the file that was asked for; its suffix chooses picture or animation.
        name: of the file otherwise.
        json: one JSON object instead of sentences.
        view: what is shown.

    Raises:
        UsageError: an animation of what does not move.
        ZatlasError: a file that cannot be written, after all has been said.
    """
    import io

    import numpy as np

    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.figures import save, save_animation
    from zatlas.files import replacing, write_bytes

    stem = out if out is not None else folder / name
    suffix = stem.suffix.lower()
    if suffix in (*STILL, *MOVING, ".npz"):
        stem = stem.with_suffix("")
    beside = lambda ending: stem.with_name(stem.name + ending)
    if suffix in MOVING and view.frames is None:
        raise UsageError(f"{name} does not move: give --out a name that ends in .png, .svg or .pdf.")

    def picture(path: Path) -> None:
        with replacing(path) as part:
            if suffix in MOVING:
                save_animation(view.frames, part)  # type: ignore[arg-type]
            else:
                save(view.figure, part, background="white")  # type: ignore[arg-type]

    def arrays(path: Path) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **view.arrays)  # type: ignore[arg-type]
        write_bytes(path, buffer.getvalue())

    wanted: list[tuple[Path, Callable[[Path], None]]] = []
    if suffix in MOVING or view.figure is not None:
        wanted.append((beside(suffix if suffix in (*STILL, *MOVING) else ".png"), picture))
    if view.arrays:
        wanted.append((beside(".npz"), arrays))
    written = []
    refused = ZatlasError(view.facts["not_kept"]) if "not_kept" in view.facts else None
    for path, write in wanted:
        try:
            write(path)
            written.append(path)
        except ZatlasError as error:  # raised when what was found has been said
            refused = refused or error
    if json:
        print_json({**view.facts, "files": [str(path) for path in written]})
    else:
        for sentence in (*view.sentences, *map(str, written)):
            say(sentence)
    if refused is not None:
        raise refused


def show_run(run: Run, out: Path | None, name: str, json: bool, view: View) -> None:
    """:func:`show` in the run's own folder of pictures."""
    from dataclasses import replace

    view = replace(view, facts={"run": str(run.folder.path), **view.facts})
    show(run.folder.path / "pictures", out, name, json, view)


def moves(out: Path | None) -> bool:
    """Whether an animation is asked for, which wants more steps than a page has room for."""
    return out is not None and out.suffix.lower() in MOVING


def whole_numbers(text: str | None, option: str, count: int | None = None) -> tuple[int, ...] | None:
    """``1,4,7`` as numbers; None where nothing is given.

    Raises:
        UsageError: no numbers, or not so many.
    """
    if text is None:
        return None
    parts = text.split(",")
    if not all(re.fullmatch(r"\s*\d{1,18}\s*", part, re.ASCII) for part in parts) or (count and len(parts) != count):
        raise UsageError(f"{option} wants {count or 'some'} numbers such as 1,2, and {text!r} is not that.")
    return tuple(int(part) for part in parts)


def from_one(run: Run, text: str | None, one: list[str] | None = None, count: int | None = None) -> Any:
    """Units as people count them, from 1, as addresses from 0; None where none are given.

    Args:
        run: whose they are.
        text: ``1,4,7``: units, or channels of a spatial code.
        one: each ``4``, or ``3,2,5``: channel, row and column of a spatial code.
        count: how many it must be.

    Raises:
        UsageError: no numbers, not so many, or out of range.
    """
    from zatlas.walks.shared import check_units

    asked: list[Any] = [number - 1 for number in whole_numbers(text, "--units") or ()]
    for address in one or ():
        numbers = [number - 1 for number in whole_numbers(address, "--unit") or ()]
        asked.append(numbers[0] if len(numbers) == 1 else tuple(numbers))
    if not asked:
        return None
    if count and len(asked) != count:
        raise UsageError(f"--units wants {count} numbers such as 1,2, and {text or ' '.join(one or ())!r} is not that.")
    check_units(run, asked)
    return tuple(asked)


def read_codes(path: Path, run: Run) -> tuple[Any, Any]:
    """z ``[N, D]`` and y or None from a file; a spatial code may also lie there as ``[N, C, h, w]``.

    Raises:
        UsageError, ZatlasError: no such file, damage, no codes in it, or codes of another size.
    """
    import numpy as np

    from zatlas.data.npy import read_npy
    from zatlas.data.npz import Npz
    from zatlas.files import regular

    path, y = regular(path), None
    with path.open("rb") as file:
        packed = file.read(2) == b"PK"
    if packed:
        with Npz(path) as archive:
            key = next((k for k in ("z", "mean", "codes") if k in archive.keys), None)
            if key is None:
                raise ZatlasError(
                    f"{path} holds {listed(archive.keys)}, and codes are looked for under z, mean or codes."
                )
            z, y = archive.read(key), archive.read("y") if "y" in archive.keys else None
    else:
        z = read_npy(path, str(path))
    for array in (z, *([] if y is None else [y])):
        if array.dtype.kind not in "fiub":
            raise ZatlasError(f"{path} holds {array.dtype} where numbers are wanted.")
    found, z = list(z.shape), run.in_rows(z) if z.ndim else z
    if z.ndim != 2 or z.shape[1] != run.latent_dim or not len(z):
        wanted = f"[N, {', '.join(map(str, run.code_shape))}]"
        raise ZatlasError(f"{path} holds codes of shape {found}, and this model wants {wanted}.")
    if not (np.isfinite(z).all() and (y is None or np.isfinite(y).all())):
        raise ZatlasError(f"{path} holds NaN or infinity.")
    return z, y
