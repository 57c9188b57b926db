"""What data and figures are called for people: names, units, what n counts, and what must be known beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from zatlas.measure.numbers import plain, with_error

Record = dict[str, Any]

DATA_KINDS = {
    "grey": "grey data",
    "static": "statically binarised data",
    "dynamic": "dynamically binarised data",
    "uint8": "8-bit data",
    "real": "real-valued data",
    "game": "the data as they are",
}
# What log p(x) is under each recipes.Quantity.
QUANTITIES = {
    "probability": "log p(x) is of a probability",
    "density": "log p(x) is of a density, which has a unit and may exceed 1",
    "loss": "the cross-entropy of intensities is a loss and not a likelihood, so no figure here is log p(x)",
    "none": "a GAN has no likelihood, and its terms are those of the game",
}
OF_KIND = {"grey": "loss", "real": "density", "game": "none"}  # in records without a quantity; else a probability
GREY_EVIDENCE = "−grey loss, marginalised"
GAME = {
    "loss": "critic loss",
    "model_loss": "generator loss",
    "value": "value V(D,G)",
    "d_real": "mean D(x)",
    "d_fake": "mean D(G(z))",
}
NAMES = {
    "elbo": "ELBO",
    "quadrature_error": "error of the grid",
    "lower_bound": "log p(x) from below",  # of the model's own draws; of grey data bits, which have one
    "upper_bound": "log p(x) from above",
    "gap": "gap between the two",
    "dimension_wise_kl": "dimension-wise KL",
    "elbo_amortised": "ELBO of the encoder",
    "elbo_optimised": "ELBO, fitted one by one",
    "bound_gap": "above the ELBO",
    "log_likelihood": "{}",
    "mode_kl": "KL of the classes",
    "psnr": "PSNR",
    "rmse": "RMSE",
    "high_khat": "examples whose weights have a heavy tail",
    "acceptance": "share of moves accepted",
    "mig": "MIG",
    "mig_sampled": "MIG, from draws",
    "irs": "IRS",
    "sap": "SAP",
    "sap_correlation": "SAP, by correlation",
    "dci": "DCI disentanglement",
    "dci_forest": "DCI disentanglement, by forests",
    "factor_vae": "FactorVAE score",
    "beta_vae": "beta-VAE score",
    "frechet_distance": "Fréchet distance",
    "modes": "classes hit",
    "classifier_accuracy": "accuracy of the classifier",
    "recognised": "recognised by the classifier",
    "as_asked": "in the class asked for, by the classifier",
    "neighbour_share": "nearest-neighbour two-sample share",
    "copying": "share of pairs with the sample nearer to training images",  # of records of 0.1
}
# Records written before figures carried their unit: these were in nats, and all others pure numbers.
OLD_NATS = (
    *("elbo", "loss", "distortion", "rate", "log_likelihood", "quadrature_error", "sampling_error", "log_loss"),
    *("lower_bound", "upper_bound", "gap", "elbo_amortised", "elbo_optimised", "amortisation_gap", "mode_kl"),
    *("mutual_information", "total_correlation", "dimension_wise_kl", "model_loss", "value", "tc"),
)


@dataclass(frozen=True)
class Line:
    """One figure as a table shows it.

    Attributes:
        metric: whose figure it is.
        words: what it is.
        figure: as in evaluation.json.
        unit: of value and standard error; empty for pure numbers.
        over: what n counts; empty where a record does not say.
        estimator: with what the error holds fixed; empty where the line above has said it.
        floor: what data reach in place of samples, where that is known.
    """

    metric: str
    words: str
    figure: Record
    unit: str = ""
    over: str = ""
    estimator: str = ""
    floor: Record | None = None

    def shown(self, figure: Record | None = None) -> str:
        """Value, standard error and unit, of the figure or of another such as its floor."""
        figure = figure or self.figure
        value, error = figure["value"], figure["standard_error"]
        number = plain(value) if not error else " ± ".join(with_error(value, error))
        return number if self.unit in ("", self.words) else f"{number} {self.unit}"

    @property
    def caution(self) -> str:
        return str(self.figure.get("caution", ""))

    @property
    def n(self) -> str:
        """``10,000``, or ``200 samples`` where it is not examples that are counted."""
        return f"{self.figure['count']:,}" + ("" if self.over in ("examples", "") else f" {self.over}")


def lines(record: Record, order: Sequence[str] = ()) -> Iterator[Line]:
    """A line for each figure of a record of evaluation.json, metric by metric; floors beside their figures.

    Args:
        record: as :func:`zatlas.measure.evaluate_run` gives it.
        order: of the metrics.
    """
    kept, evidence = record["figures"], evidence_of(record)
    bare = "game" if quantity_of(record) == "none" else "bound"
    named = [(full.rpartition(".")[0] or bare, full) for full in kept if not full.endswith("_floor")]
    named.sort(key=lambda one: order.index(one[0]) if one[0] in order else len(order))
    for metric, group in groupby(named, key=lambda one: one[0]):
        said = ""
        for _, full in group:
            figure, name = kept[full], full.rpartition(".")[2]
            # a point on the way of a curve has the estimator of its end
            again = figure["estimator"] == said or on_curve(name)
            fixed = f"; the error holds {figure['fixed']} fixed" if figure.get("fixed") else ""
            yield Line(
                metric,
                _words(metric, name, evidence),
                figure,
                unit_of(name, figure),
                figure.get("over", ""),
                "" if again else figure["estimator"] + fixed,
                kept.get(f"{full}_floor"),
            )
            said = said if again else figure["estimator"]


def _words(metric: str, name: str, evidence: str) -> str:
    """A figure in words, under its metric."""
    if metric == "game" and name in GAME:
        return GAME[name]
    count = on_curve(name)
    return f"at {samples(count)}" if count else of_figure(name, evidence)


def notes(record: Record) -> list[str]:
    """Sentences without which the figures of a record mislead, each once."""
    counts = {one["count"] for one in record["figures"].values() if one.get("over", "examples") == "examples"}
    several = "Figures of different n are of different examples: the difference of two of them says little."
    return [several] if len(counts) > 1 else []


def about(record: Record) -> str:
    """The data of a record, and what log p(x) of them is.

    >>> about({"data_kind": "static", "quantity": "probability"})
    'Statically binarised data: log p(x) is of a probability'
    """
    kind = DATA_KINDS[record["data_kind"]]
    return f"{kind[0].upper()}{kind[1:]}: {QUANTITIES[quantity_of(record)]}"


def quantity_of(record: Record) -> str:
    """The recipes.Quantity of a record; of an old one by the kind of its data."""
    return str(record.get("quantity") or OF_KIND.get(record["data_kind"], "probability"))


def evidence_of(record: Record) -> str:
    """What the estimators of log p(x) estimate: of a conditional model log p(x|y), and of grey data neither.

    >>> evidence_of({"data_kind": "grey"}), evidence_of({"data_kind": "uint8", "conditional": True})
    ('−grey loss, marginalised', 'log p(x|y)')
    """
    if quantity_of(record) == "loss":
        return GREY_EVIDENCE
    return "log p(x|y)" if record.get("conditional") else "log p(x)"


def unit_of(name: str, figure: Record) -> str:
    """The unit of a figure, which old records do not carry.

    >>> unit_of("rate", {"unit": "nats"}), unit_of("rate", {}), unit_of("frechet_distance", {})
    ('nats', 'nats', '')
    """
    known = figure.get("unit")
    return str(known) if known is not None else "nats" if name in OLD_NATS or on_curve(name) else ""


def of_figure(name: str, evidence: str = "log p(x)") -> str:
    """A figure of evaluation.json, without the name of its metric, in words.

    >>> of_figure("log_likelihood"), of_figure("frechet_distance"), of_figure("pca_linear")
    ('log p(x)', 'Fréchet distance', 'pca linear')
    """
    if name == "elbo" and evidence == GREY_EVIDENCE:
        return "ELBO of the grey loss"
    return NAMES.get(name, name.replace("_", " ")).format(evidence)


def on_curve(name: str) -> int | None:
    """How many samples a point below the end of a curve of log p(x) is of; None for any other figure."""
    found = re.fullmatch(r"log_likelihood_(\d+)", name)
    return int(found[1]) if found else None


def samples(count: int) -> str:
    """So many samples, in words.

    >>> samples(1), samples(1000)
    ('1 sample', '1,000 samples')
    """
    return f"{count:,} sample{'' if count == 1 else 's'}"
