"""From image to image, or from draw to draw, through the latent space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from zatlas import figures
from zatlas.arrays import Array
from zatlas.errors import UsageError, nearest
from zatlas.figures import View, arrays
from zatlas.latent import paths
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.shared import codes_of, displayed, means, need_axes, training_codes

PathChoice = Literal["linear", "spherical", "density", "all"]


class _Anchors(NamedTuple):
    """Codes that the path passes through ``[A, D]``, their names, and their labels ``[A, Y]`` where they have some."""

    z: Array
    names: list[str]
    y: Array | None


class _Density(NamedTuple):
    """Of the aggregate posterior, and codes of training rows ``[N, D]`` where there are data."""

    of: paths.LogDensity
    codes: Array | None

    def at(self, z: Array) -> Array:
        """In nats, ``[...]`` of codes ``[..., D]``."""
        return self.of(torch.from_numpy(z)).numpy()


@walk("interpolate", when="the way between two codes, straight, on the sphere or through the data's density")
def interpolate(
    run: Run,
    *,
    rows: Sequence[int] | None = None,
    codes: Array | None = None,
    y: Array | None = None,
    path: PathChoice = "linear",
    n: int = 9,
    label: str | None = None,
    seed: int = 0,
) -> View:
    """A path through two or more codes: those of rows of the data, given ones, or else two draws from the prior.

    Args:
        run: an opened run.
        rows: of the data, in the order of the walk.
        codes: ``[A, D]`` (``[A, C, h, w]`` of a spatial code) in their place.
        y: labels ``[A, Y]`` of these codes, for a conditional model.
        path: ``"linear"``, ``"spherical"`` about the origin, ``"density"`` where the aggregate posterior is dense (see
            :func:`zatlas.latent.paths.densest`), or ``"all"`` of them that can be.
        n: images from one code to the next, both included.
        label: class of a conditional model; None: that of the first code all along.
        seed: of the draws.

    Returns:
        z ``[points, D]`` (of a spatial code ``[points, C, h, w]``), mean ``[points, *data]``, anchors ``[A]`` (which
        points are the codes walked through) and, where the aggregate posterior was fitted, its log_density
        ``[points]`` in nats; for ``"all"`` with an axis of paths in front, which ``paths`` names. Frames go along the
        path.

    Raises:
        UsageError: a row, a class or a path that is not there, fewer than two codes, or both rows and codes.
    """
    names = _names(run, path)
    anchors = _anchors(run, rows, codes, y, label, seed)
    density = _density(run, names)
    z = np.stack([_walked(name, anchors.z, n, density) for name in names])
    decode = means(run, label, None if anchors.y is None else anchors.y[:1])
    shown = decode(z.reshape(-1, z.shape[-1]))
    shown = shown.reshape(*z.shape[:2], *shown.shape[1:])
    nats = None if density is None else density.at(z)
    typical = None
    if density is not None and density.codes is not None:
        typical = np.quantile(density.at(density.codes), [0.05, 0.5, 0.95])
    stops = np.arange(len(anchors.z)) * (n - 1)
    figure = frames = None
    if run.spec.is_image:
        pictures = displayed(run, shown)
        titles = names if len(names) > 1 else [""]
        figure = figures.paths(
            pictures,
            titles,
            anchors=dict(zip(stops.tolist(), anchors.names, strict=True)),
            log_density=nats,
            typical=None if typical is None else (float(typical[0]), float(typical[2])),
        )
        frames = figures.moving(pictures.swapaxes(0, 1), titles, columns=len(names))
    one = slice(None) if path == "all" else 0
    spread = run.kind.axes and not run.kind.point  # draws then lie about the origin
    under = ", above the log density of the data's codes along it" if nats is not None else ""
    return View(
        arrays(
            z=run.shaped(z)[one],
            mean=shown[one],
            anchors=stops,
            log_density=None if nats is None else nats[one],
            paths=names if path == "all" else None,
        ),
        figure,
        f"Images decoded along the {', '.join(names)} path from {' to '.join(anchors.names)}{under}.",
        tuple(_told(names, z, nats, typical, anchors.y if label is None else None, spread)),
        {"from": anchors.names, "paths": _facts(names, z, nats, typical)},
        frames,
    )


def _names(run: Run, path: str) -> list[str]:
    """The paths that are wanted, once it is sure that they can be."""
    known = (*paths.PATHS, "all")
    if path not in known:
        raise UsageError(f"there is no path {path!r}; {nearest(path, known)}")
    if path == "all":
        dense = run.kind.infers and run.kind.axes and (run.has_data or run.has_prior())
        return ["linear", *(["spherical"] if run.kind.axes else []), *(["density"] if dense else [])]
    if path != "linear":
        need_axes(run, f"{path} path, only a linear one")
    if path == "density":
        run.need_inference("codes whose density a path could follow")
    return [path]


def _anchors(
    run: Run,
    rows: Sequence[int] | None,
    codes: Array | None,
    y: Array | None,
    label: str | None,
    seed: int,
) -> _Anchors:
    if rows is not None and codes is not None:
        raise UsageError("a path goes through rows of the data or through given codes: choose one.")
    if rows is not None:
        known = codes_of(run, rows)
        given = known.y if run.kind.conditional else None
        return _Anchors(known.mean.astype(np.float64), [f"row {row}" for row in rows], given)
    if codes is not None:
        z = np.asarray(run.in_rows(codes), np.float64)
        if z.ndim != 2 or z.shape[1] != run.latent_dim:
            raise UsageError(f"codes of shape {list(z.shape)} do not fit: this model wants [A, {run.latent_dim}].")
        given = y if run.kind.conditional else None
        if given is not None and given.shape != (len(z), run.spec.label_dim):
            wanted = [len(z), run.spec.label_dim]
            raise UsageError(f"labels of shape {list(given.shape)} do not fit: these codes want {wanted}.")
        return _Anchors(z, [f"code {i}" for i in range(len(z))], given)
    # one class for both, or a conditional prior would draw the two from two of them
    if run.kind.conditional and label is None and run.spec.label_kind == "class":
        label = run.spec.labels[0]
    pictures, given = run.sample(2, label=label, seed=seed)
    return _Anchors(pictures.z.astype(np.float64), ["one draw", "another"], given)


def _density(run: Run, names: Sequence[str]) -> _Density | None:
    """Fitted where a path follows it; where none does, only if it was fitted before."""
    if "density" not in names and not run.has_prior():
        return None
    of = paths.log_density(run.ex_post_prior("mixture"))
    return _Density(of, training_codes(run) if run.has_data else None)


def _walked(name: str, anchors: Array, n: int, density: _Density | None) -> Array:
    make: dict[str, Callable[[], Array]] = {
        "linear": lambda: paths.linear(anchors, n),
        "spherical": lambda: paths.spherical(anchors, n),
        "density": lambda: paths.densest(anchors, n, *density) if density is not None else anchors,
    }
    return make[name]()


def _facts(names: Sequence[str], z: Array, nats: Array | None, typical: Array | None) -> dict[str, Any]:
    """Of each path: its length, how near it comes to the origin, and the log density on it."""
    facts: dict[str, Any] = {}
    for i, (name, points) in enumerate(zip(names, z, strict=True)):
        facts[name] = {
            "length": float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()),
            "least_norm": float(np.linalg.norm(points, axis=1).min()),
        }
        if nats is not None:
            facts[name] |= {
                "mean_log_density_nats": float(nats[i].mean()),
                "least_log_density_nats": float(nats[i].min()),
            }
        if nats is not None and typical is not None:
            facts[name]["mean_above_median_nats"] = float(nats[i].mean() - typical[1])
    return facts


def _told(
    names: Sequence[str], z: Array, nats: Array | None, typical: Array | None, y: Array | None, spread: bool
) -> list[str]:
    told = []
    if y is not None and (y != y[0]).any():
        told.append("The codes come with several labels: all images are decoded with the first one's.")
    if nats is not None and typical is not None:
        above = nats.mean(1) - typical[1]
        each = ", ".join(f"{name} {figures.number(float(gap), 1)}" for name, gap in zip(names, above, strict=True))
        told.append(f"Mean log density along the path, in nats above the median of the data's codes: {each}.")
    elif spread and "linear" in names:
        norms = np.linalg.norm(z[names.index("linear")], axis=1)
        told.append(
            f"The linear path comes within {norms.min():.1f} of the origin; its ends are {norms[0]:.1f} and "
            f"{norms[-1]:.1f} away."
        )
    return told
