"""What is known of the units of a code, in plain words."""

from __future__ import annotations

from math import floor, log10
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.figures.latents import number

Facts = dict[str, Any]

MOSTLY = 0.42  # share of the change in one third of the image, of which an even change has a third
AROUND = 0.06  # share in the middle ninth below which the change is at the edges
MORE = 1.2  # times the share that all units have there
WORTH_SAYING = 0.1  # R^2 of a factor that a sentence speaks of
WANTED = 4  # variables


def place_of(heat: Array, usual: Array) -> str:
    """Where most of the change ``[H, W]`` is, by thirds; if that says little, where it is more than usual ``[H, W]``.

    >>> even, corner = np.ones((9, 9)), np.zeros((9, 9))
    >>> corner[:3, 6:] = 1
    >>> place_of(corner, even), place_of(even, even), place_of(even + corner, even)
    ('mostly at the top right', 'all over the image', 'more than other units at the top right')
    """
    if min(heat.shape) < 3:
        return "all over the image"
    rows, columns = _thirds(heat.sum(axis=1)), _thirds(heat.sum(axis=0))
    if side := _side(rows, columns, MOSTLY):
        return f"mostly at the {side}"
    third = [size // 3 for size in heat.shape]
    middle = heat[third[0] : -third[0], third[1] : -third[1]].sum() / (heat.sum() or 1.0)
    if middle < AROUND:
        return "mostly around the edges"
    lifts = (_lift(rows, _thirds(usual.sum(axis=1))), _lift(columns, _thirds(usual.sum(axis=0))))
    if side := _side(*lifts, MORE):
        return f"more than other units at the {side}"
    return "mostly in the middle" if min(rows[1], columns[1]) >= MOSTLY else "all over the image"


def _thirds(sums: Array) -> Array:
    return np.add.reduceat(sums, np.arange(3) * len(sums) // 3) / (sums.sum() or 1.0)


def _lift(shares: Array, usual: Array) -> Array:
    return np.divide(shares, usual, out=np.zeros(3), where=usual > 0)


def _side(rows: Array, columns: Array, least: float) -> str:
    words = ((rows, ("top", "", "bottom")), (columns, ("left", "", "right")))
    return " ".join(names[thirds.argmax()] for thirds, names in words if thirds.max() >= least).strip()


def significant(value: float, error: float) -> tuple[str, str]:
    """A value and its error to the error's first digit (two where it begins with 1).

    >>> significant(12.345, 0.234), significant(12.345, 0.0), significant(-0.01234, 0.00123)
    (('12.3', '0.2'), ('12.3', '0'), ('−0.0123', '0.0012'))
    """
    if not error > 0:
        return number(value, 1 if abs(value) >= 1 else 3), "0"
    digits = -floor(log10(error))
    digits += round(error * 10**digits, 6) < 2
    return tuple(f"{x:.{max(0, digits)}f}".replace("-", "−") for x in (value, error))  # type: ignore[return-value]


def amount(link: Facts) -> str:
    """What one sd does to a property: ``12.3 ± 0.2°``."""
    value, error = significant(link["slope"], link["slope_error"])
    unit = link["slope_unit"].split(" of ")[0]
    return f"{value} ± {error}{unit if unit in ('°', '%', '') else ' ' + unit}"


def with_error(value: float, error: float) -> str:
    """``0.97 ± 0.01``, with three digits where the error is smaller; none is written as less than 0.001."""
    digits = 2 if error >= 0.00995 else 3
    return f"{value:.{digits}f} ± {max(error, 0.001):.{digits}f}".replace("-", "−")


def correlation(link: Facts) -> str:
    """``r = 0.97 ± 0.01``."""
    return f"r = {with_error(link['correlation'], link['correlation_error'])}"


def sentence(unit: Facts) -> str:
    """What one unit does: the property that it moves most, its effect and where, what factors and classes say."""
    told = [factor for factor in unit.get("factors", ()) if factor["r2"] >= WORTH_SAYING][:2]
    parts = [_properties(unit["properties"]), _effect(unit)]
    if told:
        parts.append("tells " + " and ".join(f"{f['name']} (R² {with_error(f['r2'], f['r2_error'])})" for f in told))
    if "classes" in unit and any(factor["name"] == "the class" for factor in told):
        ends = [unit["classes"][end] for end in ("lowest", "highest")]
        low, high = (f"{e['name']} (d′ {e['d_prime']:.1f} ± {e['d_prime_error']:.1f})".replace("-", "−") for e in ends)
        parts.append(f"lowest for {low}, highest for {high}")
    rate = "" if unit["rate_nats"] is None else f" ({unit['rate_nats']:.2f} nats)"
    return f"{unit['name']}{rate}: {'; '.join(parts)}."


def _properties(links: list[Facts]) -> str:
    """What moves with the unit: what it has learned; else what moves a little, or turns back, or comes nearest."""
    if not links:
        return "no simple property is defined on what it shows"
    first = links[0]  # learned ones come first, then those that a straight line describes
    if first["learned"]:
        also = [f"{link['name']} (r = {link['correlation']:.2f})" for link in links[1:3] if link["learned"]]
        return _moves(first) + (f", also {' and '.join(also)}".replace("-", "−") if also else "")
    if first["correlation"] ** 2 >= 0.5:
        return f"{_moves(first)}, which is {first['share_of_variance']:.1%} of that property's variance"
    near = max(links, key=lambda link: abs(float(link["correlation"])))
    back = max(links, key=lambda link: float(link["curve"]) * (link["total_share"] >= 0.05))
    if back["curve"] >= 0.5 and back["curve"] > 2 * near["correlation"] ** 2:
        return f"{back['name']} turns back along it (η² = {back['curve']:.2f}, {correlation(back)})"
    return f"no simple property moves with it alike everywhere (nearest: {near['name']}, {correlation(near)})"


def _moves(link: Facts) -> str:
    whole = link["slope_unit"].partition(" of ")[2]
    return f"{link['name']}, {correlation(link)}, {amount(link)}{' of ' + whole if whole else ''} per s.d."


def _effect(unit: Facts) -> str:
    if unit["where"] is None:
        size, error = significant(unit["effect"], unit["effect_error"])
        return f"changes a value by {size} ± {error} per s.d., {unit['effect_share']:.0%} of what all units do"
    size, error = significant(100 * unit["effect"], 100 * unit["effect_error"])
    share = f"{unit['effect_share']:.0%} of what all units do"
    return f"changes a pixel by {size} ± {error}% of full range per s.d., {share}, {unit['where']}"


def answer(units: list[Facts], variables: list[Facts], bases: int, tests: int, spoken: int) -> list[str]:
    """What there is in all: other units, the variables learned with their evidence, the best unit for every factor."""
    said = []
    if (more := sum(not unit["dead"] for unit in units) - spoken) > 0:
        said.append(f"{more} more unit{'s' if more > 1 else ''} of less effect: --json describes them too.")
    if dead := [unit for unit in units if unit["dead"]]:
        names = ", ".join(unit["name"] for unit in dead[:8]) + (f" and {len(dead) - 8} more" if len(dead) > 8 else "")
        known = dead[0]["rate_nats"] is not None
        why = "under 0.01 nats, so that the code says nothing of the example" if known else "no effect to speak of"
        said.append(f"{names}: dead, {why}.")
    named = ", ".join(f"{v['name']} ({v['unit']}, r = {v['correlation']:.2f})" for v in variables).replace("-", "−")
    evidence = (
        f"each with r² ≥ 0.5 over {bases} base codes, 5% or more of the property's variance, and p < 0.01 after "
        f"Bonferroni over {tests:,} tests"
    )
    if len(variables) >= WANTED:
        said.append(f"At least {len(variables)} variables that this model has learned: {named}; {evidence}.")
    elif variables:
        count = f"{len(variables)} variable{'s' if len(variables) > 1 else ''}"
        said.append(f"Only {count} can be named that this model has learned, a unit for each: {named}; {evidence}.")
    else:
        said.append(f"No variable can be named that a single unit of this model has learned; asked for: {evidence}.")
    alive = [(unit, factor) for unit in units if not unit["dead"] for factor in unit.get("factors", ())]
    best: dict[str, tuple[bool, str]] = {}
    for unit, factor in sorted(alive, key=lambda pair: -pair[1]["r2"]):
        best.setdefault(factor["name"], (factor["found"], f"{factor['name']} ({unit['name']}, R² {factor['r2']:.2f})"))
    listed = lambda found: ", ".join(words for is_found, words in best.values() if is_found == found)
    if best:
        parts = [f"found (R² ≥ 0.5): {listed(True)}"] * bool(listed(True)) + [f"not found: {listed(False)}"] * bool(
            listed(False)
        )
        said.append(f"Of what is known of the data, {'; '.join(parts)}.")
    return said
