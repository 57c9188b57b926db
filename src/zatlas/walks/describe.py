"""What each latent unit does, with evidence in pictures: a View with a row, a sentence and facts for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from zatlas.arrays import Array
from zatlas.data import evenly_spaced
from zatlas.errors import UsageError
from zatlas.figures import View, arrays
from zatlas.figures.units import Link, UnitRow
from zatlas.figures.units import units as draw_units
from zatlas.latent import Address, Unit, draw_codes, gathered_units, summed_units
from zatlas.latent.effects import LEAST_BASES, Effects, unit_effects
from zatlas.latent.properties import PROPERTIES, Property, ground_of, properties
from zatlas.parts import walk
from zatlas.runs.opened import Run
from zatlas.walks.shared import all_units, called_from_one, check_units, need_axes, numbers_of
from zatlas.walks.unit_facts import Explained, Facts, is_dead, learned_variables, of_effect, of_links
from zatlas.walks.unit_words import amount, answer, sentence

DRAWN, LINKS = 10, 3  # units that are drawn and spoken of, and properties of each
ROWS = 2000  # for marginals, factors and classes
PERIODS = {name: kind.period for name, kind in PROPERTIES.items() if kind.period}


class Start(NamedTuple):
    """Base codes ``[K, D]``, their labels, draws of every unit ``[M, D]``; held-out rows and their codes, if any."""

    base: Array
    y: Array | None
    marginal: Array
    rows: Array | None = None
    codes: Array | None = None
    labels: Array | None = None


@walk("describe", when="what each unit does to an image, in words with errors")
def describe(
    run: Run,
    *,
    units: Sequence[Address] | None = None,
    bases: int = 64,
    steps: int = 7,
    seed: int = 0,
    label: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> View:
    """What each unit changes, where, and which property moves with it.

    The figures are those of `zatlas.latent.effects`; what counts as learned is said in `zatlas.walks.unit_facts`.

    Args:
        run: an opened run, with or without its data, with or without an encoder.
        units: from 0; None: all. Of a spatial code a number is a channel, moved everywhere at once, and (channel, row,
            column) is one at a place; None: every channel.
        bases: K base codes: of held-out rows where there are any, else draws from the prior.
        steps: values that each unit takes at each of them.
        seed: of the draws.
        label: class of a conditional model; None: the rows' own, or every class in turn.
        progress: is told of each unit.

    Returns:
        For U units by falling rate (without rates: effect) and P properties: units (from 0; see
        :func:`zatlas.walks.shared.numbers_of`), values ``[U, S]`` (of a channel: by how far it is moved), effect
        and effect_error ``[U]``, heat ``[U, *data]`` and, ``[U, P]``, correlation, correlation_error, slope,
        slope_error, rank, curve, share, total, p_value; the facts have all by name.

    Raises:
        UsageError: a unit or a class that is not there, codes without axes, or fewer than 8 base codes.
        ZatlasError: neither data nor a prior to take codes from.
    """
    need_axes(run, "units to describe")
    asked = all_units(run) if units is None else units
    wanted = check_units(run, asked)
    start = _start(run, bases, seed, label)
    if len(start.base) < LEAST_BASES:
        raise UsageError(f"a description wants {LEAST_BASES} base codes or more, and there are {len(start.base)}.")
    decode = _decoder(run, start)
    measure, kinds = _measure(run, decode(start.base, np.arange(len(start.base))))
    rates = _rates(run, wanted)
    found = unit_effects(
        decode,
        start.base,
        start.marginal,
        measure,
        units=[unit.at for unit in wanted],
        steps=steps,
        periods=PERIODS,
        variance=_variance(run, start),
        progress=progress,
    )
    order = np.argsort(-(found.size if rates is None else rates), kind="stable")
    known = None if start.codes is None else gathered_units(start.codes, wanted)
    explained = Explained(run, start.rows, known, start.labels)
    facts = _facts(found, order, asked, wanted, rates, kinds, explained)
    alive = [(unit, int(row)) for unit, row in zip(facts, order, strict=True) if not unit["dead"]]
    variables = learned_variables(found, [unit for unit, _ in alive])
    tests = int(np.isfinite(found.moved.r).sum())
    spoken = [one for one, _ in alive[:DRAWN]]
    for one in spoken:
        one["sentence"] = sentence(one)
    figure = _figure(run, start, decode, found, wanted, alive[:DRAWN]) if alive else None
    return View(
        _arrays(found, order, numbers_of(asked), rates),
        figure,
        "A row for each latent unit: images as it moves, where they change, and the properties that move with it.",
        (*(one["sentence"] for one in spoken), *answer(facts, variables, len(start.base), tests, DRAWN)),
        {"units": facts, "variables": variables, "base_codes": len(start.base), "steps": steps, "tests": tests},
    )


def _facts(
    found: Effects,
    order: Array,
    asked: Sequence[Address],
    units: Sequence[Unit],
    rates: Array | None,
    kinds: dict[str, Property],
    explained: Explained,
) -> list[Facts]:
    """What is known of each unit, in that order of the rows of ``found``, whose addresses and names are given."""
    facts: list[Facts] = []
    for row in map(int, order):
        rate = None if rates is None else float(rates[row])
        facts.append(
            {"name": units[row].name, "unit": called_from_one(asked[row])}
            | {"rate_nats": rate, "dead": is_dead(found, row, rate)}
            | of_effect(found, row)
            | {"properties": of_links(found, row, kinds)}
            | explained.of(row)
        )
    return facts


def _arrays(found: Effects, order: Array, units: Array, rates: Array | None) -> dict[str, Array]:
    """The same figures as arrays, the units in that order."""
    moved = found.moved
    return arrays(
        units=units[order],
        values=found.values[order],
        rates=None if rates is None else rates[order],
        effect=found.size[order],
        effect_error=found.size_error[order],
        heat=found.heat[order],
        properties=found.names,
        correlation=moved.r[order],
        correlation_error=moved.r_error[order],
        slope=moved.slope[order],
        slope_error=moved.slope_error[order],
        rank=moved.rank[order],
        curve=moved.curve[order],
        p_value=moved.p_value[order],
        share=found.share[order],
        total=found.total[order],
    )


def _start(run: Run, bases: int, seed: int, label: str | None) -> Start:
    """Codes of held-out rows where the model has an encoder and its data; else draws from its prior."""
    chosen = None if label is None else run.labels_for(bases, label)  # first, as it may refuse
    if run.kind.infers and run.has_data:
        rows = run.spread(run.held_out(), ROWS)
        codes = run.encode(rows)
        noise = np.random.default_rng(seed).standard_normal(codes.mean.shape)
        first = evenly_spaced(np.arange(len(rows)), bases)
        own = codes.y[first] if run.kind.conditional and codes.y is not None else None
        y = own if chosen is None else chosen[: len(first)]
        return Start(codes.mean[first], y, codes.mean + codes.std * noise, rows, codes.mean, codes.y)
    z = draw_codes(run.model, ROWS, run.labels_for(ROWS, label), device=run.device, seed=seed)
    return Start(z[:bases], run.labels_for(bases, label) if chosen is None else chosen, z)


def _decoder(run: Run, start: Start) -> Callable[[Array, Array], Array]:
    """Codes and the numbers of their bases to examples; images in [0, 1], which is the bases' range of real ones."""

    def means(z: Array, which: Array) -> Array:
        return run.decode(z, None if start.y is None else start.y[which]).mean

    if not run.spec.is_image:
        return means
    if run.spec.values != "real":
        return lambda z, which: means(z, which).clip(0, 1)
    still = means(start.base, np.arange(len(start.base)))
    low, span = float(still.min()), float(np.ptp(still)) or 1.0
    return lambda z, which: (means(z, which) - low) / span


def _measure(run: Run, still: Array) -> tuple[Callable[[Array], dict[str, Array]], dict[str, Property]]:
    """What is read off examples, and how it is written: properties of images, of other data every feature."""
    if run.spec.is_image:
        ground = ground_of(still)
        return lambda x: properties(x, ground), PROPERTIES
    names = [f"feature {i + 1}" for i in range(run.spec.size)]
    read = lambda x: dict(zip(names, x.reshape(len(x), -1).T, strict=True))
    return read, dict.fromkeys(names, Property(""))


def _variance(run: Run, start: Start) -> Array | None:
    """Of the features of data that are no images, over held-out rows; None: over the base codes.

    A decoder gives a feature that is mere noise a tiny variance, and a unit may account for all of it.
    """
    if run.spec.is_image or start.rows is None:
        return None
    x = run.examples(start.rows)
    return np.asarray(x.reshape(len(x), -1).var(axis=0))


def _rates(run: Run, units: Sequence[Unit]) -> Array | None:
    known = run.kind.infers and not run.kind.point
    if not known or not (run.has_data or "unit_rates" in run.folder.record):
        return None
    return summed_units(np.asarray(run.unit_rates()), units)


def _figure(
    run: Run,
    start: Start,
    decode: Callable[[Array, Array], Array],
    found: Effects,
    units: Sequence[Unit],
    shown: list[tuple[Facts, int]],
) -> Figure:
    """The units around the most usual base code, whose every unit is nearest to its mean."""
    distance = (start.base - start.marginal.mean(axis=0)) / np.maximum(start.marginal.std(axis=0), 1e-9)
    usual = int(np.square(distance).sum(axis=1).argmin())
    steps = found.values.shape[1]
    rows = []
    for facts, row in shown:
        codes, at = np.repeat(start.base[usual, None], steps, axis=0), list(units[row].at)
        codes[:, at] = found.values[row][:, None] + (codes[:, at] if len(at) > 1 else 0)
        rate = facts["rate_nats"]
        note = f"{facts['effect_share']:.0%}" if rate is None else f"{rate:.2f} nats"
        links = [
            Link(link["name"], link["correlation"], link["correlation_error"], amount(link), link["learned"])
            for link in facts["properties"][:LINKS]
        ]
        image = run.spec.is_image
        strip = decode(codes, np.full(steps, usual)) if image else None
        rows.append(UnitRow(facts["name"], note, strip, found.heat[row].mean(axis=0) if image else None, links))
    return draw_units(rows, np.linspace(-2, 2, steps))
