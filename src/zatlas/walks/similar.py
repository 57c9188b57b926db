"""The images whose codes are nearest to that of one image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zatlas import figures
from zatlas.errors import UsageError
from zatlas.figures import View, arrays
from zatlas.latent import Neighbours
from zatlas.runs.opened import Run
from zatlas.walks.images import alike
from zatlas.walks.rows import called, table


def similar(
    run: Run,
    *,
    row: int | None = None,
    image: str | None = None,
    n: int = 16,
    split: str = "all",
    progress: Callable[[int], None] | None = None,
) -> View:
    """The rows of the data whose codes lie nearest to the code of one image, by Euclidean distance.

    A code is the mean of the posterior. In a VAE a unit that carries nothing has means near 0 for all images, so it
    does not count; a unit that carries much varies most and counts most. The search is exact
    (:class:`zatlas.latent.Neighbours`).

    Args:
        run: an opened run with its data.
        row: of the data, which is then not among those found.
        image: path of an image file, resized as the run's data were.
        n: how many to find.
        split: where: ``"train"``, ``"validation"``, ``"test"`` or ``"all"``.
        progress: is told how many examples were encoded.

    Returns:
        rows ``[n]``, distance ``[n]``, z ``[n, D]``, query ``[D]``, names ``[n]`` where the data have files.

    Raises:
        UsageError: both or neither of row and image, a row that is not there, or a model without codes.
    """
    if (row is None) == (image is None):
        raise UsageError("name one image: a row of the data (--row), or a file (--image).")
    run.need_inference("codes to compare")
    rows = run.rows(split)
    if row is not None:
        asked = run.numbered([row])
        of, title = run, f"row {row}"
    else:
        of, title = run.beside(str(image)), "given image"
        asked = np.arange(1)
    query = of.encode(asked).mean.reshape(1, -1)
    searched = rows if row is None else rows[rows != row]
    if not len(searched):
        raise UsageError(f"{run.source.name} has no other {split} rows to compare with.")
    codes = run.encode(searched, progress).mean.reshape(len(searched), -1)
    index, distance = (found[0] for found in Neighbours(codes).nearest(query, n))
    nearest = searched[index]
    records = table(run, nearest, distance=distance)
    figure = None
    if run.spec.is_image:
        shown = np.concatenate(alike(run, of.examples(asked), run.examples(nearest)))
        first = called(table(of, asked)[0])
        captions = [(first, title if first != title else "")]
        captions += [(called(record), f"{record['distance']:.3g}") for record in records]
        figure = figures.captioned(shown, captions, stressed=(0,), columns=9 if n <= 8 else 6)
    names = None if run.source.names is None else np.array([record["name"] for record in records])
    nearest_class = [record["class"] for record in records if "class" in record]
    sentences = [f"Nearest of {len(searched):,} by distance between codes: " + _told(records[:3]) + "."]
    if nearest_class:
        kinds, counts = np.unique(nearest_class, return_counts=True)
        most = int(counts.argmax())
        sentences.append(f"{counts[most]} of {len(nearest_class)} are of the class {kinds[most]}.")
    return View(
        arrays(rows=nearest, distance=distance, z=codes[index], query=query[0], names=names),
        figure,
        f"The image asked about, then the {len(nearest)} whose codes lie nearest to its own, with their distances.",
        tuple(sentences),
        {"query": table(of, asked)[0], "searched": len(searched), "nearest": records},
    )


def _told(records: list[dict[str, object]]) -> str:
    return ", ".join(f"{called(record)} ({record['distance']:.3g})" for record in records)
