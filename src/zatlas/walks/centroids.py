"""What a model takes a class to be: the mean of its codes, decoded."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from zatlas.errors import UsageError
from zatlas.figures import View, arrays
from zatlas.figures.directions import archetype, archetypes
from zatlas.opened import Experiment
from zatlas.walks.attributes import Group, columns, group, members
from zatlas.walks.images import alike, seen
from zatlas.walks.shared import need_axes

Array = npt.NDArray[Any]

ROWS = 2000  # of a group, for its centroid


def centroid(
    experiment: Experiment,
    label: str | None = None,
    *,
    n: int | None = None,
    spread: Literal["posterior", "class"] | None = None,
    seed: int = 0,
) -> View:
    r"""What a model takes a class to be: its mean code, decoded, and new samples around it.

    With :math:`\hat\mu` the mean over training rows of the posterior means, samples are decoded from
    :math:`N(\hat\mu, \hat\sigma^2)`. By default :math:`\hat\sigma` is the mean posterior standard deviation, the
    spread of one example's code; ``spread="class"`` takes that of the class's codes altogether, which adds the
    variance of the posterior means.

    Args:
        experiment: an opened run.
        label: a class, or any group in the words of `zatlas.walks.attributes`; None: every class.
        n: samples of each group; None: 16 of one group, 8 of each of several.
        spread: whose standard deviation samples have; None: the posterior's, and the class's where codes are points.
        seed: of the draws.

    Returns:
        mean ``[Y, D]``, posterior_std ``[Y, D]`` (the mean over examples), code_std ``[Y, D]`` (of the posterior
        means), archetype ``[Y, *data]``, samples ``[Y, n, *data]``, z ``[Y, n, D]``, rows ``[Y, M]`` of the examples.

    Raises:
        UsageError: a group that is not there or empty, data without classes, or a model without codes of that kind.
    """
    need_codes(experiment, "centroids")
    spread = spread or ("class" if experiment.kind.point else "posterior")
    if spread not in ("posterior", "class"):
        raise UsageError(f"the spread of samples is posterior or class, not {spread!r}.")
    groups = [group(experiment, label)] if label is not None else _classes(experiment)
    n = n or (16 if label is not None else 8)
    rng = np.random.default_rng(seed)
    found: dict[str, list[Array]] = {}
    for one in groups:
        rows = members(experiment, one, "train", ROWS)
        codes = experiment.encode(rows)
        mean, inner, outer = codes.mean.mean(0), codes.std.mean(0), codes.mean.std(0)
        sigma = inner if spread == "posterior" else np.sqrt((codes.std**2).mean(0) + outer**2)
        z = (mean + sigma * rng.standard_normal((n, len(mean)))).astype(np.float32)
        y = _shared_label(experiment, codes.y)
        image = experiment.decode(mean[None], y).mean[0]
        drawn = experiment.decode(z, None if y is None else y.repeat(n, 0)).mean
        shown = rows[np.linspace(0, len(rows) - 1, n if label is not None else 5).astype(np.int64)]
        for name, value in (
            ("mean", mean), ("posterior_std", inner), ("code_std", outer), ("archetype", image), ("samples", drawn),
            ("z", z), ("rows", shown),
        ):  # fmt: skip
            found.setdefault(name, []).append(value)
    stacked = arrays(**{name: np.stack(values) for name, values in found.items()})
    names = [one.words for one in groups]
    return View(
        stacked,
        _centroid_figure(experiment, stacked, names) if experiment.spec.is_image else None,
        f"Archetypes, decoded from mean codes, of {', '.join(names)}, beside samples around them and true examples.",
        (
            f"Standard deviation within a group, mean over units: {_range(stacked['code_std'])} of the codes, "
            f"{_range(stacked['posterior_std'])} of a posterior.",
            "Samples have that of a posterior; spread = class draws them from all of the group."
            if spread == "posterior"
            else "Samples are drawn from all of the group.",
        ),
        {
            "groups": names,
            "spread": spread,
            "mean": stacked["mean"].tolist(),
            "posterior_std": stacked["posterior_std"].tolist(),
            "code_std": stacked["code_std"].tolist(),
        },
    )


def _centroid_figure(experiment: Experiment, found: dict[str, Array], names: list[str]) -> Figure:
    examples = np.stack([seen(experiment, rows) for rows in found["rows"]])
    image, samples, examples = alike(experiment, found["archetype"], found["samples"], examples)
    words = ("archetype", "samples from N(μ̂, σ̂²)", "training examples")
    if len(names) > 1:
        return archetypes(image, samples, examples, names, names=words)
    rows = max(1, round(len(samples[0]) ** 0.5))
    return archetype(image[0], samples[0], examples[0], rows=rows, names=(f"archetype of {names[0]}", *words[1:]))


def _range(std: Array) -> str:
    """``0.39``, or ``0.34 to 0.90`` where the groups differ."""
    ends = sorted({f"{value:.2f}" for value in (std.mean(1).min(), std.mean(1).max())})
    return " to ".join(ends)


def need_codes(experiment: Experiment, what: str) -> None:
    experiment.need_inference(what)
    need_axes(experiment, what)


def _classes(experiment: Experiment) -> list[Group]:
    """Every class that has training rows.

    Raises:
        UsageError: the data have no classes.
    """
    spec = experiment.source.spec
    if spec.label_kind != "class":
        known = columns(experiment)
        mend = f"as {known[0]}>0" if known else "as rows:3,7,12"
        raise UsageError(f"{experiment.source.name} has no classes: name a group of examples, {mend}.")
    train = experiment.rows("train")
    groups = [group(experiment, label) for label in spec.labels]
    return [one for one in groups if len(one.among(train))]


def _shared_label(experiment: Experiment, y: Array | None) -> Array | None:
    """The label ``[1, Y]`` to decode a group with: its commonest class, or its mean real labels."""
    if y is None or not experiment.kind.conditional:
        return None
    mean = y.mean(0, keepdims=True)
    return np.eye(y.shape[1], dtype=y.dtype)[mean.argmax(1)] if experiment.spec.label_kind == "class" else mean
