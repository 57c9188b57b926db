"""A plane through the latent space, decoded on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures import View, arrays
from zatlas.latent import Address, Plane, planes, ticks
from zatlas.latent import manifold as decode_plane
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.shared import (
    busiest,
    check_units,
    displayed,
    means,
    need_axes,
    numbers_of,
    rates,
    training_codes,
)

MOST_CLASSES = 20


class _Spanned(NamedTuple):
    """A plane, the names of its axes, what says which it is, and the same in words."""

    plane: Plane
    names: tuple[str, str]
    found: dict[str, Any]
    words: str


@walk("manifold", when="images at a grid of codes over two units")
def manifold(
    run: Run,
    *,
    n: int | None = None,
    span: float | None = None,
    spacing: Literal["even", "quantile"] = "even",
    units: tuple[Address, Address] | None = None,
    through: tuple[int, int, int] | None = None,
    principal: bool = False,
    label: str | None = None,
    scale: int | None = None,
) -> View:
    """The plane of two units, of the two widest directions of the codes, or through three images.

    Args:
        run: an opened run.
        n: points a side; None: 20, and fewer where planes or images stand side by side.
        span: the grid covers [-span, span], of ``principal`` in standard deviations; None: 2.
        spacing: ``"even"``, or at the standard normal's ``"quantile"``s.
        units: two, from 0; None: the two of highest rate. Of a spatial code a number is a channel, with the same value
            everywhere, and (channel, row, column) is one at a place.
        through: three rows of the data: the plane that has their codes in three of its corners.
        principal: the plane of the two principal directions of the codes of training rows, about their mean.
        label: class of a conditional model; None: a plane for each class, and through images the first one's label.
        scale: figure pixels per image pixel.

    Returns:
        mean ``[n, n, *data]`` (row 0 has the largest second coordinate; ``[classes, n, n, *data]`` where there is one
        for each), ticks ``[n]``, and units (from 0) or the plane's origin, across and up ``[D]``.

    Raises:
        UsageError: a unit, a row or a class that is not there, words that contradict one another, a code of one unit,
            or codes without axes.
    """
    need_axes(run, "plane")
    if run.latent_dim < 2:
        raise UsageError("a manifold wants two latent units and this model has one: zatlas traverse walks along it.")
    if sum((units is not None, through is not None, principal)) > 1:
        raise UsageError("a plane is that of two units, of three images or of the principal directions: choose one.")
    if through is not None:
        if span is not None or spacing != "even":
            raise UsageError("a plane through three images reaches from one to the next: leave span and spacing out.")
        return _through(run, through, 9 if n is None else n, label, scale)
    spanned = _principal(run) if principal else _of_units(run, units)
    classes = _classes(run, label)
    values = ticks((10 if classes else 20) if n is None else n, 2.0 if span is None else span, spacing)
    shown = [decode_plane(means(run, name), spanned.plane, values).images for name in classes or (label,)]
    figure = None
    if run.spec.is_image:
        pictures = displayed(run, np.stack(shown))
        if classes:
            panels = list(zip(classes, pictures, strict=True))
            figure = figures.manifolds(panels, values, labels=spanned.names, scale=scale)
        else:
            figure = figures.manifold(pictures[0], values, labels=spanned.names, scale=scale)
    of = f" with label {label}" if label is not None else ", once for each class" if classes else ""
    left_out = len(run.spec.labels) - len(classes) if classes else 0
    return View(
        arrays(mean=np.stack(shown) if classes else shown[0], ticks=values, **spanned.found),
        figure,
        f"A grid of decoded images from {values[0]:.3g} to {values[-1]:.3g} over the plane of {spanned.words}{of}.",
        (f"{left_out} classes are left out: --label names one.",) if left_out else (),
        {"plane": spanned.words},
    )


def _classes(run: Run, label: str | None) -> tuple[str, ...]:
    """Those that get a plane each: of a conditional model, where none is named."""
    if not run.kind.conditional or label is not None or run.spec.label_kind != "class":
        return ()
    return run.spec.labels[:MOST_CLASSES]


def _of_units(run: Run, units: tuple[Address, Address] | None) -> _Spanned:
    chosen: Sequence[Address] | None = units
    if chosen is None:  # of two units the rates need not be known
        nats = rates(run) if run.latent_dim > 2 else None
        # a spatial code of one channel has nothing but places to choose from: its first two
        found = busiest(run, nats, 2) if run.code_shape[0] > 1 else [*np.ndindex(*run.code_shape)][:2]
        chosen = sorted(found, key=lambda unit: tuple(np.atleast_1d(unit)))
    first, second = check_units(run, chosen)
    if first == second:
        raise UsageError(f"unit {first.name.removeprefix('z')} alone spans no plane: name two.")
    names = first.name, second.name
    plane = planes.plane_of_units(run.latent_dim, (first.at, second.at))
    return _Spanned(plane, names, {"units": numbers_of(chosen)}, " and ".join(names))


def _principal(run: Run) -> _Spanned:
    found = planes.principal(training_codes(run))
    across, up = (f"component {i} ({share:.0%} of the variance), in σ" for i, share in enumerate(found.shares, 1))
    words = "the two principal directions of the codes, in standard deviations"
    return _Spanned(found.plane, (across, up), {**found.plane._asdict(), "shares": found.shares}, words)


def _through(run: Run, rows: tuple[int, int, int], n: int, label: str | None, scale: int | None) -> View:
    originals, codes, _ = run.reconstruct(run.numbered(rows))
    plane = planes.plane_through(codes.mean)
    values = np.linspace(0, 1, n)
    shown = decode_plane(means(run, label, None if codes.y is None else codes.y[:1]), plane, values).images
    figure = None
    if run.spec.is_image:
        both = displayed(run, np.concatenate([shown.reshape(-1, *run.spec.shape), originals]))
        first, second, third = (f"row {row}" for row in rows)
        square = both[:-3].reshape(shown.shape)
        figure = figures.plane_through(square, both[-3:], (first, second, third), scale=scale)
    return View(
        arrays(mean=shown, ticks=values, rows=rows, **plane._asdict()),
        figure,
        f"A grid of decoded images over the plane through the codes of rows {rows[0]} (bottom left), {rows[1]} (bottom "
        f"right) and {rows[2]} (top left), each beside the image itself.",
        facts={"plane": f"through rows {rows[0]}, {rows[1]} and {rows[2]}"},
    )
