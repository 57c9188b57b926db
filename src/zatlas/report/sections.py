"""The sections of a report about training, images and other runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zatlas import figures
from zatlas.evaluation.disentanglement.points import LEAST_POINTS
from zatlas.figures import View
from zatlas.measure import begin_neighbours, compare_runs, groups, short_names
from zatlas.measure import beside as side_by_side
from zatlas.parts import SORTS
from zatlas.report.page import Picture, Section, Table
from zatlas.runs.opened import Run

HELD_OUT = 1000  # examples that a report sets against the training ones: all of 10,000 take it half a minute
_LISTED = 100  # files that were left out
GAME = (
    "V(D,G) is the mean of log D(x) + log(1 - D(G(z))): −log 4 where the critic cannot tell draws from data, "
    "0 where it always can."
)


def svg(figure: Any, alt: str, caption: str = "", title: str = "") -> Picture:
    """A figure as a picture of the page."""
    return Picture(figures.themed_svg(figure, alt=alt), alt=alt, caption=caption, title=title)


def shown(view: View, caption: str = "", title: str = "") -> Picture:
    """A walk as a picture of the page."""
    return svg(view.figure, view.alt, caption, title)


def training(run: Run) -> Section | None:
    history = run.folder.metrics()
    if not history:
        return None
    why = {
        "budget": "Training used its whole budget.",
        "target": "Training stopped at the validation loss it was asked for.",
        "patience": "Training stopped when the validation loss no longer improved.",
        "overfitting": "Training overfitted and was begun again with a shorter schedule, which it used.",
        "halted": "Training was stopped early by its study: others were better at the same point.",
        "interrupted": "Training was interrupted and can be resumed.",
    }.get(run.folder.record.get("stopped") or "", "Training has not ended.")
    o, when = run.config.objective, run.config.part("objective").when
    if run.kind.has("game"):
        text = f"{why} Objective {o.kind}: {when}. {GAME}"
        alt = "Curves of the losses, the value function and the critic's answers over the training steps."
        keys = ("value", "d_real", "d_fake", "model_loss")
        pictures = [figures.curves(history, keys=keys, unit="", marks={"value": (-math.log(4), "−log 4")})]
        return Section("Training", text, [svg(picture, alt) for picture in pictures])
    weighted = f"distortion + {run.config.beta:g} × rate" if run.config.beta != 1 else "distortion + rate"
    loss = f"{weighted}: what is lost between an image and its reconstruction, plus what its code costs"
    if not run.config.is_weighted_elbo:
        loss = f"that of objective {o.kind}: {when}"
    parting = run.parting()
    text = f"{why} The loss is {loss}.{' ' + parting if parting else ''}"
    alt = "Curves of loss, distortion and rate over the training steps, for training and validation rows."
    keys = ("loss", "distortion", "rate", *run.config.part("objective").facts.get("watch", ()))
    return Section("Training", text, [svg(figures.curves(history, keys=keys), alt)])


def reconstructions(run: Run, split: str) -> Section | None:
    if not run.spec.is_image:
        return None
    rows = run.spread(split, 40 if run.spec.shape[-1] <= 32 else 20)
    x, _, pictures = run.reconstruct(rows)
    figure = figures.pairs(run.displayable(x), run.displayable(pictures.mean))
    alt = f"{len(rows)} {split} images, each above its reconstruction."
    caption = f"{split.capitalize()} images the model never trained on." if split == "test" else f"{split} images."
    return Section(
        "Reconstructions", "Each image beside the mean that its code decodes to.", [svg(figure, alt, caption)]
    )


def begin_copying(run: Run) -> Callable[[], View] | None:
    """Searches the training images nearest to samples, while the report goes on."""
    few = min(len(run.rows(split)) for split in ("train", run.held_out())) < LEAST_POINTS
    return None if few or _lacks_samples(run) else begin_neighbours(run, n=10, held_out=HELD_OUT)


def _lacks_samples(run: Run) -> bool:
    return not run.spec.is_image or (run.kind.point and not run.priors)


def samples(run: Run, copying: Callable[[], View] | None = None) -> Section | None:
    if _lacks_samples(run):
        return None
    pictures = []
    snapshots = run.folder.snapshots()
    if len(snapshots) >= 2:
        last = snapshots[-1][0]
        middle = min(snapshots, key=lambda snapshot: abs(snapshot[0] - last / 2))
        chosen = [(snapshots[0], "start"), (middle, "half-way"), (snapshots[-1], "end")]
        panels = [
            (step, label, run.displayable(images / 255 if images.dtype == np.uint8 else images))
            for (step, images), label in chosen
        ]
        alt = "Samples from the same codes at the start, half-way and at the end of training."
        pictures.append(svg(figures.progress(panels), alt, "The same codes, decoded as training went on."))
    count = 100 if run.spec.shape[-1] <= 32 else 49
    new, _ = run.sample(count, seed=1)
    drawn = f"a {next(iter(run.priors), 'mixture')} fitted to the codes" if run.kind.point else "the prior"
    alt = f"New images: the decoder's mean at codes drawn from {drawn}."
    what = "Means of p(x|z)" if run.kind.infers else "Images G(z)"
    pictures.append(svg(figures.grid(run.displayable(new.mean)), alt, f"{what}, z drawn from {drawn}."))
    for kind in run.priors[1 if run.kind.point else 0 :]:  # an autoencoder's first is in the picture above
        other, _ = run.sample(count, seed=1, prior=kind)
        alt = f"New images: the decoder's mean at codes drawn from a {kind} fitted to the codes."
        caption = f"{what}, z drawn from the ex-post prior: {run.ex_post_prior(kind).describe()}."
        pictures.append(svg(figures.grid(run.displayable(other.mean)), alt, caption))
    if run.folder.record["data_kind"] in ("grey", "static", "dynamic"):
        law = SORTS["likelihood"].get(run.likelihood).title or run.likelihood
        bits = ": every pixel black or white" if SORTS["likelihood"].get(run.likelihood).has("bits") else ""
        caption = f"{law} draws from p(x|z) at the same codes."
        drawn_at = run.displayable(new.draw)
        pictures.append(svg(figures.grid(drawn_at), f"{law} draws at the same codes{bits}.", caption))
    if copying:
        near = copying()
        pictures.append(shown(near, f"Samples above their nearest training images. {near.sentences[0]}"))
    return Section("Samples", "New examples: a code from the prior, and what the decoder makes of it.", pictures)


def comparison(runs: Sequence[Run], split: str) -> Section:
    """Runs beside one another, a picture and a table for each group whose figures may be compared."""
    rows = compare_runs(runs, split)
    names, pictures, tables = short_names([row["run"] for row in rows]), [], []
    for number, group in enumerate(groups(rows)):
        shown = side_by_side(group, names)
        title = shown.title.replace("\n", ". ")
        places = [
            figures.Place(names[row["run"]], row["figures"]["rate"]["value"], row["figures"]["distortion"]["value"])
            for row in group.rows
            if "rate" in row["figures"] and not row["point"]
        ]
        if len(places) > 1:
            picture = figures.rate_distortion(places, highlight=None if number else 0)
            pictures.append(svg(picture, "Distortion against rate, a point for each run.", title))
        told = " ".join(filter(None, [group.why, title, *shown.cautions]))
        tables.append(Table(shown.columns, shown.cells, told))
    text = (
        "Each point is a run: what its codes cost against what they lose. On a dashed line the sum, the negative ELBO, "
        "is the same everywhere."
    )
    return Section("Beside other runs", text if pictures else (), pictures, tables)


def data(run: Run) -> Section | None:
    if not run.spec.is_image:
        return None
    rows = run.spread("train", 40)
    x = run.examples(rows)
    alt = f"{len(rows)} training images of {run.source.name}."
    return Section("Training examples", "As the model sees them.", [svg(figures.grid(run.displayable(x)), alt)])


def left_out(run: Run) -> Section | None:
    """The files of the data that the model has not seen, and why."""
    files = run.source.about.get("left_out")
    if not files:
        return None
    rows = list(files.items())
    more = f" The first {_LISTED} are listed; run.json holds all." if len(rows) > _LISTED else ""
    text = f"{len(rows):,} files beside the {len(run.source):,} examples were not used.{more}"
    return Section("Left out", text, tables=[Table(("file", "why"), rows[:_LISTED])])
