"""The bound, and log p(x) by every estimator that the model allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from zatlas import recipes
from zatlas.console import clock
from zatlas.data import Rows, evenly_spaced
from zatlas.evaluation import Figure, bits_per_dimension, mean_figure
from zatlas.evaluation.likelihood import (
    Price,
    amortisation_gap,
    annealed_importance,
    bidirectional,
    importance_weighted,
    integrated,
    price,
    prior_sampled,
    rate_parts,
)
from zatlas.evaluation.likelihood.rate import FEWEST as FEWEST_EXAMPLES
from zatlas.measure.metric import Found, Options, Progress
from zatlas.parts import metric
from zatlas.runs.opened import Run
from zatlas.types import in_closed_form

QUADRATURE_UNITS = 2
ANNEALING_GFLOP, FEWEST_ANNEALED = 20_000.0, 4
LONG_SECONDS = 30.0
PRIOR_SHARE = 0.2  # of defensive draws
NO_BOUND = "an autoencoder's codes have no distribution: this is minus the distortion and bounds nothing"
NO_LIKELIHOOD = "The objective {} is no likelihood: there is no bound on log p(x), and only the rate is in nats."
ONE_CODE = "a lower bound whose gap is not known, and no metric tells it for codes that are words of a codebook."


def lacks_inference(run: Run) -> str | None:
    return None if run.kind.infers else "it has no encoder and no likelihood"


def lacks_likelihood(run: Run) -> str | None:
    """For what bounds log p(x), which an objective that is none of likelihood never looked at."""
    name = run.config.objective.kind
    if run.kind.infers and run.config.part("objective").facts.get("no_likelihood"):
        return f"its objective, {name}, is no likelihood: reconstruction and samples say how good it is"
    return lacks_inference(run)


def lacks_density(run: Run) -> str | None:
    if reason := lacks_likelihood(run):
        return reason
    if run.kind.point:
        return "an autoencoder's codes have no distribution, so there is no p(x)"
    return lacks_inference(run)


def lacks_one_layer(run: Run) -> str | None:
    """For estimators that ask the prior for its density anywhere, or move z by a slope."""
    reason = lacks_density(run)
    if reason is None and len(run.model.latent_dims) > 1:
        return "it has several layers of z; importance and prior take any number"
    if reason is None and not run.kind.axes:
        return "its codes are words of a codebook, which have no density"
    return reason


def lacks_few_units(run: Run) -> str | None:
    reason = lacks_one_layer(run)
    if reason is None and run.latent_dim > QUADRATURE_UNITS:
        return f"a grid over {run.latent_dim} units has too many points; up to {QUADRATURE_UNITS} can be done"
    return reason


def lacks_diagonal(run: Run) -> str | None:
    reason = lacks_one_layer(run)
    if reason is None and not run.has_diagonal_posterior:
        return "it wants a diagonal Gaussian posterior"
    return reason


def has_encoder(run: Run) -> str | None:
    return "it has a bound" if run.kind.infers else None


def lacks_exact(run: Run) -> str | None:
    return None if run.kind.closed else "only ppca and fa know log p(x) exactly"


@metric(
    "bound",
    when="ELBO, distortion, rate, active units, rate of each unit",
    order=1,
    lacks=lacks_inference,
    usual=True,
)
def bound(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """ELBO, distortion, rate, active units, and the rate of each unit."""
    elbo = run.elbo(rows, progress, seed=options.seed)
    figures = elbo.figures(run.config.beta if run.config.is_weighted_elbo else 1.0)
    if lacks_likelihood(run):  # what p(x|z) says of x was never looked at: it is no distortion of a bound
        figures = {name: figures[name] for name in ("rate", "active_units") if name in figures}
        rates = {"unit_rates": [round(float(value), 6) for value in elbo.unit_rates]}
        return Found(figures, {**rates, "warnings": [NO_LIKELIHOOD.format(run.config.objective.kind)]})
    if run.kind.point:
        figures["elbo"] = replace(figures["elbo"], caution=NO_BOUND)
    figures |= _in_bits(run, figures["elbo"])
    if not run.kind.axes:
        del figures["active_units"]
        return Found(figures)
    return Found(figures, {"unit_rates": [round(float(value), 6) for value in elbo.unit_rates]})


@metric(
    "game",
    when="a GAN's value function and what its critic answers",
    order=3,
    lacks=has_encoder,
    usual=True,
)
def game(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """The players' own terms."""
    figures = run.terms(rows, seed=options.seed)
    progress(len(rows))
    return Found(figures)


@metric(
    "exact",
    when="log p(x) of a linear model",
    order=4,
    lacks=lacks_exact,
    usual=True,
)
@torch.no_grad()
def exact(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    model, values = in_closed_form(run.model), []
    for batch in run.batches(rows).epoch(0):
        values.append(model.log_marginal(batch.x).cpu())
        progress(len(batch.x))
    return Found({"log_likelihood": mean_figure(torch.cat(values), "exact, in closed form")})


def _found(
    estimate: Callable[..., Any], run: Run, rows: Rows, options: Options, progress: Progress, **words: Any
) -> Found:
    """The figures of an estimator that takes a model and batches."""
    common = {"device": run.device, "seed": options.seed, "progress": progress}
    return Found(estimate(run.model, run.batches(rows), **common, **words).figures())


def _evidence(
    estimate: Callable[..., Any], run: Run, rows: Rows, options: Options, progress: Progress, **words: Any
) -> Found:
    """The figures of an estimator of log p(x), and the ELBO of the very same examples: that of others says little."""
    common = {"device": run.device, "seed": options.seed, "progress": progress}
    found = estimate(run.model, run.batches(rows), **common, **words)
    figures, elbo = found.figures(), run.elbo(rows)
    gap = found.log_likelihood.double() + elbo.distortion + elbo.rate
    return Found(
        {
            **figures,
            **_in_bits(run, figures["log_likelihood"]),
            "elbo": elbo.figures()["elbo"],
            "bound_gap": mean_figure(gap, "differences example by example"),
        }
    )


def _in_bits(run: Run, figure: Figure) -> dict[str, Figure]:
    size = recipes.bits_over(run.config, run.spec)
    return {"bits_per_dimension": bits_per_dimension(figure, size)} if size else {}


def _of_codewords(found: Found) -> Found:
    """Weights whose tail says nothing: the posterior is a single code, so that all its draws weigh the same."""
    figures = {name: figure for name, figure in found.figures.items() if name != "high_khat"}
    for name in ("log_likelihood", "effective_sample_size"):
        caution = ONE_CODE if name == "log_likelihood" else ""
        figures[name] = replace(figures[name], caution=caution)
    return Found(figures)


@metric(
    "importance",
    when="log p(x) from below, by weighted draws of the posterior; the curve over their number",
    order=6,
    lacks=lacks_density,
)
def importance(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    words = {"samples": options.samples or 1000, "precision": run.fast_precision}
    found = _evidence(importance_weighted, run, rows, options, progress, **words)
    return found if run.kind.axes else _of_codewords(found)


@metric(
    "defensive",
    when="log p(x) from below, by weighted draws of posterior and prior together: finds what the encoder missed",
    order=7,
    lacks=lacks_one_layer,
    rows=1000,
)
def defended(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    words = {"samples": options.samples or 5000, "precision": run.fast_precision, "prior_share": PRIOR_SHARE}
    return _evidence(importance_weighted, run, rows, options, progress, **words)


@metric(
    "prior",
    when="log p(x) by draws of the prior, and the curve that shows why it fails",
    order=10,
    lacks=lacks_density,
    rows=1000,
)
def prior(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    words = {"samples": options.samples or 10_000, "conditional": run.kind.conditional}
    found = _evidence(prior_sampled, run, rows, options, progress, **words)
    return found if run.kind.axes else _of_codewords(found)


@metric(
    "quadrature",
    when="log p(x) of up to two units, by a grid",
    order=5,
    lacks=lacks_few_units,
    rows=100,
    usual=True,
)
def quadrature(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    return _evidence(integrated, run, rows, options, progress, conditional=run.kind.conditional)


def _price(run: Run, rows: Rows, options: Options, *, both_ways: bool = False) -> Price:
    batch = next(iter(run.batches(evenly_spaced(rows, 4)).epoch(0)))
    model, temperatures = run.need_inference("likelihood"), options.samples or 500
    return price(model, batch, temperatures=temperatures, both_ways=both_ways, device=run.device)


def _affordable(run: Run, options: Options, most: int, *, both_ways: bool = False) -> int:
    """As many examples as 20 TFLOP are enough for, which a core makes in some minutes; at least 4, of which there is an
    error. By count and not by stopwatch, so that a run is measured on the same rows on every machine."""
    found = _price(run, run.rows(run.held_out()), options, both_ways=both_ways)
    return max(FEWEST_ANNEALED, min(most, int(ANNEALING_GFLOP / max(found.gflop * found.gradients, 1e-9))))


def _foretell(run: Run, rows: Rows, options: Options, *, both_ways: bool = False) -> None:
    """Says how long it will take, where that is long."""
    found = _price(run, rows, options, both_ways=both_ways)
    seconds, temperatures = found.seconds * found.gradients * len(rows), options.samples or 500
    if seconds > LONG_SECONDS:
        run.say(
            f"Annealing takes about {clock(seconds)} here: {len(rows)} examples, {found.gradients:,} gradients of the "
            f"decoder for each; --rows takes fewer examples, --samples fewer than {temperatures} temperatures."
        )


@metric(
    "annealed",
    when="log p(x) from below, by annealed importance sampling with HMC",
    order=8,
    lacks=lacks_one_layer,
    rows=lambda run, options: _affordable(run, options, 50),
)
def annealed(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    _foretell(run, rows, options)
    return _evidence(annealed_importance, run, rows, options, progress, temperatures=options.samples or 500)


@metric(
    "gap",
    when="what the encoder loses against a posterior optimised for each example",
    order=12,
    lacks=lacks_diagonal,
    rows=100,
)
def gap(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    return _found(amortisation_gap, run, rows, options, progress, steps=options.samples or 300)


@metric(
    "rate",
    when="the rate as mutual information, total correlation and dimension-wise KL",
    order=11,
    lacks=lacks_diagonal,
    rows=10_000,
    usual=True,
)
def decomposed(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    if len(rows) < FEWEST_EXAMPLES:  # the other usual metrics can do with one
        return Found({}, {"warnings": [f"The parts of the rate want at least {FEWEST_EXAMPLES} examples."]})
    figures = _found(rate_parts, run, rows, options, progress, examples=min(1000, len(rows))).figures
    del figures["active_units"]  # the bound tells them
    return Found(figures)


@metric(
    "bidirectional",
    when="log p(x) from both sides, on draws of the model itself",
    order=9,
    lacks=lacks_one_layer,
    rows=lambda run, options: _affordable(run, options, 20, both_ways=True),
)
def simulated(run: Run, rows: Rows, options: Options, progress: Progress) -> Found:
    """Bidirectional Monte Carlo on draws of the model: its labels, where it wants some, are those of the rows."""
    _foretell(run, rows, options, both_ways=True)
    y = None
    if run.kind.conditional:
        y = torch.cat([batch.y for batch in run.batches(rows).epoch(0) if batch.y is not None])
    found = bidirectional(
        run.need_inference("likelihood"),
        None if y is not None else len(rows),
        y,
        temperatures=options.samples or 500,
        device=run.device,
        seed=options.seed,
        progress=progress,
    )
    return Found(found.figures())
