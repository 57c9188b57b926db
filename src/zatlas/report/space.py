"""The sections of a report about the latent space: where the examples lie, what lies between, what each unit means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zatlas import figures, walks
from zatlas.arrays import Array
from zatlas.latent.effects import LEAST_BASES
from zatlas.report.page import Picture, Section, Table
from zatlas.report.sections import shown, svg
from zatlas.runs.opened import Run
from zatlas.walks.directions import saved

SCATTER_ROWS = 10_000
FEW = 1000  # a scatter of fewer test examples says little, so all splits are shown
MOST_MAPS = 32
STOPS = 3  # images that a path of the report goes through


def latent_space(run: Run, split: str, measured: dict[str, Any]) -> Section:
    """Scatter, rates, planes or traversals, a path between images, other labels."""
    pictures = list(_scatter(run, split))
    if not run.kind.axes:
        return Section("Latent space", "Where the examples lie.", pictures)
    rates, names = np.asarray(measured["unit_rates"]), run.unit_names
    if not run.kind.point:
        if len(run.code_shape) == 3:
            pictures.append(svg(*_maps(run, rates)))
        alt = "Bars of the rate of every latent unit in nats."
        bars = figures.rates(rates, unit_names=[name.removeprefix("z") for name in names])
        pictures.append(svg(bars, alt, "Nats that each unit carries; dead units are marked."))
    if run.spec.is_image:
        pictures += _walked(run, split)
    table = Table(["unit", "rate (nats)"], [[n, round(float(r), 3)] for n, r in zip(names, rates, strict=True)][:50])
    text = "Where the examples lie, what each unit carries, and what lies between them."
    paragraphs = [text, measured["verdict"]] if "verdict" in measured else [text]
    return Section("Latent space", paragraphs, pictures, [table] if run.latent_dim > 2 else [])


def _maps(run: Run, rates: Array) -> tuple[Figure, str, str]:
    """Where a spatial code keeps its nats: a map for each channel, with the words for people who cannot see it."""
    maps = rates.reshape(run.code_shape)[:MOST_MAPS]
    channels = maps.sum((1, 2))
    notes = [f"{nats:.1f} nats" for nats in channels]
    figure = figures.code_maps(maps, [f"c{channel + 1}" for channel in range(len(maps))], notes)
    first = int(channels.argmax())
    alt = f"Nats at every place of every channel; channel c{first + 1} carries most, {channels[first]:.1f}."
    left_out = run.code_shape[0] - len(maps)
    more = f" The first {len(maps)} of {run.code_shape[0]} channels." if left_out else ""
    return figure, alt, f"Nats of every unit where it lies in the image, a map for each channel of the code.{more}"


def _scatter(run: Run, split: str) -> Iterator[Picture]:
    if run.latent_dim < 2:
        return
    rows = split if len(run.rows(split)) >= FEW else "all"
    view = walks.scatter(run, split=rows, n=SCATTER_ROWS)
    of = f"{rows} examples" if rows != "all" else "examples of all splits"
    projected = "" if run.latent_dim == 2 else ", projected on their two principal components"
    yield shown(view, f"Posterior means of {len(view['points']):,} {of}{projected}.")


def _walked(run: Run, split: str) -> Iterator[Picture]:
    labelled = run.kind.conditional and run.spec.label_kind == "class"
    if run.latent_dim == 2:
        # tiles of a size at which an image can be recognised: one of 8 pixels wants as much room as one of 64
        n = None if labelled else 24 if 16 < run.spec.shape[-1] <= 32 else 12
        plane = "The latent plane decoded" + (" with each label." if labelled else ".")
        yield shown(walks.manifold(run, n=n), plane)
    elif run.latent_dim > 1:
        view = walks.traverse(run)
        count = len(view["units"])
        what = "units" if len(run.code_shape) == 1 else "channels"
        yield shown(view, f"The {count} {what} of highest rate, each moved by itself; values above, nats at the left.")
    else:
        yield shown(walks.traverse(run), "The one unit, moved from low to high.")
    rows = run.spread(split, STOPS).tolist()
    if len(rows) == STOPS:
        yield shown(walks.interpolate(run, rows=rows), f"A straight path between the codes of {STOPS} examples.")
    if labelled:
        caption = (
            "Each image encoded with its own label and decoded with every other: the label says what, the code how."
        )
        yield shown(walks.relabel(run, n=6), caption)


def units(run: Run) -> Section | None:
    """What each unit means, with evidence; and the directions that were saved with the run."""
    if not (run.kind.axes and run.spec.is_image):
        return None
    if run.kind.infers and len(run.rows(run.held_out())) < LEAST_BASES:
        return None
    view = walks.describe(run)
    each = [unit["sentence"] for unit in view.facts["units"] if "sentence" in unit]
    answers = [sentence for sentence in view.sentences if sentence not in each]
    directions = [[one.name, one.method, one.describe()] for one in saved(run.folder.path)]
    tables = [Table(["each unit"], [[sentence] for sentence in each])] if each else []
    tables += [Table(["direction", "method", "what was found"], directions)] if directions else []
    return Section("What the units mean", answers, [shown(view)], tables)
