"""The model card of a hub folder: what the model is, how it is used, what was measured of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from zatlas import figures, walks
from zatlas.errors import printable
from zatlas.measure.words import about, lines, notes
from zatlas.runs.opened import Run

MOST_LABELS = 20
SAMPLES = 40


@dataclass(frozen=True)
class Shown:
    """A picture of the card.

    Attributes:
        name: of its file.
        figure: what it shows.
        caption: what it is, a sentence.
    """

    name: str
    figure: Figure
    caption: str


def pictures(run: Run) -> list[Shown]:
    """Draws from the model and its latent space; no example of the data is among them."""
    if not run.spec.is_image:
        return []
    return list(_pictures(run))


def _pictures(run: Run) -> Iterator[Shown]:
    if not run.kind.point or run.priors:
        new, _ = run.sample(SAMPLES, seed=1)
        what = "Means of p(x|z)" if run.kind.infers else "Images G(z)"
        drawn = f"a {next(iter(run.priors), 'mixture')} fitted to the codes" if run.kind.point else "the prior"
        yield Shown("samples.png", figures.grid(run.displayable(new.mean), columns=10), f"{what}, z from {drawn}.")
    if not (run.kind.axes and run.kind.infers and run.has_rates):
        return
    if run.latent_dim == 2 and not run.kind.conditional:
        view, caption = walks.manifold(run, n=12), "The latent plane, decoded on a grid."
    else:
        view, caption = walks.traverse(run), "The units of highest rate, each moved by itself."
    if view.figure is not None:
        yield Shown("latent.png", view.figure, caption)


def text(value: Any) -> str:
    r"""A name from data as Markdown that shows it and does nothing else.

    >>> text("<b>a|b</b> [x](y)")
    '&lt;b&gt;a&#124;b&lt;/b&gt; \\[x\\](y)'
    """
    line = printable(str(value)).replace("\n", " ").replace("\t", " ").replace("&", "&amp;")
    line = line.replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;").replace("://", ":&#8203;//")
    return re.sub(r"([\\`*_\[\]{}!~])", r"\\\1", line)


def card(run: Run, facts: dict[str, Any], evaluation: dict[str, Any], shown: Sequence[Shown]) -> str:
    """README.md: a head of YAML that the hub reads, and the card."""
    model, data = facts["model"], facts["data"]
    shape = " × ".join(map(str, data["shape"]))
    tags = ["zatlas", model["kind"], "latent-variable-model"]
    head = ["---", "library_name: zatlas", "tags:", *(f"- {tag}" for tag in tags)]
    if run.spec.is_image:
        head.append("pipeline_tag: unconditional-image-generation")
    levels, made_by = facts["latent"]["levels"], run.folder.record.get("zatlas", facts["versions"]["zatlas"])
    units = f"{facts['latent']['dim']} latent units" + (f" in {len(levels)} levels" if len(levels) > 1 else "")
    blocks = [
        "\n".join([*head, "---"]),
        f"# {text(model['title'])} of {text(data['name'])}",
        f"{text(model['title'])} with {units}, {model['parameters']:,} parameters ({text(model['network'])} network), "
        f"of examples of shape {shape} ({VALUES[data['values']]}), trained with zatlas {text(made_by)}.",
        *(f"![{picture.caption}]({picture.name})\n\n*{picture.caption}*" for picture in shown),
        _use(run),
        _measured(evaluation, run),
        _made(run, facts),
        "## What this folder holds\n\nWeights without code (`model.safetensors`), the configuration (`config.json`) "
        "and figures. No training example is in it; pictures are the model's own.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


VALUES = {"uint8": "whole numbers 0 to 255, shown to the model divided by 255", "unit": "in [0, 1]", "real": "real"}


def _use(run: Run) -> str:
    draws = not run.kind.point or bool(run.priors)
    lines_ = [
        "import zatlas",
        "from huggingface_hub import snapshot_download",
        "",
        'run = zatlas.open(snapshot_download("OWNER/NAME"))  # or the path of this folder',
        "new = run.sample(16)[0].mean" if draws else f"back = run.decode([[0.0] * {run.latent_dim}]).mean",
    ]
    return "\n".join(
        [
            "## How it is used",
            "",
            "```python",
            *lines_,
            "```",
            "",
            "`zatlas import FOLDER --from hub` makes a run of it, to be evaluated, walked and exported like any other.",
        ]
    )


def _measured(evaluation: dict[str, Any], run: Run) -> str:
    if not evaluation.get("figures"):
        return "## What was measured\n\nNothing yet: `zatlas evaluate RUN`, then export again."
    rows = ["| figure | value | n | estimator |", "|---|---|---|---|"]
    found = list(lines(evaluation))
    for line in found:
        metric = "" if line.metric in ("bound", "game") else f"{line.metric}: "
        rows.append(f"| {text(metric + line.words)} | {text(line.shown())} | {line.n} | {text(line.estimator)} |")
    cautions = dict.fromkeys(line.caution.rstrip(".") for line in found if line.caution)
    split, of = text(evaluation.get("split", "")), text(evaluation.get("data", ""))
    said = f"Of the {split} rows of {of}. {text(about(evaluation))}."
    return "\n".join(
        [
            "## What was measured",
            "",
            said,
            "",
            *rows,
            *(f"\n{text(sentence)}" for sentence in notes(evaluation)),
            *(f"\nCaution: {text(sentence)}." for sentence in cautions),
        ]
    )


def _made(run: Run, facts: dict[str, Any]) -> str:
    record, data = run.folder.record, facts["data"]
    labels = [text(label) for label in data["labels"][:MOST_LABELS]]
    more = f" and {len(data['labels']) - MOST_LABELS} more" if len(data["labels"]) > MOST_LABELS else ""
    said = [
        f"- data: {text(data['name'])}, {run.folder.training_rows:,} training rows",
        f"- likelihood: {text(facts['model']['likelihood'])}; posterior: {text(facts['posterior'] or 'none')}; "
        f"prior: {text(facts['prior'].get('family', 'none'))}",
        f"- objective: {text(run.config.objective.kind)}; {record.get('steps', 0):,} steps, "
        f"{record.get('train_seconds', 0.0):.1f} s",
    ]
    if labels:
        said.append(f"- labels: {', '.join(labels)}{more}")
    return "\n".join(["## How it was made", "", *said])
