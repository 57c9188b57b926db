"""The sizes and values of a transposed convolution after each of its steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from zatlas.arrays import Array
from zatlas.errors import UsageError

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """The numbers of a transposed convolution, each as (height, width)."""

    input: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)


class Steps(NamedTuple):
    """What the values are after each step, ``[H, W]`` of its own size each."""

    input: Array
    stretched: Array
    extended: Array
    bordered: Array
    grown: Array
    output: Array


def sizes(g: Geometry) -> dict[str, Pair]:
    """Height and width after each step.

    Raises:
        UsageError: a number or a size that cannot be.
    """
    for name, least in (("input", 1), ("kernel", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
        if min(getattr(g, name)) < least:
            raise UsageError(f"{name} {setting(getattr(g, name))} cannot be: give {least} or more.")
    for o, s, d in zip(g.output_padding, g.stride, g.dilation, strict=True):
        if not 0 <= o < max(s, d):
            raise UsageError(
                f"output padding {o} cannot be: give 0 or more, below {max(s, d)}, the larger of stride and dilation."
            )
    stretched = each(lambda h, s: (h - 1) * s + 1, g.input, g.stride)
    extended = each(lambda h, o: h + o, stretched, g.output_padding)
    bordered = each(lambda h, k, d: h + 2 * d * (k - 1), extended, g.kernel, g.dilation)
    grown = each(lambda h, k, d: h + d * (k - 1), extended, g.kernel, g.dilation)
    output = each(lambda h, p: h - 2 * p, grown, g.padding)
    if min(output) < 1:
        raise UsageError(
            f"the output would be {extent(output)}, which is no size: padding {setting(g.padding)} cuts all there is "
            f"of {extent(grown)}; give less padding, or a larger input or kernel."
        )
    pairs = (g.input, stretched, extended, bordered, grown, output)
    return dict(zip(Steps._fields, pairs, strict=True))


def follow(x: Array, weights: Array, g: Geometry) -> Steps:
    """The values of each step, for an input ``[H, W]`` and a kernel ``[KH, KW]``: what torch does in one."""
    (s0, s1), (o0, o1), (d0, d1), (p0, p1) = g.stride, g.output_padding, g.dilation, g.padding
    made = sizes(g)
    stretched = np.zeros(made["stretched"], x.dtype)
    stretched[::s0, ::s1] = x
    extended = np.pad(stretched, ((0, o0), (0, o1)))
    reach0, reach1 = d0 * (g.kernel[0] - 1), d1 * (g.kernel[1] - 1)
    bordered = np.pad(extended, ((reach0, reach0), (reach1, reach1)))
    height, width = made["grown"]
    grown = np.zeros((height, width), np.result_type(x, weights))
    for (u, v), weight in np.ndenumerate(weights[::-1, ::-1]):  # turned by 180°: an ordinary convolution from here
        grown += weight * bordered[u * d0 : u * d0 + height, v * d1 : v * d1 + width]
    return Steps(x, stretched, extended, bordered, grown, grown[p0 : height - p0, p1 : width - p1])


def reached_by(g: Geometry, cell: Pair) -> list[tuple[Pair, Pair]]:
    """The (input cell, kernel cell) whose products a cell of the output sums: those with i S + u D = row + P."""
    along = []
    for at, h, k, s, d, p in zip(cell, g.input, g.kernel, g.stride, g.dilation, g.padding, strict=True):
        along.append([(i, u) for i in range(h) for u in range(k) if i * s + u * d == at + p])
    return [((i, j), (u, v)) for i, u in along[0] for j, v in along[1]]


def pair(n: int | Pair) -> Pair:
    """(height, width), of which one number says both."""
    return (n, n) if isinstance(n, int) else (int(n[0]), int(n[1]))


def each(rule: Any, *pairs: Pair) -> Pair:
    """The rule along the height and along the width."""
    height, width = (int(rule(*along)) for along in zip(*pairs, strict=True))
    return height, width


def extent(pair: tuple[int, ...]) -> str:
    """A size as ``4×6``."""
    return f"{pair[0]}×{pair[1]}"


def setting(pair: tuple[int, ...]) -> str:
    """A setting: ``3`` where it holds for both sides, else ``2×3``."""
    return extent(pair) if pair[0] != pair[1] else str(pair[0])
