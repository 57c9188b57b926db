"""Into the latent space and out of it, example by example: sample, reconstruct, encode, decode; a table of codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zatlas import figures
from zatlas.arrays import Array
from zatlas.console import Counting, silent
from zatlas.errors import UsageError, ZatlasError
from zatlas.figures import View, arrays
from zatlas.latent import Pictures
from zatlas.runs.opened import Run
from zatlas.walks.rows import classes_of, names_of

MOST_SHOWN = 400  # decoded images in a figure; the arrays have all

Progress = Callable[[int], None]


def sample(
    run: Run,
    *,
    n: int = 64,
    draws: bool = False,
    label: str | None = None,
    prior: str | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> View:
    """New examples: z from the prior, then p(x|z).

    An autoencoder has no prior of its own: a mixture of Gaussians fitted to its codes is used.

    Args:
        run: an opened run.
        n: how many.
        draws: show draws from p(x|z) instead of its means.
        label: class, of a conditional model or of a prior that knows labels; None: every class in turn for
            both, and for such a prior with guidance 0 whatever the label.
        prior: ``"mixture"``, ``"flow"`` or ``"flow-matching"``: an ex-post prior, fitted first where there is none;
            None: the model's own.
        guidance: towards the label, of flow matching: 0 is whatever the label, 1 (None) given it, more is more typical.
        steps: of flow matching's solver.
        seed: of the draws.

    Returns:
        z ``[n, D]`` (of a spatial code ``[n, C, h, w]``), mean and draw ``[n, *data]``, y ``[n, Y]`` where they were
        drawn given labels.

    Raises:
        UsageError: a class or a prior that is not there; guidance or steps where nothing takes them.
    """
    pictures, y = run.sample(n, label=label, seed=seed, prior=prior, guidance=guidance, steps=steps)
    return _shown(run, pictures, y, draws, f"{n} new examples, decoded from codes drawn from the prior.")


def decode(
    run: Run,
    z: Array,
    y: Array | None = None,
    *,
    draws: bool = False,
    label: str | None = None,
) -> View:
    """What the model shows at given codes.

    Args:
        run: an opened run.
        z: codes ``[N, D]``, or ``[N, C, h, w]`` of a spatial code.
        y: labels ``[N, Y]`` for a conditional model; None: every class in turn.
        draws: show draws from p(x|z) instead of its means.
        label: a class in the place of y.

    Returns:
        z as it was given, mean and draw ``[N, *data]``, y ``[N, Y]`` of a conditional model.

    Raises:
        UsageError: codes of another size, or a class that is not there.
        ZatlasError: labels of another shape.
    """
    given, z = np.shape(z), run.in_rows(z)
    if z.ndim != 2 or z.shape[1] != run.latent_dim or not len(z):
        wanted = ", ".join(map(str, run.code_shape))
        raise UsageError(f"codes of shape {list(given)} do not fit: this model wants [N, {wanted}].")
    if y is None or label is not None or not run.kind.conditional:
        y = run.labels_for(len(z), label)
    else:
        check_labels(run, y, len(z))
    return _shown(run, run.decode(z, y), y, draws, "Images decoded from given codes.")


def check_labels(run: Run, y: Array, n: int, source: str = "y") -> None:
    """Refuses labels that do not fit n codes of a conditional model; ``source`` says where they stand.

    Raises:
        ZatlasError: their shape is not ``[n, Y]``.
    """
    wanted = [n, run.spec.label_dim]
    if list(np.shape(y)) != wanted:
        raise ZatlasError(f"{source} holds labels of shape {list(np.shape(y))}, and these codes want {wanted}.")


def _shown(run: Run, pictures: Pictures, y: Array | None, draws: bool, alt: str) -> View:
    images = (pictures.draw if draws else pictures.mean)[:MOST_SHOWN]
    figure = figures.grid(run.displayable(images)) if run.spec.is_image else None
    return View(arrays(z=run.shaped(pictures.z), mean=pictures.mean, draw=pictures.draw, y=y), figure, alt)


def reconstruct(run: Run, *, n: int = 20, split: str | None = None) -> View:
    """Examples beside the means of p(x|z) at the means of their codes.

    Args:
        run: an opened run with its data.
        n: how many, spread evenly over the split.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``; None: rows that were not trained on, if any.

    Returns:
        x and reconstruction ``[n, *data]``, z ``[n, D]`` or ``[n, C, h, w]``, rows ``[n]``, y ``[n, Y]`` where there
        are labels.

    Raises:
        UsageError: a model without codes, or a split without rows.
    """
    rows = run.spread(split or run.held_out(), n)
    x, codes, pictures = run.reconstruct(rows)
    figure = figures.pairs(run.displayable(x), run.displayable(pictures.mean)) if run.spec.is_image else None
    return View(
        arrays(x=x, reconstruction=pictures.mean, z=run.shaped(codes.mean), rows=rows, y=codes.y),
        figure,
        f"{len(rows)} examples, each beside what is decoded from the mean of its code.",
    )


def encode(run: Run, *, split: str = "all", progress: Progress | None = None) -> View:
    """The codes of examples, and of a model of two units where they lie.

    Args:
        run: an opened run with its data.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        progress: is told how many examples were encoded.

    Returns:
        mean and std of the posterior ``[N, D]`` (of a spatial code ``[N, C, h, w]``), rows ``[N]``; where the data have
        them y ``[N, Y]``, factors ``[N, F]`` and names of files ``[N]``.

    Raises:
        UsageError: a model without codes, or a split without rows.
    """
    rows = run.rows(split)
    codes = run.encode(rows, progress)
    figure = None
    if codes.mean.shape[1] == 2:
        figure = figures.scatter(codes.mean, run.label_numbers(codes.y), run.spec.labels or None)
    factors = run.source.factors
    return View(
        arrays(
            mean=run.shaped(codes.mean),
            std=run.shaped(codes.std),
            rows=rows,
            y=codes.y,
            factors=None if factors is None else factors[rows],
            names=names_of(run, rows),
        ),
        figure,
        f"The codes of {len(rows):,} examples."
        if figure is None
        else f"Where the codes of {len(rows):,} examples lie.",
    )


def codes(run: Run, *, split: str = "all", counting: Counting = silent) -> View:
    """A table of codes: a column each for the row, its file, its class, each unit, and what the model makes of it.

    ``zatlas encode --out codes.csv`` writes it; ``pandas.DataFrame(view.arrays)`` reads it.

    Args:
        run: an opened run with its data.
        split: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        counting: ``(what, how many)`` to a context that gives the function to be told of every example done.

    Returns:
        Columns ``[N]``: row; name and class where the data have them, or a column for each real label; z1 .. zD, or
        ``c1 (1, 1)`` and so on;
        distortion and, but for an autoencoder, rate and bound, in nats at one draw of z.

    Raises:
        UsageError: a model without codes, or a split without rows.
    """
    rows = run.rows(split)
    with counting("encoding", len(rows)) as progress:
        encoded = run.encode(rows, progress)
    with counting("measuring", len(rows)) as progress:
        found = run.elbo(rows, progress)
    distortion, rate = found.distortion.numpy(), found.rate.numpy()
    classes = classes_of(run, rows)
    columns = arrays(row=rows, name=names_of(run, rows)) | arrays(**{"class": classes})
    if classes is None and encoded.y is not None:
        columns |= {name: encoded.y[:, i] for i, name in enumerate(run.source.spec.labels)}
    z = encoded.mean.reshape(len(rows), -1)
    spatial = len(run.code_shape) > 1
    columns |= {name if spatial else f"z{unit + 1}": z[:, unit] for unit, name in enumerate(run.unit_names)}
    if run.kind.point:  # no rate, and so no bound
        return View(columns | {"distortion": distortion})
    return View(columns | {"bound": -(distortion + rate), "distortion": distortion, "rate": rate})
