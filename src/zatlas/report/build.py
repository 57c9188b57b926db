"""From a run to its report: measures, walks, draws, and hands plain content to the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zatlas.errors import ZatlasError
from zatlas.files import write_bytes
from zatlas.measure import evaluate_run, tell_if_not_kept
from zatlas.measure.words import GAME, about, unit_of
from zatlas.opened import Experiment
from zatlas.report import sections, space
from zatlas.report.card import card
from zatlas.report.page import File, Headline, Report, render

FILES = {
    "run.json": "versions, command, seeds, device, times, result",
    "config.toml": "the whole configuration; `zatlas train --config` on it repeats the run",
    "metrics.jsonl": "the curves, one JSON object a line",
    "evaluation.json": "the figures above, with estimator and standard error",
    "checkpoints": "weights, optimiser and random states",
    "snapshots": "samples from the same codes while training went on",
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
    report = describe(experiment, beside)
    try:
        # a path that is not UTF-8 is shown as \\udcff
        write_bytes(path, render(report).encode(errors="backslashreplace"))
    except ZatlasError:
        for headline in report.headlines:  # so that the figures at least are not lost
            value, error = headline.shown
            experiment.say(f"{headline.name}: {value}{f' ± {error}' if error else ''} {headline.unit}".rstrip())
        raise
    return path


def describe(experiment: Experiment, beside: Sequence[Experiment] = ()) -> Report:
    """All that the page shows."""
    run, config = experiment.run, experiment.config
    split = experiment.held_out()
    measured = evaluate_run(experiment, split, metrics=("bound", "reconstruction", "game"))
    tell_if_not_kept(experiment, measured)
    kind = f"{experiment.kind.title}, z = {experiment.latent_dim}"
    shown = (
        card(experiment, split, measured),
        sections.training(experiment),
        sections.reconstructions(experiment, split) if experiment.kind.infers else None,
        sections.samples(experiment),
        space.latent_space(experiment, split, measured) if experiment.kind.infers else None,
        space.units(experiment),
        sections.comparison([experiment, *beside], split) if beside else None,
        sections.data(experiment),
        sections.left_out(experiment),
    )
    record = run.record
    return Report(
        title=f"{kind}, on {experiment.source.name}",
        summary=f"{_made(experiment)} {about(measured)}.",
        headlines=_headlines(experiment, measured),
        sections=[section for section in shown if section is not None],
        configuration=config.model_dump(exclude_none=True, exclude={"model": {"encoder_graph", "decoder_graph"}}),
        data={
            "name": experiment.source.name,
            "examples": len(experiment.source),
            **{f"{name} rows": len(rows) for name, rows in experiment.splits._asdict().items()},
            "shape": " × ".join(map(str, experiment.spec.shape)),
            "values": experiment.spec.values,
            "labels": len(experiment.spec.labels) or "none",
            "fingerprint (sha256)": experiment.source.fingerprint(),
            **{name: fact for name, fact in experiment.source.about.items() if name != "left_out"},
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
    if record["status"] == "imported":
        return f"{count}, imported from {record['imported'].get('file', 'modules')}."
    network = f"{experiment.config.model.network} network of {count}"
    return f"{network}, trained for {record['train_seconds']:.1f} s ({record['steps']:,} steps)."


def _headlines(experiment: Experiment, measured: dict[str, Any]) -> list[Headline]:
    record, shown = experiment.run.record, []
    figures_ = measured["figures"]
    if not experiment.kind.infers:
        terms = {name: figure for name, figure in figures_.items() if "." not in name}  # others are the card's
        for name, figure in terms.items():
            words = f"{measured['split']} {GAME.get(name, name)}"
            shown.append(Headline(words, figure["value"], unit_of(name, figure), None, figure["estimator"]))
        return [*shown, *_speed(record)]
    if "loss" not in figures_:
        elbo = figures_["elbo"]
        figures_ = {"loss": {**elbo, "value": -elbo["value"], "caution": ""}, **figures_}
    loss = "loss" if experiment.config.objective.is_weighted_elbo else "negative ELBO"
    names = {"loss": f"{measured['split']} {loss}", "distortion": "distortion", "rate": "rate"}
    names |= {"bits_per_dimension": "bits per dimension", "reconstruction.psnr": "PSNR", "reconstruction.rmse": "RMSE"}
    for name, words in names.items():
        if (figure := figures_.get(name)) is None:
            continue
        unit, over = unit_of(name, figure), figure.get("over", "examples")
        told = f"{figure['estimator']}; {figure['count']:,} {over}"
        unit = "" if unit == words else unit
        shown.append(Headline(words, figure["value"], unit, figure["standard_error"], told, figure.get("caution", "")))
    if units := figures_.get("active_units"):
        count = f"{units['value']} of {experiment.latent_dim}"
        shown.append(Headline("active units", count, "", None, f"{units['estimator']}; {units['count']:,} examples"))
    return [*shown, *_speed(record)]


def _speed(record: dict[str, Any]) -> list[Headline]:
    seconds = record["train_seconds"]
    shown = [Headline("training", round(seconds, 1), "s", note="time in training steps")]
    if seconds and record.get("examples"):
        shown.append(Headline("throughput", round(record["examples"] / seconds), "examples/s"))
    return shown


def _files(folder: Path) -> Iterator[File]:
    for name, what in FILES.items():
        path = folder / name
        if path.is_file():
            yield File(name, path.stat().st_size, what)
        elif path.is_dir():
            yield File(f"{name}/", sum(p.stat().st_size for p in path.rglob("*") if p.is_file()), what)
