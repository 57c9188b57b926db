"""The bound, and log p(x) by every estimator that the model allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from zatlas import recipes
from zatlas.data import Rows
from zatlas.evaluation import Figure, bits_per_dimension, mean_figure
from zatlas.evaluation.likelihood import (
    amortisation_gap,
    annealed_importance,
    bidirectional,
    importance_weighted,
    integrated,
    prior_sampled,
    rate_parts,
)
from zatlas.evaluation.likelihood.rate import FEWEST as FEWEST_EXAMPLES
from zatlas.measure.metric import Found, Options, Progress
from zatlas.opened import Experiment

QUADRATURE_UNITS = 2
PRIOR_SHARE = 0.2  # of defensive draws
NO_BOUND = "an autoencoder's codes have no distribution: this is minus the distortion and bounds nothing"
ONE_CODE = "a lower bound whose gap is not known, and no metric tells it for codes that are words of a codebook."


def lacks_inference(experiment: Experiment) -> str | None:
    return None if experiment.kind.infers else "it has no encoder and no likelihood"


def lacks_density(experiment: Experiment) -> str | None:
    if experiment.kind.point:
        return "an autoencoder's codes have no distribution, so there is no p(x)"
    return lacks_inference(experiment)


def lacks_one_layer(experiment: Experiment) -> str | None:
    """For estimators that ask the prior for its density anywhere, or move z by a slope."""
    reason = lacks_density(experiment)
    if reason is None and len(experiment.model.latent_dims) > 1:
        return "it has several layers of z; importance and prior take any number"
    if reason is None and not experiment.kind.axes:
        return "its codes are words of a codebook, which have no density"
    return reason


def lacks_few_units(experiment: Experiment) -> str | None:
    reason = lacks_one_layer(experiment)
    if reason is None and experiment.latent_dim > QUADRATURE_UNITS:
        return f"a grid over {experiment.latent_dim} units has too many points; up to {QUADRATURE_UNITS} can be done"
    return reason


def lacks_diagonal(experiment: Experiment) -> str | None:
    reason = lacks_one_layer(experiment)
    if reason is None and (experiment.kind.closed or experiment.config.model.posterior != "diagonal"):
        return "it wants a diagonal Gaussian posterior"
    return reason


def lacks_exact(experiment: Experiment) -> str | None:
    return None if experiment.kind.closed else "only ppca and fa know log p(x) exactly"


def bound(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    """ELBO, distortion, rate, active units, and the rate of each unit."""
    elbo = experiment.elbo(rows, progress, seed=options.seed)
    objective = experiment.config.objective
    figures = elbo.figures(objective.beta if objective.is_weighted_elbo else 1.0)
    if experiment.kind.point:
        figures["elbo"] = replace(figures["elbo"], caution=NO_BOUND)
    figures |= _in_bits(experiment, figures["elbo"])
    if not experiment.kind.axes:
        del figures["active_units"]
        return Found(figures)
    return Found(figures, {"unit_rates": [round(float(value), 6) for value in elbo.unit_rates]})


def game(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    """The players' own terms."""
    figures = experiment.terms(rows, seed=options.seed)
    progress(len(rows))
    return Found(figures)


@torch.no_grad()
def exact(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    values = []
    for batch in experiment.batches(rows).epoch(0):
        values.append(experiment.model.log_marginal(batch.x).cpu())
        progress(len(batch.x))
    return Found({"log_likelihood": mean_figure(torch.cat(values), "exact, in closed form")})


def _found(
    estimate: Callable[..., Any], experiment: Experiment, rows: Rows, options: Options, progress: Progress, **words: Any
) -> Found:
    """The figures of an estimator that takes a model and batches."""
    common = {"device": experiment.device, "seed": options.seed, "progress": progress}
    return Found(estimate(experiment.model, experiment.batches(rows), **common, **words).figures())


def _evidence(
    estimate: Callable[..., Any], experiment: Experiment, rows: Rows, options: Options, progress: Progress, **words: Any
) -> Found:
    """The figures of an estimator of log p(x), and the ELBO of the very same examples: that of others says little."""
    common = {"device": experiment.device, "seed": options.seed, "progress": progress}
    found = estimate(experiment.model, experiment.batches(rows), **common, **words)
    figures, elbo = found.figures(), experiment.elbo(rows)
    gap = found.log_likelihood.double() + elbo.distortion + elbo.rate
    return Found(
        {
            **figures,
            **_in_bits(experiment, figures["log_likelihood"]),
            "elbo": elbo.figures()["elbo"],
            "bound_gap": mean_figure(gap, "differences example by example"),
        }
    )


def _in_bits(experiment: Experiment, figure: Figure) -> dict[str, Figure]:
    size = recipes.bits_over(experiment.config, experiment.spec)
    return {"bits_per_dimension": bits_per_dimension(figure, size)} if size else {}


def _of_codewords(found: Found) -> Found:
    """Weights whose tail says nothing: the posterior is a single code, so that all its draws weigh the same."""
    figures = {name: figure for name, figure in found.figures.items() if name != "high_khat"}
    for name in ("log_likelihood", "effective_sample_size"):
        caution = ONE_CODE if name == "log_likelihood" else ""
        figures[name] = replace(figures[name], caution=caution)
    return Found(figures)


def importance(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    words = {"samples": options.samples or 1000, "precision": experiment.fast_precision}
    found = _evidence(importance_weighted, experiment, rows, options, progress, **words)
    return found if experiment.kind.axes else _of_codewords(found)


def defended(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    words = {"samples": options.samples or 5000, "precision": experiment.fast_precision, "prior_share": PRIOR_SHARE}
    return _evidence(importance_weighted, experiment, rows, options, progress, **words)


def prior(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    words = {"samples": options.samples or 10_000, "conditional": experiment.kind.conditional}
    found = _evidence(prior_sampled, experiment, rows, options, progress, **words)
    return found if experiment.kind.axes else _of_codewords(found)


def quadrature(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    return _evidence(integrated, experiment, rows, options, progress, conditional=experiment.kind.conditional)


def annealed(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    return _evidence(annealed_importance, experiment, rows, options, progress, temperatures=options.samples or 500)


def gap(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    return _found(amortisation_gap, experiment, rows, options, progress, steps=options.samples or 300)


def decomposed(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    if len(rows) < FEWEST_EXAMPLES:  # the other usual metrics can do with one
        return Found({}, {"warnings": [f"The parts of the rate want at least {FEWEST_EXAMPLES} examples."]})
    figures = _found(rate_parts, experiment, rows, options, progress, examples=min(1000, len(rows))).figures
    del figures["active_units"]  # the bound tells them
    return Found(figures)


def simulated(experiment: Experiment, rows: Rows, options: Options, progress: Progress) -> Found:
    """Bidirectional Monte Carlo on draws of the model: its labels, where it wants some, are those of the rows."""
    y = None
    if experiment.kind.conditional:
        y = torch.cat([batch.y for batch in experiment.batches(rows).epoch(0) if batch.y is not None])
    found = bidirectional(
        experiment.model,
        None if y is not None else len(rows),
        y,
        temperatures=options.samples or 500,
        device=experiment.device,
        seed=options.seed,
        progress=progress,
    )
    return Found(found.figures())
