"""Images with another label and the style they have, and one image's content in the style of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zatlas.arrays import Array
from zatlas.data import Rows
from zatlas.errors import UsageError, nearest
from zatlas.figures import View, arrays, tile
from zatlas.figures.editing import relabelled, transfers
from zatlas.figures.latents import number
from zatlas.latent import Codes
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.attributes import column
from zatlas.walks.centroids import need_codes
from zatlas.walks.images import alike, decoded

ROWS = 20_000  # examples that class centroids are means of at most
MOST_CLASSES = 20
VALUES = 7  # of a real label, between its 5% and its 95% quantile
ARITHMETIC = (
    "The model is not conditional: the class is changed by arithmetic on the code, z - mean code of the own class + "
    "mean code of the other."
)
CONDITIONAL = "Each code was made with the image's own label and decoded with another: z, the style, is kept."


@walk("relabel", when="the same style in other classes")
def relabel(
    run: Run,
    *,
    rows: Sequence[int] | Rows | None = None,
    n: int = 10,
    to: Sequence[str] | None = None,
    label: str | None = None,
) -> View:
    """Each image encoded with the label that it has and decoded with others.

    A conditional model is given the other label with the same z (Kingma et al. 2014, section 4.3). For an
    unconditional one whose data have classes, z - mean code of its class + mean code of the other is decoded.

    Args:
        run: an opened run.
        rows: of the images; None: ``n`` held-out ones, class after class.
        n: how many then.
        to: classes, or values of a real label; None: every class (the first 20), or 7 values over the label's range.
        label: the real label column that is changed; None: the first.

    Returns:
        x ``[R, *data]``, rows ``[R]``, z ``[R, D]``, y ``[R, Y]``, to ``[S, Y]`` one-hot classes or to ``[S]`` values,
        mean ``[R, S, *data]``; for real labels also reconstruction ``[R, *data]``.

    Raises:
        UsageError: an unconditional model of data without classes, a class or a column that is not there, or a model
            without codes.
    """
    need_codes(run, "codes of images to give another label")
    if run.spec.label_kind != "class":
        return _over_values(run, rows, n, to, label)
    if label is not None:
        raise UsageError(f"{run.source.name} has classes and no label column {label!r}: choose them with to.")
    numbers = _chosen(run, rows, n)
    classes = _class_numbers(run, to)
    codes = run.encode(numbers)
    own = _own(codes)
    z, y = _with_classes(run, codes, classes)
    images = decoded(run, z, y)
    figure = frames = None
    names = [run.spec.labels[k] for k in classes]
    x = run.examples(numbers)
    if run.spec.is_image:
        originals, shown = alike(run, x, images)
        places = [names.index(run.spec.labels[k]) if k in classes else None for k in own]
        figure = relabelled(originals, shown, names, places)
        frames = np.stack([tile(shown[:, k]) for k in range(len(names))]) if len(names) > 1 else None
    to_y = np.eye(run.spec.label_dim, dtype=np.float32)[classes]
    return View(
        arrays(x=x, rows=numbers, z=codes.mean, y=codes.y, to=to_y, mean=images),
        figure,
        f"Images decoded with each of the classes {', '.join(names)}; the original is at the left and the "
        "reconstruction, under its own class, is framed.",
        (CONDITIONAL if run.kind.conditional else ARITHMETIC,),
        {"rows": numbers.tolist(), "own": [run.spec.labels[k] for k in own], "to": names, **_how(run)},
        frames,
    )


@walk("transfer", when="the style of some examples, the class of others")
def transfer(
    run: Run,
    *,
    content: Sequence[int] | Rows | None = None,
    style: Sequence[int] | Rows | None = None,
    n: int = 8,
) -> View:
    """The content of one image, its label, in the style of another, its z.

    A conditional model decodes the z of the one with the label of the other. For an unconditional one whose data have
    classes, z - mean code of its class + mean code of the other's is decoded.

    Args:
        run: an opened run.
        content: rows of the images whose label is taken; None: ``n`` held-out ones, class after class.
        style: rows of the images whose style is taken; None: those of the content.
        n: how many where none are named.

    Returns:
        content ``[R]`` and style ``[S]``, rows; z ``[S, D]``; y ``[R, Y]``; mean ``[R, S, *data]``.

    Raises:
        UsageError: an unconditional model of data without classes, a row that is not there, or a model without codes.
    """
    need_codes(run, "codes of images to take a style from")
    _need_content(run)
    left = _chosen(run, content, n)
    above = left if style is None else run.numbered(style)
    same = np.array_equal(left, above)
    given, taken = run.encode(left), run.encode(above)
    assert given.y is not None  # _need_content
    names = None
    if run.spec.label_kind == "class":
        z, y = _with_classes(run, taken, _own(given))
        names = [run.spec.labels[k] for k in _own(given)]
    else:
        z = np.repeat(taken.mean[:, None], len(left), 1)
        y = np.repeat(given.y[None], len(above), 0)
    images = decoded(run, z, y).swapaxes(0, 1)  # content down, style across
    figure = None
    if run.spec.is_image:
        first, head, shown = alike(run, run.examples(left), run.examples(above), images)
        figure = transfers(first, head, shown, names, same=same)
    return View(
        arrays(content=left, style=above, z=taken.mean, y=given.y, mean=images),
        figure,
        "Each row has the content of the image at its left, each column the style of the image above it.",
        (CONDITIONAL if run.kind.conditional else ARITHMETIC,),
        {"content": left.tolist(), "style": above.tolist(), **_how(run)},
    )


def _over_values(
    run: Run, rows: Sequence[int] | Rows | None, n: int, to: Sequence[str] | None, label: str | None
) -> View:
    """`relabel` over values of one real label."""
    _need_content(run)
    spec = run.spec
    name = spec.labels[0] if label is None else label
    if name not in spec.labels:
        raise UsageError(f"there is no label column {name!r}; {nearest(name, spec.labels)}")
    low, high = np.quantile(column(run, name)(run.rows("train")), [0.05, 0.95])
    values = np.linspace(low, high, VALUES) if to is None else _numbers(to)
    numbers = _chosen(run, rows, n)
    x, codes, back = run.reconstruct(numbers)
    assert codes.y is not None  # _need_content
    y = np.repeat(codes.y[:, None], len(values), 1)
    y[..., spec.labels.index(name)] = values
    images = decoded(run, np.repeat(codes.mean[:, None], len(values), 1), y)
    figure = frames = None
    if spec.is_image:
        originals, again, shown = alike(run, x, back.mean, images)
        heads = [number(v) for v in values]
        heads[0] = f"{name} = {heads[0]}"
        figure = relabelled(originals, np.concatenate([again[:, None], shown], 1), ["as it is", *heads])
        frames = np.stack([tile(shown[:, k]) for k in range(len(values))]) if len(values) > 1 else None
    return View(
        arrays(
            x=x, rows=numbers, z=codes.mean, y=codes.y, to=values.astype(np.float32), mean=images,
            reconstruction=back.mean,
        ),
        figure,
        f"Images decoded with {name} from {values.min():g} to {values.max():g}; the original and what comes back from "
        "its own label are at the left.",
        (CONDITIONAL,),
        {"rows": numbers.tolist(), "label": name, "to": values.tolist(), **_how(run)},
        frames,
    )  # fmt: skip


def _how(run: Run) -> dict[str, str]:
    return {"how": "label" if run.kind.conditional else "arithmetic"}


def _need_content(run: Run) -> None:
    """Refuses for a model that neither takes labels nor has classes whose codes could be told apart.

    Raises:
        UsageError: saying which model would.
    """
    if not run.kind.conditional and run.spec.label_kind != "class":
        raise UsageError(
            f"{run.folder.path} is not conditional and {run.source.name} has no classes: train --model "
            "cvae on labelled data, or move images along a direction with `zatlas direction attribute`."
        )


def _with_classes(run: Run, codes: Codes, classes: list[int]) -> tuple[Array, Array | None]:
    """Codes ``[N, S, D]`` and labels ``[N, S, Y]`` of N examples with S classes in place of their own."""
    z = np.repeat(codes.mean[:, None], len(classes), 1)
    if run.kind.conditional:
        y = np.eye(run.spec.label_dim, dtype=np.float32)[classes]
        return z, np.repeat(y[None], len(z), 0)
    mean = _centroids(run, {*classes, *_own(codes)})
    return z + mean[classes][None] - mean[_own(codes)][:, None], None


def _centroids(run: Run, wanted: set[int]) -> Array:
    """Mean codes ``[Y, D]`` of classes over training rows; those not wanted may be missing, as zeros.

    Raises:
        UsageError: a class that is wanted has no training rows.
    """
    codes = run.encode(run.spread("train", ROWS))
    own = np.array(_own(codes))
    means = np.zeros((run.spec.label_dim, codes.mean.shape[1]), np.float32)
    for k in sorted(wanted):
        if not (own == k).any():
            label = run.spec.labels[k]
            raise UsageError(f"no train row of {run.source.name} is of class {label!r}: leave it out.")
        means[k] = codes.mean[own == k].mean(0)
    return means


def _own(codes: Codes) -> list[int]:
    """The class of each example."""
    assert codes.y is not None  # asked for only where there are classes
    return [int(k) for k in codes.y.argmax(1)]


def _chosen(run: Run, rows: Sequence[int] | Rows | None, n: int) -> Rows:
    """The rows named, or n held-out ones, class after class where there are classes."""
    if rows is not None:
        return run.numbered(rows)
    split = run.held_out()
    if run.source.spec.label_kind != "class":
        return run.spread(split, n)
    every = run.rows(split)
    labels = run.source.read_labels(every)
    assert labels is not None
    turn = np.zeros(len(every), np.int64)  # how many of its class come before
    for k in np.unique(labels):
        turn[labels == k] = np.arange((labels == k).sum())
    return every[np.lexsort((labels, turn))[:n]]


def _class_numbers(run: Run, to: Sequence[str] | None) -> list[int]:
    """Numbers of classes by name.

    Raises:
        UsageError: one that is not there, or none.
    """
    labels = run.spec.labels
    if to is None:
        return list(range(min(len(labels), MOST_CLASSES)))
    for label in to:
        if label not in labels:
            raise UsageError(f"there is no class {label!r}; {nearest(label, labels)}")
    if not to:
        raise UsageError("no classes are given: name at least one.")
    return [labels.index(label) for label in to]


def _numbers(to: Sequence[str]) -> Array:
    try:
        values = np.array([float(text) for text in to])
    except ValueError:
        values = np.array([np.nan])
    if not len(values) or not np.isfinite(values).all():
        raise UsageError(f"values of a real label are numbers, as 0.5,1,2, and {','.join(to)!r} is not that.")
    return values
