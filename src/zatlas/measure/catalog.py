"""Every metric by its name."""

from __future__ import annotations

from collections.abc import Sequence

from zatlas.errors import UsageError, nearest
from zatlas.measure import codes, factors, likelihood, reconstructions, samples
from zatlas.measure.metric import Metric
from zatlas.runs.opened import Run


def _has_encoder(run: Run) -> str | None:
    return "it has a bound" if run.kind.infers else None


METRICS: dict[str, Metric] = {
    "bound": Metric(
        "ELBO, distortion, rate, active units, rate of each unit",
        likelihood.lacks_inference,
        likelihood.bound,
        usual=True,
    ),
    "reconstruction": Metric(
        "PSNR and RMSE in grey levels of images that come back from their codes",
        reconstructions.lacks_grey_levels,
        reconstructions.reconstruction,
        usual=True,
    ),
    "game": Metric("a GAN's value function and what its critic answers", _has_encoder, likelihood.game, usual=True),
    "exact": Metric("log p(x) of a linear model", likelihood.lacks_exact, likelihood.exact, usual=True),
    "quadrature": Metric(
        "log p(x) of up to two units, by a grid",
        likelihood.lacks_few_units,
        likelihood.quadrature,
        rows=100,
        usual=True,
    ),
    "importance": Metric(
        "log p(x) from below, by weighted draws of the posterior; the curve over their number",
        likelihood.lacks_density,
        likelihood.importance,
    ),
    "defensive": Metric(
        "log p(x) from below, by weighted draws of posterior and prior together: finds what the encoder missed",
        likelihood.lacks_one_layer,
        likelihood.defended,
        rows=1000,
    ),
    "annealed": Metric(
        "log p(x) from below, by annealed importance sampling with HMC",
        likelihood.lacks_one_layer,
        likelihood.annealed,
        rows=50,
    ),
    "bidirectional": Metric(
        "log p(x) from both sides, on draws of the model itself",
        likelihood.lacks_one_layer,
        likelihood.simulated,
        rows=20,
    ),
    "prior": Metric(
        "log p(x) by draws of the prior, and the curve that shows why it fails",
        likelihood.lacks_density,
        likelihood.prior,
        rows=1000,
    ),
    "rate": Metric(
        "the rate as mutual information, total correlation and dimension-wise KL",
        likelihood.lacks_diagonal,
        likelihood.decomposed,
        rows=10_000,
        usual=True,
    ),
    "gap": Metric(
        "what the encoder loses against a posterior optimised for each example",
        likelihood.lacks_diagonal,
        likelihood.gap,
        rows=100,
    ),
    "disentanglement": Metric(
        "MIG, SAP, DCI, FactorVAE and the other scores of codes against known factors",
        factors.lacks_factors,
        factors.disentanglement,
        rows=15_000,
    ),
    "samples": Metric(
        "how samples differ from data: Fréchet and kernel distance, precision, recall, density, coverage, copies",
        samples.lacks_images,
        samples.samples,
        rows=10_000,
    ),
    "probes": Metric(
        "what the codes say of the labels, beside PCA, PPCA, factor analysis and raw values",
        codes.lacks_labels,
        codes.probes,
        rows=2000,
    ),
    "bayes": Metric(
        "classification by Bayes' rule with a conditional model, and its calibration",
        codes.lacks_classes,
        codes.bayes,
        rows=1000,
    ),
}


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """The metrics asked for, by name; without any the usual ones; ``all``: every one.

    Raises:
        UsageError: an unknown name.
    """
    if not names:
        return tuple(name for name, metric in METRICS.items() if metric.usual)
    if "all" in names:
        return tuple(METRICS)
    for name in names:
        if name not in METRICS:
            raise UsageError(f"there is no metric {name!r}; {nearest(name, [*METRICS, 'all'])}")
    return tuple(dict.fromkeys(names))
