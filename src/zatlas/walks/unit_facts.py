"""What is known of the units of a code, as JSON has it: effects, properties, factors, classes, and what was learned.

A property is *learned* by a unit where r^2 >= 0.5 (at least half of what the unit does to it is one straight line, the
same at every base code), where it accounts for 5 % or more of the property's variance over the base codes, and where
the slope differs from zero with p < 0.01 after Bonferroni's correction for all units and properties. The variables that
a model has learned are paired with units by falling share of variance, each unit and each property once; a property
that is correlated by 0.8 or more with one already named is that one again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.data import Rows
from zatlas.figures.latents import DEAD_NATS
from zatlas.latent.effects import Effects
from zatlas.latent.explained_variance import class_contrasts, explained_by_group, explained_by_number
from zatlas.latent.properties import Property
from zatlas.runs.opened import Run
from zatlas.walks.unit_words import place_of

Facts = dict[str, Any]

STRAIGHT, LEAST_SHARE, SIGNIFICANT, ALIKE = 0.5, 0.05, 0.01, 0.8
FOUND = 0.5  # R^2 of a factor with a unit, from which the model is said to have found it
DEAD_SHARE = 0.01  # of the largest effect, where no rates are known
MOST = 20  # properties in the facts of a unit; the arrays have all


def is_dead(found: Effects, row: int, rate: float | None) -> bool:
    """Whether a unit carries less than 0.01 nats or, where rates are not known, does next to nothing."""
    return bool(found.size[row] < DEAD_SHARE * found.size.max()) if rate is None else rate < DEAD_NATS


def of_links(found: Effects, row: int, kinds: dict[str, Property]) -> list[Facts]:
    """The properties that are defined: those learned first, then those with a straight line, by share of variance."""
    moved = found.moved
    tests = np.isfinite(moved.r).sum()
    facts = []
    for i in np.argsort(-np.nan_to_num(found.share[row], nan=-1.0), kind="stable"):
        r, share, p = (float(x[row, i]) for x in (moved.r, found.share, moved.p_value))
        if np.isnan(r):
            continue
        kind = kinds[found.names[i]]
        facts.append(
            {
                "name": found.names[i],
                "correlation": r,
                "correlation_error": float(moved.r_error[row, i]),
                "rank_correlation": float(moved.rank[row, i]),
                "curve": float(moved.curve[row, i]),
                "slope": float(moved.slope[row, i]) * kind.times,
                "slope_error": float(moved.slope_error[row, i]) * kind.times,
                "slope_unit": kind.unit,
                "share_of_variance": share,
                "total_share": float(found.total[row, i]),
                "p_value": p,
                "base_codes": int(moved.bases[row, i]),
                "learned": bool(r**2 >= STRAIGHT and share >= LEAST_SHARE and p * tests < SIGNIFICANT),
            }
        )
    return sorted(facts, key=lambda link: (not link["learned"], link["correlation"] ** 2 < STRAIGHT))[:MOST]


def of_effect(found: Effects, row: int) -> Facts:
    """How much the unit changes and, of an image, where."""
    usual = found.heat.mean(axis=0)
    where = place_of(found.heat[row].mean(axis=0), usual.mean(axis=0)) if usual.ndim == 3 else None
    return {
        "effect": float(found.size[row]),
        "effect_error": float(found.size_error[row]),
        "effect_share": float(found.size[row] / (found.size.sum() or 1.0)),
        "where": where,
    }


class Explained:
    """What factors and labels say of every unit, from the codes ``[N, D]`` of rows with labels ``[N, Y]``."""

    def __init__(self, run: Run, rows: Rows | None, codes: Array | None, labels: Array | None) -> None:
        self.factors: dict[str, tuple[Array, Array]] = {}
        self.classes: tuple[Array, Array] | None = None
        self.names = run.spec.labels
        if codes is None or rows is None:
            return
        if (table := run.source.factors) is not None:
            for name, column in zip(run.source.factor_names, table[rows].T, strict=True):
                whole = bool((column == np.round(column)).all())  # a real factor seldom takes a value twice
                self.factors[name] = (explained_by_group if whole else explained_by_number)(codes, column)
        if labels is None:
            return
        if run.spec.label_kind == "class":
            classes = labels.argmax(axis=1)
            if table is None or not any(np.array_equal(column, classes) for column in table[rows].T):
                self.factors["the class"] = explained_by_group(codes, classes)
            if len(np.unique(classes)) > 1:
                self.classes = class_contrasts(codes, classes, labels.shape[1])
        else:
            for name, column in zip(self.names, labels.T, strict=True):
                self.factors.setdefault(name, explained_by_number(codes, column))

    def of(self, unit: int) -> Facts:
        """Factors by falling R^2, and the classes at either end."""
        factors = [
            {"name": name, "r2": float(r2[unit]), "r2_error": float(error[unit]), "found": bool(r2[unit] >= FOUND)}
            for name, (r2, error) in self.factors.items()
        ]
        facts: Facts = {"factors": sorted(factors, key=lambda factor: -factor["r2"])} if factors else {}
        if self.classes is not None:
            contrast, error = (x[unit] for x in self.classes)
            ends = {"lowest": int(np.nanargmin(contrast)), "highest": int(np.nanargmax(contrast))}
            facts["classes"] = {
                end: {"name": self.names[c], "d_prime": float(contrast[c]), "d_prime_error": float(error[c])}
                for end, c in ends.items()
            }
        return facts


def learned_variables(found: Effects, alive: list[Facts]) -> list[Facts]:
    """Pairs of a unit and a property that it has learned, by falling share, each once; see above."""
    pairs = [(unit["name"], link) for unit in alive for link in unit["properties"] if link["learned"]]
    at = found.names.index
    chosen: list[Facts] = []
    for unit, link in sorted(pairs, key=lambda pair: -pair[1]["share_of_variance"]):
        new = all(abs(found.likeness[at(link["name"]), at(one["name"])]) < ALIKE for one in chosen)
        if new and all(one["unit"] != unit for one in chosen):
            chosen.append({"unit": unit, **link})
    return chosen
