"""A plane through the latent space, decoded on a grid."""

from __future__ import annotations

from typing import Literal

import numpy as np

from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures import View, arrays
from zatlas.latent import manifold as decode_plane
from zatlas.latent import unit_names
from zatlas.opened import Experiment
from zatlas.walks.shared import check_units, displayed, means, need_axes


def manifold(
    experiment: Experiment,
    *,
    n: int = 20,
    span: float = 2.0,
    spacing: Literal["even", "quantile"] = "even",
    units: tuple[int, int] | None = None,
    label: str | None = None,
    scale: int | None = None,
) -> View:
    """The plane of two units, by default the two of highest rate.

    Args:
        experiment: an opened run.
        n: points a side.
        span: the grid covers [-span, span].
        spacing: ``"even"``, or at the standard normal's ``"quantile"``s.
        units: two, from 0.
        label: class of a conditional model; None: the first.
        scale: figure pixels per image pixel.

    Returns:
        mean ``[n, n, *data]`` (row 0 has the largest second coordinate), ticks ``[n]``, units (from 0).

    Raises:
        UsageError: a unit or a class that is not there, a code of one unit, or codes without axes.
    """
    need_axes(experiment, "plane")
    latent_dim = experiment.latent_dim
    if latent_dim < 2:
        raise UsageError("a manifold wants two latent units and this model has one: zatlas traverse walks along it.")
    if units is None:
        ranked = latent_dim > 2 and experiment.kind.infers
        top = np.argsort(-experiment.unit_rates(), kind="stable")[:2] if ranked else np.arange(2)
        first, second = sorted(int(u) for u in top)
        units = (first, second)
    check_units(experiment, units)
    grid = decode_plane(means(experiment, label), latent_dim=latent_dim, units=units, n=n, span=span, spacing=spacing)
    figure = None
    if experiment.spec.is_image:
        names = unit_names(experiment.model.latent_dims)
        across, up = (names[unit] for unit in units)
        figure = figures.manifold(displayed(experiment, grid.images), grid.ticks, labels=(across, up), scale=scale)
    of = f" with label {label}" if label is not None else ""
    return View(
        arrays(mean=grid.images, ticks=grid.ticks, units=units),
        figure,
        f"A grid of decoded images over the latent square from {-span:g} to {span:g}{of}.",
    )
