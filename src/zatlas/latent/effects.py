"""What one unit of a code does to what is decoded, measured without labels.

At each of K base codes unit d alone takes S values z_s, and a number p (a simple property, a feature) is read off what
is decoded. With t_s = (z_s - mean z) / sd, where sd is that of the unit's own marginal, and p~ = p less its mean over
the base's S examples:

.. math:: \\beta = \\frac{1}{K} \\sum_b \\frac{\\sum_s t_s \\tilde p_{bs}}{\\sum_s t_s^2}, \\qquad
          r = \\frac{\\sum_{bs} t_s \\tilde p_{bs}}{\\sqrt{K \\sum_s t_s^2 \\sum_{bs} \\tilde p_{bs}^2}}, \\qquad
          \\eta^2 = \\frac{K \\sum_s (\\frac{1}{K} \\sum_b \\tilde p_{bs})^2}{\\sum_{bs} \\tilde p_{bs}^2}

The slope beta is in units of p for one sd. r is 1 where p moves in proportion to the unit, and alike at every base;
eta^2 >= r^2 counts any curve that the bases share. Both are high for the smallest change if it is an orderly one, so
:math:`\\beta^2 / \\mathrm{Var}(p)`, over the base codes, says how much of p goes with the unit: the first-order
sensitivity index (Sobol 1993) of a straight line. The mean of p~^2 over Var(p) counts all that the unit does to p. Base
codes are independent: every error is over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zatlas.arrays import Array

Decode = Callable[[Array, Array], Array]  # codes [N, D] and the number of each one's base [N] to examples [N, *data]
Measure = Callable[[Array], Mapping[str, Array]]  # examples [N, *data] to numbers by name, each [N]

LEAST_BASES = 8  # a property that is defined at fewer is passed over
_AT_ONCE = 448  # examples held at a time


class Association(NamedTuple):
    """How P numbers move with a unit, ``[P]`` (of U units ``[U, P]``); NaN where fewer than 8 bases have the number.

    Attributes:
        slope: of the number for one sd of the unit, and its standard error.
        r: correlation within the bases, and its standard error by the jackknife; 0 where nothing moves.
        rank: the same of ranks: 1 where the number rises whenever the unit does, in proportion or not.
        curve: eta^2.
        spread: mean square of p~.
        p_value: two-sided, of a slope of zero (Student's t over the bases).
        bases: how many have the number at every value of the unit.
    """

    slope: Array
    slope_error: Array
    r: Array
    r_error: Array
    rank: Array
    curve: Array
    spread: Array
    p_value: Array
    bases: Array


class Effects(NamedTuple):
    """Of U units in the order asked for, on what is decoded and on P numbers read off it.

    Attributes:
        values: what each unit was set to, ``[U, S]``.
        size: mean absolute change of an example's values for one sd, ``[U]``, and its standard error.
        heat: the same for each place, ``[U, *data]``.
        names: of the numbers.
        moved: each unit with each number, ``[U, P]``.
        share: beta^2 / Var(p) over the base codes, ``[U, P]``; 0 where p is the same at all of them.
        total: mean p~^2 / Var(p), ``[U, P]``.
        likeness: correlation of the numbers with one another over the base codes, ``[P, P]``.
    """

    values: Array
    size: Array
    size_error: Array
    heat: Array
    names: tuple[str, ...]
    moved: Association
    share: Array
    total: Array
    likeness: Array


def normal_quantiles(marginal: Array, steps: int, span: float = 2.0) -> Array:
    """Values ``[D, S]`` of units with draws ``[M, D]``: the quantiles that a normal one has at -span .. span sd."""
    from statistics import NormalDist

    shares = [NormalDist().cdf(t) for t in np.linspace(-span, span, steps)]
    return np.quantile(marginal, shares, axis=0).T


def unit_effects(
    decode: Decode,
    base: Array,
    marginal: Array,
    measure: Measure,
    *,
    units: Sequence[int | Sequence[int]],
    steps: int = 7,
    periods: Mapping[str, float] | None = None,
    variance: Array | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Effects:
    """Moves each unit by itself from every base code, decodes, and measures what changed.

    Args:
        decode: codes, and the numbers of their bases, to examples.
        base: codes ``[K, D]``.
        marginal: draws of every unit ``[M, D]``: each moves between their quantiles of 2.3 % and 97.7 %.
        measure: what is read off the examples.
        units: which, from 0. Several numbers are one unit that is moved as a whole, as a channel everywhere is: by
            the quantiles of how far its numbers are from the mean of each, so that their differences stay.
        steps: S, values that a unit takes.
        periods: of the numbers that are angles: they are followed around.
        variance: Var(p) of each number ``[P]``; None: that over the base codes.
        progress: is told of each unit.
    """
    count = len(base)
    ats = [[unit] if isinstance(unit, int | np.integer) else list(unit) for unit in units]
    # of each unit its draws [M, 1]: of several numbers together how far they are from their means
    drawn = [marginal[:, at] if len(at) == 1 else _about_mean(marginal[:, at]) for at in ats]
    values = np.concatenate([normal_quantiles(own, steps) for own in drawn])
    sd = np.array([own.std() for own in drawn])
    sd = np.where(sd > 0, sd, 1.0)  # a unit that never moves changes nothing, for whatever distance
    still = decode(base, np.arange(count))
    before = measure(still)
    names = tuple(before)
    sizes, errors, heats, moved = [], [], [], []
    for unit, at in enumerate(ats):
        heat, change = np.zeros(still.shape[1:]), np.zeros(count)
        found = np.zeros((count, steps, len(names)))
        for part in np.array_split(np.arange(count), -(-count * steps // _AT_ONCE)):
            codes = np.repeat(base[part, None], steps, axis=1)
            codes[:, :, at] = values[unit][:, None] + (codes[:, :, at] if len(at) > 1 else 0)
            shown = decode(codes.reshape(-1, base.shape[1]), np.repeat(part, steps))
            numbers = measure(shown)
            found[part] = np.stack([numbers[name] for name in names], axis=-1).reshape(len(part), steps, -1)
            # the way that a value goes, over the distance that the unit goes
            way = np.abs(np.diff(shown.reshape(len(part), steps, *still.shape[1:]), axis=1)).sum(axis=1)
            way = way * (sd[unit] / max(float(np.ptp(values[unit])), 1e-12))
            heat += way.sum(axis=0) / count
            change[part] = way.reshape(len(part), -1).mean(axis=1)
        for name, period in (periods or {}).items():
            if name in names:
                angle = names.index(name)
                found[:, :, angle] = np.unwrap(found[:, :, angle], axis=1, period=period)
        sizes.append(change.mean())
        errors.append(change.std(ddof=1) / np.sqrt(count))
        heats.append(heat)
        moved.append(associate((values[unit] - values[unit].mean()) / sd[unit], found))
        progress(1)
    of_units = Association(*(np.stack(column) for column in zip(*moved, strict=True)))
    table = np.stack([before[name] for name in names], axis=1)
    own, likeness = _spread(table)
    of_all = own if variance is None else variance
    share, total = (
        _over(change, np.broadcast_to(of_all, change.shape)) for change in (of_units.slope**2, of_units.spread)
    )
    return Effects(values, np.array(sizes), np.array(errors), np.stack(heats), names, of_units, share, total, likeness)


def _about_mean(draws: Array) -> Array:
    """Draws of several numbers ``[M, n]``, each about its own mean, as those of one ``[M n, 1]``."""
    return (draws - draws.mean(axis=0)).reshape(-1, 1)


def associate(t: Array, numbers: Array) -> Association:
    """How numbers ``[K, S, P]`` move with t ``[S]``, which is the same at each of the K bases; see above."""
    whole: Array = np.asarray(np.all(np.isfinite(numbers), axis=1))
    n = whole.sum(axis=0)
    moved = np.where(whole[:, None], numbers - np.where(whole[:, None], numbers, 0).mean(axis=1, keepdims=True), 0.0)
    tt = float(t @ t)
    tp, pp = np.einsum("s,ksp->kp", t, moved), np.square(moved).sum(axis=1)
    slopes = tp / (tt or 1.0)
    slope = _over(slopes.sum(axis=0), n)
    slope_error = np.sqrt(_over((whole * (slopes - slope) ** 2).sum(axis=0), n * (n - 1)))
    r = _correlation(tp.sum(axis=0), n * tt * pp.sum(axis=0))
    left_out = _correlation(tp.sum(axis=0) - tp, (n - 1) * tt * (pp.sum(axis=0) - pp))
    apart = whole * (left_out - _over((whole * left_out).sum(axis=0), n)) ** 2
    ranked = np.sign(moved[:, :, None] - moved[:, None]).sum(axis=2)  # centred ranks, those of equals shared
    order = np.sign(t[:, None] - t).sum(axis=1)
    rank = _correlation(
        np.einsum("s,ksp->p", order, ranked), n * float(order @ order) * np.square(ranked).sum(axis=(0, 1))
    )
    curve = _over(np.square(moved.sum(axis=0)).sum(axis=0), n * pp.sum(axis=0))
    found = Association(
        slope=slope,
        slope_error=slope_error,
        r=r,
        r_error=np.sqrt(_over((n - 1) * apart.sum(axis=0), n)),
        rank=rank,
        curve=curve,
        spread=_over(pp.sum(axis=0), n * len(t)),
        p_value=_p_value(slope, slope_error, n),
        bases=n.astype(float),
    )
    return Association(*(np.where(n >= LEAST_BASES, value, np.nan) for value in found))._replace(bases=n)


def _over(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above, float), where=np.asarray(below) > 1e-20)


def _correlation(covariance: Array, variances: Array) -> Array:
    return _over(covariance, np.sqrt(np.maximum(variances, 0)))


def _p_value(slope: Array, error: Array, n: Array) -> Array:
    from scipy.special import stdtr

    t = np.divide(np.abs(slope), error, out=np.where(slope == 0, 0.0, np.inf), where=error > 0)
    return 2 * stdtr(np.maximum(n - 1, 1), -t)


def _spread(table: Array) -> tuple[Array, Array]:
    """Variances ``[P]`` and correlations ``[P, P]`` of ``[K, P]``, each over the rows that have the number."""
    there = np.isfinite(table).astype(float)
    n = there.sum(axis=0)
    known = np.where(there > 0, table, 0)
    centred = there * (known - _over(known.sum(axis=0), n))
    squares = (centred**2).T @ there  # of each number, over the rows that have the other too
    return _over(np.diag(squares), n - 1), _over(centred.T @ centred, np.sqrt(squares * squares.T))
