"""Commands that tell about runs: evaluate, compare, agree, neighbours, classifier, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zatlas.cli.commands import MEASURE, command
from zatlas.cli.completing import complete_metric, complete_run
from zatlas.cli.showing import ExPost, Guidance, Out, opened, show, show_run
from zatlas.cli.train import DataPath, Device, Json, RunPath, Split
from zatlas.errors import ZatlasError

if TYPE_CHECKING:
    from zatlas.measure import Group


@command("evaluate", panel=MEASURE, order=2)
def evaluate(
    folder: RunPath,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="What to measure; repeat it; all for every one. (default: the usual ones)",
            autocompletion=complete_metric,
        ),
    ] = None,
    split: Split = None,
    rows: Annotated[int | None, typer.Option(min=1, help="At most so many examples. (default: by metric)")] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Draws, temperatures or steps for each example. (default: by metric)")
    ] = None,
    prior: ExPost = None,
    guidance: Guidance = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    data: DataPath = None,
    checkpoint: Annotated[str | None, typer.Option(help="last, best or step-00012345.")] = None,
    device: Device = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what can be measured, and stop.")] = False,
    json: Json = False,
) -> None:
    """Measure a run: bound, log p(x) by several estimators, disentanglement; each with error and estimator."""
    from zatlas.cli.console import figures_table, print_json, say_cautions
    from zatlas.console import console, counting, say
    from zatlas.measure import METRICS, Options, chosen, evaluate_run
    from zatlas.measure.words import GREY_EVIDENCE, about, lines, notes
    from zatlas.runs.opened import Run
    from zatlas.trust import trusting

    with trusting():  # a metric that is named by its place is asked for
        chosen(metric)
    run = Run(folder, device=device or "auto", checkpoint=checkpoint, data=data, say=say)
    if list_:
        for name, entry in METRICS.items():
            lacking = entry.lacks(run)
            say(f"{name:16} {entry.when}" + (f" (not here: {lacking})" if lacking else ""))
        if run.quantity == "loss":
            say(
                f"Of grey data log p(x) stands for: {GREY_EVIDENCE}; the cross-entropy of intensities is no likelihood."
            )
        return
    options = Options(rows=rows, samples=samples, seed=seed, prior=prior, guidance=guidance)
    record = evaluate_run(run, split, metrics=metric, options=options, counting=counting)
    if json:
        print_json(record)
        _raise_if_not_kept(record)
        return
    title = f"{folder}  ·  step {record['step']:,}  ·  {record['split']} rows"
    shown = list(lines(record, list(dict.fromkeys([*METRICS, *(metric or ())]))))
    console.print(figures_table(title, shown))
    say_cautions(shown)
    for sentence in (f"{about(record)}.", *notes(record), *dict.fromkeys(record.get("warnings", ()))):
        say(sentence)
    if metric:
        for name, reason in record["left_out"].items():
            say(f"left out: {name}, since {reason}")
    if "unit_rates" in record:
        names = run.unit_names
        rates = "  ".join(f"{name} {value:.2f}" for name, value in zip(names, record["unit_rates"], strict=True))
        say(f"rate per unit: {rates}")
    if "verdict" in record:
        say(record["verdict"])
    _raise_if_not_kept(record)


def _raise_if_not_kept(record: dict[str, Any]) -> None:
    """After the figures were shown.

    Raises:
        ZatlasError: they could not be written to evaluation.json.
    """
    if sentence := record.get("not_kept"):
        raise ZatlasError(f"the figures are shown and not kept: {sentence}")


@command("compare", panel=MEASURE, order=3)
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders.", metavar="RUN RUN…", show_default=False, autocompletion=complete_run),
    ],
    split: Split = None,
    out: Out = None,
    curve: Annotated[
        str | None,
        typer.Option(help="prior, importance or defensive: instead, log p(x) against the number of such draws."),
    ] = None,
    n: Annotated[int | None, typer.Option("--rows", min=1, help="--curve: examples. (default: by metric)")] = None,
    samples: Annotated[int | None, typer.Option(min=2, help="--curve: draws. (default: by metric)")] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Set runs beside one another: a table, and a picture of rate against distortion, or of log p(x) by more draws."""
    from zatlas.cli.console import print_json
    from zatlas.console import counting, say
    from zatlas.measure import Options, compare_curves, compare_runs, groups

    opened_runs = [opened(folder, device) for folder in runs]
    if curve is not None:
        options = Options(rows=n, samples=samples)
        view = compare_curves(opened_runs, curve, split, options=options, counting=counting)
        show(Path(), out, f"{curve}-curves", json, view)
        return
    rows = compare_runs(opened_runs, split)
    found = groups(rows)
    folders = [row["run"] for row in rows]
    pictures, refused = _draw_groups(found, folders, out or Path("compare.png"))
    if json:
        apart = [{"runs": [row["run"] for row in group.rows], "why": group.why} for group in found]
        paths = [str(picture) for picture in pictures]
        print_json({"rows": rows, "groups": apart, "picture": paths[0] if paths else None, "pictures": paths})
    else:
        _say_groups(found, folders)
        for picture in pictures:
            say(str(picture))
    if refused is not None:
        raise refused


def _draw_groups(found: list[Group], folders: list[str], out: Path) -> tuple[list[Path], ZatlasError | None]:
    """A picture of rate against distortion for each group that has any; and why one could not be written, to be raised
    when the figures have been shown."""
    from zatlas.figures import Place, rate_distortion, save
    from zatlas.files import replacing
    from zatlas.measure import short_names

    names, first, pictures = short_names(folders), out.with_suffix(".png"), list[Path]()
    for group in found:
        here = [row for row in group.rows if "rate" in row["figures"] and not row["point"]]
        if len(here) < (2 if pictures else 1):  # beside no other, a point of a second picture says nothing
            continue
        value = lambda row, name: row["figures"][name]["value"]
        places = [Place(names[row["run"]], value(row, "rate"), value(row, "distortion")) for row in here]
        picture = first if not pictures else first.with_stem(f"{first.stem}-{len(pictures) + 1}")
        try:
            with replacing(picture) as part:
                save(rate_distortion(places), part, background="white")
        except ZatlasError as error:
            return pictures, error
        pictures.append(picture)
    return pictures, None


def _say_groups(found: list[Group], folders: list[str]) -> None:
    """A table for each group, and why it is not in the one before."""
    from zatlas.cli.console import comparison_table
    from zatlas.console import console, say

    for number, group in enumerate(found):
        if number:
            say(f"\n{group.why}")
        title, table, cautions = comparison_table(group, folders, console.width)
        say(title)
        console.print(table)
        for caution in cautions:
            say(caution)


@command("agree", panel=MEASURE, order=4)
def agree(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders.", metavar="RUN RUN…", show_default=False, autocompletion=complete_run),
    ],
    split: Split = None,
    rows: Annotated[int, typer.Option(min=20, help="At most so many examples.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Align the latent spaces of several trainings: what stays over seeds, and what turns (Procrustes, CCA, UDR)."""
    from zatlas.cli.console import figures_table
    from zatlas.console import console
    from zatlas.measure import agree as align_runs
    from zatlas.measure.words import lines

    view = align_runs([opened(folder, device, data) for folder in runs], split, rows=rows, seed=seed)
    if not json:
        title = f"{len(runs)} trainings  ·  {view.facts['count']:,} {view.facts['split']} rows"
        console.print(figures_table(title, lines({"figures": view.facts["figures"], "data_kind": "game"})))
    show(Path(), out, "agree", json, view)


@command("neighbours", panel=MEASURE, order=5)
def neighbours(
    folder: RunPath,
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many samples to show.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    data: DataPath = None,
    out: Out = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Samples above the training images nearest to them: has the model learned, or does it repeat?"""
    from zatlas.measure import neighbours as beside

    run = opened(folder, device, data)
    show_run(run, out, "neighbours", json, beside(run, n=n, seed=seed))


@command("classifier", panel=MEASURE, order=6)
def classifier(
    source: Annotated[str, typer.Argument(metavar="DATA", help="Images with classes: a name or a path.")],
    binarise: Annotated[str, typer.Option(help="none, static or dynamic: as the models see them.")] = "none",
    labels: Annotated[str | None, typer.Option(help="Key, column or file of the labels.")] = None,
    resize: Annotated[str | None, typer.Option(help="Pixels: 64 (square) or 64x48.")] = None,
    crop: Annotated[str | None, typer.Option(help="Pixels: 64 or 64x48.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 grey, 3 RGB.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training rows. (default: 2, or 500 steps)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File. (default: where `evaluate --metric samples` looks)")
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Train the small classifier in whose features samples are compared with data; say its accuracy and its hash."""
    from zatlas.cli.console import print_json
    from zatlas.cli.train import sizes
    from zatlas.config import make_config
    from zatlas.console import counting, say
    from zatlas.evaluation.classifier import enough_epochs, unfit
    from zatlas.measure.feature_classifier import classifier_path, examples, train_feature_classifier
    from zatlas.runs.data import open_data
    from zatlas.training import choose_device

    words = {"labels": labels, "channels": channels, **sizes(resize, crop)}
    config = make_config(("the options", {"data": {"source": source, "binarise": binarise, **words}}))
    data, splits = open_data(config)
    with counting("training", (epochs or enough_epochs(len(splits.train))) * len(splits.train)) as progress:
        trained = train_feature_classifier(
            data,
            splits.train,
            config.data.binarise,
            epochs=epochs,
            seed=seed,
            device=choose_device(device or "auto"),
            out=out,
            progress=progress,
        )
    held = "test" if len(splits.test) else "validation" if len(splits.validation) else "train"
    x, y = examples(data, getattr(splits, held), config.data.binarise)
    accuracy = trained.accuracy(x, y)
    reason = unfit(accuracy, y)
    path = out or classifier_path(data, config.data.binarise)
    if json:
        print_json(
            {
                "file": str(path),
                "name": trained.name,
                "sha256": trained.sha256,
                held: accuracy.to_json(),
                "unfit": reason,
            }
        )
        return
    error = f" ± {accuracy.standard_error:.4f}"
    say(f"{trained.name}: {accuracy.value:.4f}{error} of {accuracy.count:,} {held} images are given their class.")
    if reason:
        say(f"It cannot be used to score samples: {reason}; train it longer with --epochs, or with fewer classes.")
    used = "; `zatlas evaluate RUN --metric samples` uses it" if out is None and not reason else ""
    say(f"Kept in {path}{used}.")


@command("report", panel=MEASURE, order=7)
def report(
    folder: RunPath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="HTML file. (default: RUN/report/index.html)")] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another run, to be compared by rate and distortion; repeat it."),
    ] = None,
    data: DataPath = None,
    checkpoint: Annotated[str | None, typer.Option(help="last, best or step-00012345.")] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Write one self-contained HTML page about a run: curves, reconstructions, samples, latent space, provenance."""
    from zatlas.cli.console import print_json
    from zatlas.console import say
    from zatlas.report import write_report
    from zatlas.runs.opened import Run

    run = Run(folder, device=device or "auto", checkpoint=checkpoint, data=data, say=say)
    others = [Run(other, device=device or "auto", say=say) for other in beside or []]
    path = write_report(run, out, others)
    if json:
        print_json({"run": str(folder), "report": str(path), "bytes": path.stat().st_size})
    else:
        say(f"Report: {path}")
