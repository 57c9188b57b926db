"""From a run to its report: measures, walks, draws, and hands plain content to the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zatlas.data.augmentation import in_words
from zatlas.errors import ZatlasError
from zatlas.figures import on_page
from zatlas.files import write_bytes
from zatlas.measure import evaluate_run, tell_if_not_kept
from zatlas.measure.words import GAME, about, unit_of
from zatlas.report import sections, space
from zatlas.report.card import card
from zatlas.report.page import File, Headline, Report, render
from zatlas.runs.opened import Run

FILES = {
    "run.json": "versions, command, seeds, device, times, result",
    "config.toml": "the whole configuration; `zatlas train --config` on it repeats the run",
    "metrics.jsonl": "the curves, one JSON object a line",
    "evaluation.json": "the figures above, with estimator and standard error",
    "checkpoints": "weights, optimiser and random states",
    "snapshots": "samples from the same codes while training went on",
}


def write_report(run: Run, out: Path | None = None, beside: Sequence[Run] = ()) -> Path:
    """Writes the page of a run and returns its path.

    Args:
        run: an opened run with its data.
        out: the HTML file; None: ``report/index.html`` in the run folder.
        beside: other runs on the same data, to be compared by rate and distortion.

    Raises:
        ZatlasError: damaged metrics or snapshots, data that changed, or a disk that refuses.
    """
    path = out if out is not None else run.folder.path / "report" / "index.html"
    with on_page() as look:
        report = describe(run, beside)
    try:
        # a path that is not UTF-8 is shown as \\udcff
        write_bytes(path, render(report, look).encode(errors="backslashreplace"))
    except ZatlasError:
        for headline in report.headlines:  # so that the figures at least are not lost
            value, error = headline.shown
            run.say(f"{headline.name}: {value}{f' ± {error}' if error else ''} {headline.unit}".rstrip())
        raise
    return path


def describe(run: Run, beside: Sequence[Run] = ()) -> Report:
    """All that the page shows."""
    folder, config = run.folder, run.config
    split = run.held_out()
    measured = evaluate_run(run, split, metrics=("bound", "reconstruction", "game"))
    tell_if_not_kept(run, measured)
    copying = sections.begin_copying(run)  # a core searches while the other draws
    kind = f"{run.kind.title}, z = {run.code_size}"
    before = (
        card(run, split, measured),
        sections.training(run),
        sections.reconstructions(run, split) if run.kind.infers else None,
    )
    after = (
        space.latent_space(run, split, measured) if run.kind.infers else None,
        space.units(run),
        sections.comparison([run, *beside], split) if beside else None,
        sections.data(run),
        sections.left_out(run),
    )
    shown = (*before, sections.samples(run, copying), *after)
    record = folder.record
    return Report(
        title=f"{kind}, on {run.source.name}",
        summary=f"{_made(run)} {about(measured)}.{_changed(run)}",
        headlines=_headlines(run, measured),
        sections=[section for section in shown if section is not None],
        configuration=config.model_dump(exclude_none=True, exclude={"network": {"encoder_graph", "decoder_graph"}}),
        data={
            "name": run.source.name,
            "examples": len(run.source),
            **{f"{name} rows": len(rows) for name, rows in run.splits._asdict().items()},
            "shape": " × ".join(map(str, run.spec.shape)),
            "values": run.spec.values,
            "labels": len(run.spec.labels) or "none",
            "fingerprint (sha256)": run.source.fingerprint(),
            **{name: fact for name, fact in run.source.about.items() if name not in ("left_out", "factor")},
            **{f"augmented by {name}": fact for name, fact in record["data"].get("augment", {}).items()},
        },
        provenance={
            key: record[key]
            for key in (
                *("command", "zatlas", "torch", "python", "system", "cores", "threads", "device", "precision"),
                *("seed", "created", "finished", "status", "stopped", "train_seconds", "wall_seconds"),
            )
            if record.get(key) is not None
        },
        files=list(_files(folder.path)),
    )


def _made(run: Run) -> str:
    """How the model came to be, in a sentence."""
    record, count = run.folder.record, f"{run.folder.record.get('parameters', 0):,} parameters"
    if run.kind.closed:
        return f"{count}, fitted in closed form."
    if record["status"] == "imported":
        return f"{count}, imported from {record['imported'].get('file', 'modules')}."
    network = f"{run.config.network_kind} network of {count}"
    return f"{network}, trained for {record['train_seconds']:.1f} s ({record['steps']:,} steps)."


def _changed(run: Run) -> str:
    said = in_words(run.config.data.augment) if run.config.data.augment else ""
    return f" Training images were {said}." if said else ""


def _headlines(run: Run, measured: dict[str, Any]) -> list[Headline]:
    record, shown = run.folder.record, []
    figures_ = measured["figures"]
    if not run.kind.infers:
        terms = {name: figure for name, figure in figures_.items() if "." not in name}  # others are the card's
        for name, figure in terms.items():
            words = f"{measured['split']} {GAME.get(name, name)}"
            shown.append(Headline(words, figure["value"], unit_of(name, figure), None, figure["estimator"]))
        return [*shown, *_speed(record)]
    if "loss" not in figures_ and "elbo" in figures_:
        elbo = figures_["elbo"]
        figures_ = {"loss": {**elbo, "value": -elbo["value"], "caution": ""}, **figures_}
    loss = "loss" if run.config.is_weighted_elbo else "negative ELBO"
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
        count = f"{units['value']} of {run.latent_dim}"
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
