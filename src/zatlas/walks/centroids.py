"""What a model takes a class to be: the mean of its codes, decoded."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from zatlas.arrays import Array
from zatlas.data import evenly_spaced
from zatlas.errors import UsageError
from zatlas.figures import View, arrays
from zatlas.figures.directions import archetype, archetypes
from zatlas.latent import Codes
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.attributes import Group, columns, group, members
from zatlas.walks.images import alike
from zatlas.walks.shared import need_axes

ROWS = 2000  # of a group, for its centroid


class _Spread(NamedTuple):
    title: str  # over its samples
    sentence: str


SPREADS = {
    "posterior": _Spread(
        "spread of one code",
        "Spread of one code: samples with a posterior's standard deviation, as uncertain as one example's code is.",
    ),
    "class": _Spread(
        "spread of the class",
        "Spread of the class: samples with the covariance of all its codes, as different as its examples are.",
    ),
}


@walk("centroid", when="the mean code of a class, decoded, with its spread")
def centroid(
    run: Run,
    label: str | None = None,
    *,
    n: int | None = None,
    spread: Literal["posterior", "class"] | None = None,
    seed: int = 0,
) -> View:
    r"""What a model takes a class to be: its mean code, decoded, and new samples around it, of two spreads.

    With :math:`\hat\mu` the mean over training rows of the posterior means, samples are decoded from normal codes
    around it. Of the posterior's spread their deviations are the mean posterior standard deviations: how uncertain the
    code of one example is, so where posteriors are narrow all of them look like the archetype. Of the class's spread
    their covariance is that of the class's codes altogether, the covariance of the posterior means plus the mean
    posterior variances: how much one example differs from another.

    Args:
        run: an opened run.
        label: a class, or any group in the words of `zatlas.walks.attributes`; None: every class.
        n: samples of each group; None: 16 of one group, 8 of each of several.
        spread: which of the two is shown; None: both, and the class's alone where codes are points.
        seed: of the draws.

    Returns:
        mean ``[Y, D]``, posterior_std ``[Y, D]`` (the mean over examples), code_std ``[Y, D]`` (of the posterior
        means), archetype ``[Y, *data]``, samples ``[Y, n, *data]`` and z ``[Y, n, D]``, rows ``[Y, M]`` of the
        examples; where both spreads are shown, class_samples and class_z are of the class's.

    Raises:
        UsageError: a group that is not there or empty, data without classes, or a model without codes of that kind.
    """
    need_codes(run, "centroids")
    if spread not in (None, *SPREADS):
        raise UsageError(f"the spread of samples is posterior or class, not {spread!r}.")
    spreads: list[str] = [spread] if spread else ["class"] if run.kind.point else list(SPREADS)
    groups = [group(run, label)] if label is not None else _classes(run)
    n = n or (16 if label is not None else 8)
    rng = np.random.default_rng(seed)
    found: dict[str, list[Array]] = {}
    for one in groups:
        rows = members(run, one, "train", ROWS)
        codes = run.encode(rows)
        y = _shared_label(run, codes.y)
        mean, inner = codes.mean.mean(0), codes.std.mean(0)
        parts = {"mean": mean, "posterior_std": inner, "code_std": codes.mean.std(0)}
        parts["archetype"] = run.decode(mean[None], y).mean[0]
        parts["rows"] = evenly_spaced(rows, n if label is not None else 5, repeat=True)
        for name in spreads:
            own = np.diag(inner**2) if name == "posterior" else _covariance(codes)
            z = rng.multivariate_normal(mean, own, n, method="eigh").astype(np.float32)
            parts[_named("z", name, spreads)] = z
            parts[_named("samples", name, spreads)] = run.decode(z, None if y is None else y.repeat(n, 0)).mean
        for name, value in parts.items():
            found.setdefault(name, []).append(value)
    stacked = arrays(**{name: np.stack(values) for name, values in found.items()})
    names = [one.words for one in groups]
    return View(
        stacked,
        _centroid_figure(run, stacked, names, spreads) if run.spec.is_image else None,
        f"Archetypes, decoded from mean codes, of {', '.join(names)}, beside samples around them and true examples.",
        (
            f"Standard deviation within a group, mean over units: {_range(stacked['code_std'])} of the codes, "
            f"{_range(stacked['posterior_std'])} of a posterior.",
            *(SPREADS[name].sentence for name in spreads),
        ),
        {
            "groups": names,
            "spread": spreads[0],
            "spreads": spreads,
            "mean": stacked["mean"].tolist(),
            "posterior_std": stacked["posterior_std"].tolist(),
            "code_std": stacked["code_std"].tolist(),
        },
    )


def _named(array: str, spread: str, spreads: list[str]) -> str:
    """The first spread shown has the plain name."""
    return array if spread == spreads[0] else f"{spread}_{array}"


def _covariance(codes: Codes) -> Array:
    """Of the codes of a group altogether, ``[D, D]``: between the examples and within their posteriors."""
    between = codes.mean - codes.mean.mean(0)
    return between.T @ between / len(between) + np.diag((codes.std**2).mean(0))


def _centroid_figure(run: Run, found: dict[str, Array], names: list[str], spreads: list[str]) -> Figure:
    examples = np.stack([run.examples(rows) for rows in found["rows"]])
    drawn = [found[_named("samples", name, spreads)] for name in spreads]
    image, *samples, examples = alike(run, found["archetype"], *drawn, examples)
    words = (*(SPREADS[name].title for name in spreads), "training examples")
    if len(names) > 1:
        return archetypes(image, [*samples, examples], names, names=("archetype", *words))
    rows = max(1, round(len(examples[0]) ** 0.5))
    grids = [part[0] for part in (*samples, examples)]
    return archetype(image[0], grids, rows=rows, names=(f"archetype of {names[0]}", *words))


def _range(std: Array) -> str:
    """``0.39``, or ``0.34 to 0.90`` where the groups differ."""
    ends = sorted({f"{value:.2f}" for value in (std.mean(1).min(), std.mean(1).max())})
    return " to ".join(ends)


def need_codes(run: Run, what: str) -> None:
    run.need_inference(what)
    need_axes(run, what)


def _classes(run: Run) -> list[Group]:
    """Every class that has training rows.

    Raises:
        UsageError: the data have no classes.
    """
    spec = run.source.spec
    if spec.label_kind != "class":
        known = columns(run)
        mend = f"as {known[0]}>0" if known else "as rows:3,7,12"
        raise UsageError(f"{run.source.name} has no classes: name a group of examples, {mend}.")
    train = run.rows("train")
    groups = [group(run, label) for label in spec.labels]
    return [one for one in groups if len(one.among(train))]


def _shared_label(run: Run, y: Array | None) -> Array | None:
    """The label ``[1, Y]`` to decode a group with: its commonest class, or its mean real labels."""
    if y is None or not run.kind.conditional:
        return None
    mean = y.mean(0, keepdims=True)
    return np.eye(y.shape[1], dtype=y.dtype)[mean.argmax(1)] if run.spec.label_kind == "class" else mean
