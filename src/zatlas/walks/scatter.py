"""Where the examples lie in the latent space, coloured by what is known of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from zatlas import figures
from zatlas.arrays import Array
from zatlas.errors import UsageError, nearest
from zatlas.figures import View, arrays
from zatlas.latent import Address, Codes, gathered_units, planes
from zatlas.latent.projections import umap
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.shared import check_units, need_axes

Projection = Literal["auto", "pca", "umap"]
MOST = 5000
FEW_VALUES = 10  # a factor of at most so many is coloured as classes are


class _Flat(NamedTuple):
    """Codes in two dimensions ``[N, 2]``, the names of these, how, and their covariances ``[N, 2, 2]`` if linear."""

    points: Array
    axes: tuple[str, str]
    words: str
    covariances: Array | None


class _Colours(NamedTuple):
    """Integers or reals ``[N]`` or None, names of the integers, and what they are."""

    values: Array | None
    names: tuple[str, ...] | None
    what: str | None


@walk("scatter", when="codes of data in a plane, by class or factor")
def scatter(
    run: Run,
    *,
    by: str | None = None,
    projection: Projection = "auto",
    units: tuple[Address, Address] | None = None,
    ellipses: bool = False,
    split: str | None = None,
    n: int = MOST,
    seed: int = 0,
) -> View:
    """Posterior means of examples in two dimensions.

    Args:
        run: an opened run.
        by: what colours them: ``"label"``, the name of a real label or of a known factor, or ``"none"``; None: the
            label where there is one.
        projection: ``"auto"``: two units as they are, more by ``"pca"``; or ``"umap"``.
        units: two, from 0, in place of a projection; a channel of a spatial code is shown by its mean over all places.
        ellipses: posteriors as ellipses of one standard deviation, about at most 400 of the codes; units count as
            independent.
        split: whose rows; None: those held out.
        n: rows at most, spread evenly over the split.
        seed: of UMAP.

    Returns:
        points ``[N, 2]``, mean and std ``[N, D]``, rows ``[N]``, by ``[N]``, covariances ``[N, 2, 2]`` of the ellipses.

    Raises:
        UsageError: no such label, factor, unit or split, words that contradict one another, codes of one unit, or
            ellipses of codes without a spread.
        ZatlasError: umap-learn is not installed.
    """
    run.need_inference("codes of examples to scatter")
    if run.latent_dim < 2:
        raise UsageError("a scatter wants two latent units and this model has one: zatlas encode writes its codes.")
    if projection not in ("auto", "pca", "umap"):
        raise UsageError(f"there is no projection {projection!r}; {nearest(projection, ('auto', 'pca', 'umap'))}")
    if units is not None and projection != "auto":
        raise UsageError("two units are shown as they are: choose units or a projection.")
    if ellipses and (run.kind.point or not run.kind.axes):
        raise UsageError(f"the codes of {run.folder.path} are points without a spread: leave the ellipses out.")
    if ellipses and projection == "umap":
        raise UsageError("UMAP bends the space, so an ellipse does not stay one: choose pca, or leave them out.")
    split = split or run.held_out()
    rows = run.spread(split, n)
    codes = run.encode(rows)
    flat = _flattened(run, codes, projection, units, seed)
    colours = _coloured(run, codes, rows, by)
    direct = projection == "auto" and (units is not None or run.latent_dim == 2)
    figure = figures.scatter(
        flat.points,
        colours.values,
        colours.names,
        axis_labels=flat.axes,
        label_name=colours.what,
        prior=direct and _standard(run),
        covariances=flat.covariances if ellipses else None,
    )
    coloured = f", coloured by {colours.what or 'class'}" if colours.values is not None else ""
    return View(
        arrays(
            points=flat.points,
            mean=codes.mean,
            std=codes.std,
            rows=rows,
            by=colours.values,
            covariances=flat.covariances if ellipses else None,
        ),
        figure,
        f"Codes of {len(rows):,} {split} examples in {flat.words}{coloured}.",
        facts={"split": split, "codes": len(rows), "shown": flat.words, "by": colours.what or by},
    )


def _standard(run: Run) -> bool:
    """Whether each unit's prior is N(0, 1)."""
    one_level = len(run.model.latent_dims) == 1
    return one_level and run.kind.axes and not run.kind.point and run.has_standard_prior


def _flattened(
    run: Run, codes: Codes, projection: Projection, units: tuple[Address, Address] | None, seed: int
) -> _Flat:
    if projection == "umap":
        return _Flat(umap(codes.mean, seed=seed), ("UMAP 1", "UMAP 2"), "two dimensions of UMAP", None)
    if units is not None:
        need_axes(run, "units to show")
    if projection == "auto" and (units is not None or run.latent_dim == 2):
        chosen = units or ((0, 1) if len(run.code_shape) == 1 else tuple(np.ndindex(*run.code_shape)))
        first, second = check_units(run, chosen)
        names = first.name, second.name
        picked = np.zeros((2, run.latent_dim))
        for row, unit in zip(picked, (first, second), strict=True):
            row[list(unit.at)] = 1 / len(unit.at)
        points = gathered_units(codes.mean, (first, second))
        return _Flat(points, names, f"the plane of {' and '.join(names)}", _seen(codes, picked))
    found = planes.principal(codes.mean)
    one, two = (f"component {i} ({share:.0%})" for i, share in enumerate(found.shares, 1))
    words = f"their two principal components, which hold {found.shares.sum():.0%} of the variance"
    return _Flat(found.project(codes.mean), (one, two), words, _seen(codes, found.directions))


def _seen(codes: Codes, directions: Array) -> Array:
    """The posteriors' covariances ``[N, 2, 2]`` along two directions ``[2, D]``: W diag(std^2) W^T."""
    return np.einsum("ad,nd,bd->nab", directions, codes.std.astype(np.float64) ** 2, directions)


def _coloured(run: Run, codes: Codes, rows: Array, by: str | None) -> _Colours:
    spec, source = run.spec, run.source
    if by is None:
        by = "label" if codes.y is not None else "none"
    if by == "none":
        return _Colours(None, None, None)
    if by == "label" and codes.y is not None:
        if spec.label_kind == "class":
            return _Colours(run.label_numbers(codes.y), spec.labels, None)
        by = spec.labels[0]
    if codes.y is not None and spec.label_kind == "real" and by in spec.labels:
        return _Colours(codes.y[:, spec.labels.index(by)], None, by)
    if source.factors is not None and by in source.factor_names:
        every = source.factors[:, source.factor_names.index(by)]
        few = len(np.unique(every)) <= FEW_VALUES
        return _Colours(every[rows] if few else every[rows].astype(np.float64), None, by)
    known: list[str] = ["label"] if codes.y is not None else []
    known += [*(spec.labels if spec.label_kind == "real" else ()), *source.factor_names, "none"]
    raise UsageError(f"there is no label or factor {by!r}; {nearest(by, known)}")
