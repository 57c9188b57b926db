"""Directions of attributes, saved with a run, and images moved along them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.data import Rows, evenly_spaced
from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.figures import View, arrays, tile
from zatlas.figures.directions import moved
from zatlas.latent.directions import Direction, check_name, with_error
from zatlas.latent.separating import fit_direction
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.training.checkpoint import name_of as checkpoint_name
from zatlas.walks.attributes import Attribute
from zatlas.walks.attributes import attribute as named
from zatlas.walks.centroids import need_codes
from zatlas.walks.images import alike, decoded

ROWS = 20_000  # examples a direction is fitted to at most
STRENGTHS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
SHOWN = 8
FRAMES = 25
_SIGNS = {">=": "-ge-", "<=": "-le-", "!=": "-ne-", ">": "-gt-", "<": "-lt-", "=": "-", ",": "+"}


@walk("attribute", when="the direction from one group of examples to another")
def attribute(
    run: Run,
    with_: str,
    without: str | None = None,
    *,
    method: str | None = None,
    orthogonal_to: Sequence[str] = (),
    name: str | None = None,
    strengths: Sequence[float] = STRENGTHS,
    n: int = SHOWN,
    seed: int = 0,
) -> View:
    """Fits the direction of an attribute to training rows, saves it with the run, and moves held-out images along it.

    Args:
        run: an opened run.
        with_: the examples that have it, in the words of `zatlas.walks.attributes`; or the bare name of a known
            factor or a real label column, a real attribute.
        without: those that do not; None: all others.
        method: ``"centroid"``, ``"logistic"`` or ``"cca"``; None: logistic for groups, cca for a real attribute.
        orthogonal_to: names of saved directions that it is made orthogonal to.
        name: that it is saved under; None: made from the words.
        strengths: that the images are moved by; 1 is from the one group's mean projection to the other's, or one
            standard deviation of a real attribute.
        n: images shown, half of each group.
        seed: of folds and of resampling.

    Returns:
        vector ``[D]``, scale, threshold, rows ``[n]``, z ``[n, D]``, strengths ``[S]``, mean ``[n, S, *data]``; and
        ``without`` and ``with``, projections of held-out rows (of chosen rows where they were chosen by hand), in
        strengths.

    Raises:
        UsageError: a group that is not there, empty or of one example, groups that overlap, a method or a direction
            that is not there, or a model without codes.
    """
    need_codes(run, "directions")
    chosen = check_name(name or _name_of(with_, without))
    others = [load(run, other).vector for other in orthogonal_to]
    what = named(run, with_, without)
    method = method or ("logistic" if what.values is None else "cca")
    rows = what.rows(run, "train", ROWS)
    z, std, _ = run.encode(np.concatenate(rows))
    direction = fit_direction(z, what.y(rows), std=std, method=method, others=others, name=chosen, seed=seed)
    about: dict[str, Any] = {
        "with": what.with_.words if what.values is None else with_,
        "without": what.without.words if what.values is None else None,
        "orthogonal_to": list(orthogonal_to),
        "data": run.source.name,
        "checkpoint": checkpoint_name(run.step),
    }
    told = []
    if held := _held_out(run, what):
        rows, split = held, run.held_out()
        z = run.encode(np.concatenate(rows)).mean
        if what.values is None:
            figure = direction.accuracy(z, what.y(rows), f"{split} rows").to_json()
            about["held_out_accuracy"] = figure
            told.append(f"On {figure['count']:,} {split} rows its accuracy is {with_error(figure)}.")
    direction = replace(direction, facts={**direction.facts, **about})
    path = _path(run, chosen)
    kept = f"saved {'in place of another ' if path.is_file() else ''}as {path}."
    try:
        direction.save(path.parent)
        facts: dict[str, Any] = {}
    except ZatlasError as error:
        kept, facts = f"it is used here and not saved: {error}", {"not_kept": str(error)}
    counts = " and ".join(f"{count:,}" for count in direction.facts["counts"][::-1])
    told.append(
        f"Fitted by {method} to {counts} training examples; strength 1 is {direction.scale:.2g} in the code; {kept}"
    )
    few = tuple(evenly_spaced(side, k) for side, k in zip(rows, (n - n // 2, n // 2), strict=True))
    labels = [name for name, side in zip(what.names, few, strict=True) for _ in side]
    spots = (direction.project(z) - direction.threshold) / direction.scale + _middle(what)
    cut = len(rows[0])
    groups = _Groups((spots[:cut], spots[cut:]), what.names, None if what.values else 0.5)
    view = _moved(run, direction, np.concatenate(few), strengths, labels, groups)
    return replace(view, sentences=(direction.describe(), *told), facts={**view.facts, **facts})


@walk("apply", when="a saved direction applied to images")
def apply(
    run: Run,
    name: str,
    *,
    rows: Sequence[int] | Rows | None = None,
    n: int = SHOWN,
    strengths: Sequence[float] = STRENGTHS,
) -> View:
    """Moves images along a saved direction.

    Args:
        run: an opened run.
        name: of the direction.
        rows: of the images; None: ``n`` spread over the held-out rows.
        n: how many then.
        strengths: that they are moved by.

    Returns:
        vector ``[D]``, scale, threshold, rows ``[n]``, z ``[n, D]``, strengths ``[S]``, mean ``[n, S, *data]``.

    Raises:
        UsageError: a direction or a row that is not there, or one that was fitted to other weights.
    """
    need_codes(run, "directions")
    direction = load(run, name)
    numbers = run.spread(run.held_out(), n) if rows is None else run.numbered(rows)
    return _moved(run, direction, numbers, strengths)


def load(run: Run, name: str) -> Direction:
    """A direction that was saved with a run.

    Raises:
        UsageError: there is none of that name, or it was fitted to other weights.
        ZatlasError: its file is damaged.
    """
    path = _path(run, name)
    if not path.is_file():
        known = _names(run.folder.path)
        mend = nearest(name, known) if known else "`zatlas direction attribute` makes one."
        raise UsageError(f"{run.folder.path} has no direction {name!r}; {mend}")
    direction = Direction.load(path)
    fitted, opened = direction.facts.get("checkpoint"), checkpoint_name(run.step)
    if fitted != opened or len(direction.vector) != run.latent_dim:
        raise UsageError(f"the direction {name} was fitted to the weights of {fitted}, not of {opened}: fit it anew.")
    return direction


def saved(folder: Path) -> list[Direction]:
    """The directions saved in a run's folder, by name.

    Raises:
        ZatlasError: a damaged one.
    """
    return [Direction.load(folder / "directions" / f"{name}.json") for name in _names(folder)]


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "directions").glob("[!.]*.json"))


def _path(run: Run, name: str) -> Path:
    return run.folder.path / "directions" / f"{check_name(name)}.json"


def _name_of(with_: str, without: str | None) -> str:
    """A file's name from the words for the groups."""
    words = with_ if without is None else f"{with_}-not-{without}"
    for sign, text in _SIGNS.items():
        words = words.replace(sign, text)
    return re.sub(r"[^\w.+=-]+", "-", words).strip("-.+=")[:100] or "direction"


def _held_out(run: Run, what: Attribute) -> tuple[Rows, Rows] | None:
    """Rows of both groups that training did not see; None where there are none of one, or they were chosen by hand."""
    split = run.held_out()
    rows = run.rows(split)
    if what.by_hand or split == "train" or not (len(what.without.among(rows)) and len(what.with_.among(rows))):
        return None
    return what.rows(run, split, ROWS)


def _middle(what: Attribute) -> float:
    """The strength at which the threshold lies: between groups whose means are at 0 and 1, or the mean itself."""
    return 0.5 if what.values is None else 0.0


class _Groups(NamedTuple):
    """Projections of two groups in strengths, their names, and the boundary between them where there is one."""

    spots: tuple[Array, Array]
    names: tuple[str, str]
    boundary: float | None


def _moved(
    run: Run,
    direction: Direction,
    rows: Rows,
    strengths: Sequence[float],
    labels: Sequence[str] | None = None,
    groups: _Groups | None = None,
) -> View:
    """Some rows moved along a direction: arrays, figure, animation."""
    steps = np.asarray(strengths, np.float64)
    if not len(steps) or not np.isfinite(steps).all():
        raise UsageError("strengths want at least one finite number, as -2,-1,0,1,2.")
    codes = run.encode(rows)
    at = lambda values: decoded(run, direction.move(codes.mean, values), codes.y)
    images = at(steps)
    figure = frames = None
    if run.spec.is_image:
        smooth = at(np.linspace(steps.min(), steps.max(), FRAMES))
        originals, shown, between = alike(run, run.examples(rows), images, smooth)
        below: dict[str, Any] = {} if groups is None else groups._asdict()
        figure = moved(originals, shown, steps, row_labels=labels, along=direction.name, **below)
        frames = np.stack([tile(between[:, t]) for t in range(FRAMES)]) if np.ptp(steps) > 0 else None
    spots = (None, None) if groups is None else groups.spots
    found = {
        "vector": direction.vector,
        "scale": direction.scale,
        "threshold": direction.threshold,
        "rows": rows,
        "z": codes.mean,
        "strengths": steps,
        "mean": images,
        "without": spots[0],
        "with": spots[1],
    }
    return View(
        arrays(**found),
        figure,
        f"Images moved along the direction {direction.name}: a row an image, a column a strength.",
        (direction.describe(),),
        direction.to_json(),
        frames,
    )
