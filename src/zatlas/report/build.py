"""From a run to its report: measures, walks, draws, and hands plain content to the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zatlas import figures
from zatlas.files import write_bytes
from zatlas.kinds import ADVERSARIAL, OBJECTIVES
from zatlas.measure import compare_runs, evaluate_run
from zatlas.opened import Experiment
from zatlas.report.page import File, Headline, Picture, Report, Section, Table, render

Array = npt.NDArray[Any]
# Terms of objectives that are no nats, and how people call them.
TERMS = {
    "loss": "critic loss",
    "model_loss": "generator loss",
    "value": "value V(D,G)",
    "d_real": "mean D(x)",
    "d_fake": "mean D(G(z))",
}
# What an objective is watched by beside loss, distortion and rate.
WATCHED = {
    "vq": ("perplexity",),
    "tcvae": ("tc",),
    "factor": ("tc",),
    "infovae": ("mmd",),
    "constrained": ("multiplier",),
}
UNITS = {"d_real": "", "d_fake": "", "penalty": ""}
SCATTER_ROWS = 10_000
FEW = 1000  # a scatter of fewer test examples says little, so all splits are shown
FILES = {
    "run.json": "versions, command, seeds, device, times, result",
    "config.toml": "the whole configuration; `zatlas train --config` on it repeats the run",
    "metrics.jsonl": "the curves, one JSON object a line",
    "evaluation.json": "the figures above, with estimator and standard error",
    "checkpoints": "weights, optimiser and random states",
    "snapshots": "samples from the same codes while training went on",
}
GAME = (
    "V(D,G) is the mean of log D(x) + log(1 - D(G(z))): −log 4 where the critic cannot tell draws from data, "
    "0 where it always can."
)
KINDS = {
    "grey": "grey data: the cross-entropy of intensities, a loss and not a likelihood",
    "static": "statically binarised data",
    "dynamic": "dynamically binarised data",
    "uint8": "8-bit data, discretised likelihood",
    "real": "real-valued data",
    "game": "the data as they are; a GAN has no likelihood, and its terms are those of the game",
}


def write_report(experiment: Experiment, out: Path | None = None, beside: Sequence[Experiment] = ()) -> Path:
    """Writes the page of a run and returns its path.

    Args:
        experiment: an opened run with its data.
        out: the HTML file; None: ``report/index.html`` in the run folder.
        beside: other runs on the same data, to be compared by rate and distortion.

    Raises:
        ZatlasError: damaged metrics or snapshots, data that changed, or a disk that refuses.
    """
    path = out if out is not None else experiment.run.folder / "report" / "index.html"
    write_bytes(path, render(describe(experiment, beside)).encode())
    return path


def describe(experiment: Experiment, beside: Sequence[Experiment] = ()) -> Report:
    """All that the page shows."""
    run, config = experiment.run, experiment.config
    split = experiment.held_out()
    measured = evaluate_run(experiment, split, metrics=("bound", "game"))
    kind = f"{experiment.kind.title}, z = {experiment.latent_dim}"
    sections = [
        section
        for section in (
            _training(experiment),
            _reconstructions(experiment, split) if experiment.kind.infers else None,
            _samples(experiment),
            _latent_space(experiment, split, measured) if experiment.kind.infers else None,
            _comparison([experiment, *beside], split) if beside else None,
            _data(experiment),
        )
        if section is not None
    ]
    record = run.record
    return Report(
        title=f"{kind}, on {experiment.source.name}",
        summary=(f"{_made(experiment)} Losses are nats per example on {KINDS[record['data_kind']]}."),
        headlines=_headlines(experiment, measured),
        sections=sections,
        configuration=config.model_dump(exclude_none=True),
        data={
            "name": experiment.source.name,
            "examples": len(experiment.source),
            **{f"{name} rows": len(rows) for name, rows in experiment.splits._asdict().items()},
            "shape": " × ".join(map(str, experiment.spec.shape)),
            "values": experiment.spec.values,
            "labels": len(experiment.spec.labels) or "none",
            "fingerprint (sha256)": experiment.source.fingerprint(),
            **experiment.source.about,
        },
        provenance={
            key: record[key]
            for key in (
                *("command", "zatlas", "torch", "python", "system", "cores", "threads", "device", "precision"),
                *("seed", "created", "finished", "status", "stopped", "train_seconds", "wall_seconds"),
            )
            if record.get(key) is not None
        },
        files=list(_files(run.folder)),
    )


def _made(experiment: Experiment) -> str:
    """How the model came to be, in a sentence."""
    record, count = experiment.run.record, f"{experiment.run.record.get('parameters', 0):,} parameters"
    if experiment.kind.closed:
        return f"{count}, fitted in closed form."
    network = f"A {experiment.config.model.network} network of {count}"
    return f"{network}, trained for {record['train_seconds']:.1f} s ({record['steps']:,} steps)."


def _headlines(experiment: Experiment, measured: dict[str, Any]) -> list[Headline]:
    record, shown = experiment.run.record, []
    figures_ = measured["figures"]
    if not experiment.kind.infers:
        for name, figure in figures_.items():
            title = f"{measured['split']} {TERMS.get(name, name)}"
            shown.append(Headline(title, figure["value"], UNITS.get(name, "nats"), None, figure["estimator"]))
        return [*shown, *_speed(record)]
    if "loss" not in figures_:
        elbo = figures_["elbo"]
        figures_ = {"loss": {**elbo, "value": -elbo["value"]}, **figures_}
    loss = "loss" if experiment.config.objective.is_weighted_elbo else "negative ELBO"
    for name in ("loss", "distortion", "rate"):
        figure = figures_[name]
        shown.append(
            Headline(
                f"{measured['split']} {loss}" if name == "loss" else name,
                figure["value"],
                "nats",
                figure["standard_error"],
                f"{figure['estimator']}; {figure['count']:,} examples",
            )
        )
    if units := figures_.get("active_units"):
        count = f"{units['value']} of {experiment.latent_dim}"
        shown.append(Headline("active units", count, "", None, units["estimator"]))
    return [*shown, *_speed(record)]


def _speed(record: dict[str, Any]) -> list[Headline]:
    seconds = record["train_seconds"]
    shown = [Headline("training", round(seconds, 1), "s", note="time in training steps")]
    if seconds and record.get("examples"):
        shown.append(Headline("throughput", round(record["examples"] / seconds), "examples/s"))
    return shown


def _svg(figure: Any, alt: str, caption: str = "", title: str = "") -> Picture:
    return Picture(figures.themed_svg(figure, alt=alt), alt=alt, caption=caption, title=title)


def _training(experiment: Experiment) -> Section | None:
    history = experiment.run.metrics()
    if not history:
        return None
    why = {
        "budget": "Training used its whole budget.",
        "target": "Training stopped at the validation loss it was asked for.",
        "patience": "Training stopped when the validation loss no longer improved; the best weights are used.",
        "interrupted": "Training was interrupted and can be resumed.",
    }.get(experiment.run.record.get("stopped") or "", "Training has not ended.")
    o = experiment.config.objective
    if o.kind in ADVERSARIAL:
        text = f"{why} Objective {o.kind}: {OBJECTIVES[o.kind]}. {GAME}"
        alt = "Curves of the losses, the value function and the critic's answers over the training steps."
        keys = ("value", "d_real", "d_fake", "model_loss")
        pictures = [figures.curves(history, keys=keys, unit="", marks={"value": (-math.log(4), "−log 4")})]
        return Section("Training", text, [_svg(picture, alt) for picture in pictures])
    weighted = f"distortion + {o.beta:g} × rate" if o.beta != 1 else "distortion + rate"
    loss = f"{weighted}: what is lost between an image and its reconstruction, plus what its code costs"
    if not o.is_weighted_elbo:
        loss = f"that of objective {o.kind}: {OBJECTIVES[o.kind]}"
    text = f"{why} The loss is {loss}."
    alt = "Curves of loss, distortion and rate over the training steps, for training and validation rows."
    keys = ("loss", "distortion", "rate", *WATCHED.get(o.kind, ()))
    return Section("Training", text, [_svg(figures.curves(history, keys=keys), alt)])


def _reconstructions(experiment: Experiment, split: str) -> Section | None:
    if not experiment.spec.is_image:
        return None
    rows = experiment.spread(split, 40 if experiment.spec.shape[-1] <= 32 else 20)
    x, _, pictures = experiment.reconstruct(rows)
    figure = figures.pairs(experiment.displayable(x), experiment.displayable(pictures.mean))
    alt = f"{len(rows)} {split} images, each above its reconstruction."
    caption = f"{split.capitalize()} images the model never trained on." if split == "test" else f"{split} images."
    return Section(
        "Reconstructions", "Each image beside the mean that its code decodes to.", [_svg(figure, alt, caption)]
    )


def _samples(experiment: Experiment) -> Section | None:
    if not experiment.spec.is_image or (experiment.kind.point and not experiment.has_prior()):
        return None
    pictures = []
    snapshots = experiment.run.snapshots()
    if len(snapshots) >= 2:
        last = snapshots[-1][0]
        middle = min(snapshots, key=lambda snapshot: abs(snapshot[0] - last / 2))
        chosen = [(snapshots[0], "start"), (middle, "half-way"), (snapshots[-1], "end")]
        panels = [
            (step, label, experiment.displayable(images / 255 if images.dtype == np.uint8 else images))
            for (step, images), label in chosen
        ]
        alt = "Samples from the same codes at the start, half-way and at the end of training."
        pictures.append(_svg(figures.progress(panels), alt, "The same codes, decoded as training went on."))
    count = 100 if experiment.spec.shape[-1] <= 32 else 49
    new, _ = experiment.sample(count, seed=1)
    drawn = "a mixture fitted to the codes" if experiment.kind.point else "the prior"
    alt = f"New images: the decoder's mean at codes drawn from {drawn}."
    shown = "Means of p(x|z)" if experiment.kind.infers else "Images G(z)"
    pictures.append(_svg(figures.grid(experiment.displayable(new.mean)), alt, f"{shown}, z drawn from {drawn}."))
    if experiment.has_prior() and not experiment.kind.point:
        other, _ = experiment.sample(count, seed=1, prior="mixture")
        alt = "New images: the decoder's mean at codes drawn from a mixture fitted to the codes."
        caption = f"{shown}, z drawn from the ex-post prior: {experiment.ex_post_prior('mixture').describe()}."
        pictures.append(_svg(figures.grid(experiment.displayable(other.mean)), alt, caption))
    if experiment.run.record["data_kind"] in ("grey", "static", "dynamic"):
        alt = "Bernoulli draws at the same codes: every pixel black or white."
        pictures.append(_svg(figures.grid(new.draw), alt, "Bernoulli draws from p(x|z) at the same codes."))
    return Section("Samples", "New examples: a code from the prior, and what the decoder makes of it.", pictures)


def _latent_space(experiment: Experiment, split: str, measured: dict[str, Any]) -> Section:
    latent_dim, spec = experiment.latent_dim, experiment.spec
    shown = split if len(experiment.rows(split)) >= FEW else "all"
    codes = experiment.encode(experiment.spread(shown, SCATTER_ROWS))
    numbers = experiment.label_numbers(codes.y)
    pictures = []
    if latent_dim >= 2:
        points, axes, how = _plane(codes.mean)
        figure = figures.scatter(
            points,
            numbers,
            spec.labels if spec.label_kind == "class" else None,
            axis_labels=axes,
            prior=latent_dim == 2 and not experiment.kind.point,
        )
        alt = "Scatter of the codes of examples" + (", coloured by label." if numbers is not None else ".")
        of = f"{shown} examples" if shown != "all" else "examples of all splits"
        pictures.append(_svg(figure, alt, f"Posterior means of {len(points):,} {of}{how}."))
    text = "Where the examples lie, what each unit carries, and what lies between them."
    if not experiment.kind.axes:
        return Section("Latent space", "Where the examples lie.", pictures)
    rates = np.asarray(measured["unit_rates"])
    if not experiment.kind.point:
        active = rates >= 0.01
        alt = "Bars of the rate of every latent unit in nats."
        pictures.append(_svg(figures.rates(rates, active), alt, "Nats that each unit carries; dead units are marked."))
    pictures += _walks(experiment)
    table = Table(["unit", "rate (nats)"], [[f"z{i + 1}", round(float(r), 3)] for i, r in enumerate(rates)][:50])
    return Section("Latent space", text, pictures, [table] if latent_dim > 2 else [])


def _comparison(experiments: Sequence[Experiment], split: str) -> Section:
    rows = compare_runs(experiments, split)
    places, table = [], []
    for row in rows:
        name, found = Path(row["run"]).name, row["figures"]
        if "rate" in found:
            places.append(figures.Place(name, found["rate"]["value"], found["distortion"]["value"]))
            bound = -found["elbo"]["value"]
            table.append(
                [name, f"{row['beta']:g}", *(round(v, 2) for v in (bound, places[-1].distortion, places[-1].rate))]
            )
    text = (
        "Each point is a run: what its codes cost against what they lose. On a dashed line the sum, the negative ELBO, "
        "is the same everywhere."
    )
    alt = "Distortion against rate, a point for each run."
    pictures = [_svg(figures.rate_distortion(places, highlight=0), alt)] if places else []
    columns = ["run", "beta", "negative ELBO (nats)", "distortion (nats)", "rate (nats)"]
    return Section("Beside other runs", text, pictures, [Table(columns, table)])


def _plane(means: Array) -> tuple[Array, tuple[str, str], str]:
    """Codes in two dimensions: themselves, or their two principal components."""
    if means.shape[1] == 2:
        return means, ("z₁", "z₂"), ""
    centred = means - means.mean(0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    share = values[:2] ** 2 / max(float((values**2).sum()), 1e-12)
    names = (f"component 1 ({share[0]:.0%})", f"component 2 ({share[1]:.0%})")
    return centred @ directions[:2].T, names, ", projected on the two principal components of the codes"


def _walks(experiment: Experiment) -> list[Picture]:
    spec = experiment.spec
    if not spec.is_image:
        return []
    classes = spec.labels[:10] if experiment.kind.conditional and spec.label_kind == "class" else ()
    pictures = [_styles(experiment, classes)] if classes else []
    if experiment.latent_dim != 2:
        return [*pictures, _traversals(experiment, classes[0] if classes else None)]
    return pictures + [_manifold(experiment, label) for label in classes or (None,)]


def _styles(experiment: Experiment, classes: tuple[str, ...]) -> Picture:
    """A row for each class, the same codes in every row: what the label changes and what the code keeps."""
    n = 12
    z = experiment.sample(n, label=classes[0], seed=2)[0].z
    rows = np.concatenate([experiment.decode(z, experiment.labels_for(n, label)).mean for label in classes])
    figure = figures.grid(experiment.displayable(rows), columns=n, row_labels=list(classes))
    alt = "A row of decoded images for each class; every column keeps one code."
    return _svg(figure, alt, "Each column is one code, decoded with every label: the label says what, the code how.")


def _manifold(experiment: Experiment, label: str | None) -> Picture:
    # tiles of a size at which an image can be recognised: one of 8 pixels wants as much room as one of 64
    width = experiment.spec.shape[-1]
    n = (10 if width <= 32 else 6) if label is not None else (24 if 16 < width <= 32 else 12)
    grid, _ = experiment.manifold(n=n, span=2.0, spacing="even", label=label)
    shown = experiment.displayable(grid.images.reshape(n * n, *experiment.spec.shape)).reshape(grid.images.shape)
    of = f" with label {label}" if label is not None else ""
    alt = f"A grid of decoded images over the latent square from -2 to 2{of}."
    # one a class: small, so that several stand side by side
    scale = max(1, 280 // (n * experiment.spec.shape[-1])) if label is not None else None
    return _svg(figures.manifold(shown, grid.ticks, scale=scale), alt, f"The latent plane decoded{of}.")


def _traversals(experiment: Experiment, label: str | None) -> Picture:
    walk, rates = experiment.traverse(label=label)
    shown = experiment.displayable(walk.images.reshape(-1, *experiment.spec.shape)).reshape(walk.images.shape)
    names = [f"z{u + 1}" for u in walk.units]
    alt = "Traversals: a row for each latent unit, moved from low to high while the others stay."
    caption = f"The {len(names)} units of highest rate, each moved by itself; values above, nats at the left."
    return _svg(figures.traversals(shown, names, walk.values, rates), alt, caption)


def _data(experiment: Experiment) -> Section | None:
    if not experiment.spec.is_image:
        return None
    rows = experiment.spread("train", 40)
    x = np.concatenate([batch.x.cpu().numpy() for batch in experiment.batches(rows).epoch(0)])
    alt = f"{len(rows)} training images of {experiment.source.name}."
    return Section("Training examples", "As the model sees them.", [_svg(figures.grid(experiment.displayable(x)), alt)])


def _files(folder: Path) -> Iterator[File]:
    for name, what in FILES.items():
        path = folder / name
        if path.is_file():
            yield File(name, path.stat().st_size, what)
        elif path.is_dir():
            yield File(f"{name}/", sum(p.stat().st_size for p in path.rglob("*") if p.is_file()), what)
