"""The transposed convolution, step by step: stretched, padded, grown by the kernel, cropped."""

from __future__ import annotations

from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.explain.geometry import (
    Geometry,
    Pair,
    Steps,
    each,
    extent,
    follow,
    pair,
    reached_by,
    setting,
    sizes,
)
from zatlas.figures.explain import cells as drawn
from zatlas.figures.explain.cells import Frame, Panel, Role
from zatlas.figures.view import View, arrays

MOST = 64  # cells a side: beyond, neither numbers nor cells can be told apart
LONGEST = 9  # terms of a sum that is written out


def conv_transpose(
    size: int | Pair,
    kernel: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> View:
    r"""How a transposed convolution comes to its size and to its values.

    .. math:: H_{out} = (H - 1) S - 2 P + D (K - 1) + O + 1

    Dumoulin and Visin 2016, A guide to convolution arithmetic, relationship 14; D and O as in torch.

    Args:
        size: H of the input; every number may be a pair (height, width).
        kernel: K.
        stride: S; S - 1 zeros stand between neighbours.
        padding: P; so much is cut from each side.
        output_padding: O; so much is added at the bottom and at the right.
        dilation: D; the distance of the kernel's cells.

    Returns:
        input, kernel, stretched, extended, bordered, grown, output ``[H, W]`` of each step, for an input that counts 1,
        2, 3, … and a kernel of 1 to 5; overlaps: how many products each cell of the output sums; sizes ``[6, 2]``.
        Nothing but sizes, and no figure, where a side is longer than 64.

    Raises:
        UsageError: a number or a size that cannot be.
    """
    geometry = Geometry(*(pair(n) for n in (size, kernel, stride, padding, output_padding, dilation)))
    made = sizes(geometry)
    facts: dict[str, Any] = {
        **{name: list(value) for name, value in geometry._asdict().items()},
        "steps": [{"step": name, "height": h, "width": w} for name, (h, w) in made.items()],
        "output": list(made["output"]),
    }
    told = _walk(geometry, made)
    if max(max(pair) for pair in made.values()) > MOST:
        told.append(f"The values are followed and drawn up to {MOST} cells a side: this is larger.")
        return View(arrays(sizes=list(made.values())), sentences=tuple(told), facts=facts)
    x = np.arange(1, 1 + np.prod(geometry.input)).reshape(geometry.input)
    rows, columns = np.indices(geometry.kernel)
    weights = 1 + (3 * rows + columns) % 5  # small numbers that a turn would change
    done = follow(x, weights, geometry)
    overlaps = follow(np.ones_like(x), np.ones_like(weights), geometry).output
    cell = _telling(overlaps)
    terms = reached_by(geometry, cell)
    products = [f"{x[i, j]}·{weights[u, v]}" for (i, j), (u, v) in terms]
    value = int(done.output[cell])
    more = f" + … ({len(products)} products)" if len(products) > LONGEST else ""
    total = f"{' + '.join(products[:LONGEST])}{more} = {value}" if terms else ""
    facts["followed"] = {"row": cell[0] + 1, "column": cell[1] + 1, "products": products, "value": value}
    told += _tell_values(geometry, cell, terms, total)
    return View(
        arrays(**done._asdict(), kernel=weights, overlaps=overlaps, sizes=list(made.values())),
        drawn.cells(*_panels(geometry, done, weights, cell, terms, total), title=_title(geometry)),
        f"A transposed convolution from {extent(made['input'])} to {extent(made['output'])}, each step.",
        tuple(told),
        facts,
    )


def _telling(overlaps: Array) -> Pair:
    """A cell worth following: of many products but not too many, and near the middle."""
    few = np.where(overlaps <= 4, overlaps, 0)
    wanted = few.max() if few.max() else overlaps.min()
    at = np.argwhere(overlaps == wanted)
    middle = (np.array(overlaps.shape) - 1) / 2
    row, column = at[np.abs(at - middle).sum(1).argmin()]
    return int(row), int(column)


def _walk(g: Geometry, made: dict[str, Pair]) -> list[str]:
    """Each step in a sentence, its size worked out."""
    size = lambda step: extent(made[step])
    between = setting(each(lambda s: s - 1, g.stride))
    told = [f"1. The input is {size('input')}."]
    told.append(
        f"2. Stride {setting(g.stride)} puts zeros between neighbours, S − 1 = {between}: "
        f"(H − 1)·S + 1 = {_worked('({} − 1)·{} + 1', made['stretched'], g.input, g.stride)}, so {size('stretched')}."
        if max(g.stride) > 1
        else f"2. Stride 1 puts no zeros between neighbours: it stays {size('stretched')}."
    )
    told.append(
        f"3. Output padding {setting(g.output_padding)} puts zeros at the bottom and at the right alone: "
        f"{_worked('{} + {}', made['extended'], made['stretched'], g.output_padding)}, so {size('extended')}."
        if max(g.output_padding)
        else f"3. Without output padding it stays {size('extended')}."
    )
    growth = each(lambda k, d: d * (k - 1), g.kernel, g.dilation)
    told.append(
        f"4. A whole kernel takes the place of each value, multiplied by it, and where two overlap they add up: it "
        f"grows by D·(K − 1) = {_worked('{}·({} − 1)', growth, g.dilation, g.kernel)}, to {size('grown')}. Seen the "
        f"other way: with a border of zeros of that width ({size('bordered')}) the kernel, turned by 180°, slides over."
    )
    told.append(
        f"5. Padding takes away here, P = {setting(g.padding)} from each side: "
        f"{_worked('{} − 2·{}', made['output'], made['grown'], g.padding)}, so the output is {size('output')}."
        if max(g.padding)
        else f"5. Without padding nothing is cut: the output is {size('output')}."
    )
    whole = _worked(
        "({} − 1)·{} − 2·{} + {}·({} − 1) + {} + 1",
        made["output"], g.input, g.stride, g.padding, g.dilation, g.kernel, g.output_padding,
    )  # fmt: skip
    told.append(f"In one line: (H − 1)·S − 2·P + D·(K − 1) + O + 1 = {whole}.")
    return told


def _tell_values(g: Geometry, cell: Pair, terms: list[tuple[Pair, Pair]], total: str) -> list[str]:
    told = []
    where = f"Row {cell[0] + 1}, column {cell[1] + 1} of the output"
    if not terms:
        told.append(f"{where} is reached by no input cell: it is 0 (in a layer, the bias alone).")
    else:
        cells_ = "an input cell" if len(terms) == 1 else f"{len(terms)} input cells"
        told.append(f"{where} is reached by {cells_}, as outlined: {total}.")
    lost = each(lambda o, p: max(o - p, 0), g.output_padding, g.padding)
    if max(lost):
        told.append(
            f"The last {setting(lost)} rows and columns hold zeros alone: output padding shows values only where the "
            "cropping would have cut them, so it wants at least as much padding."
        )
    phases = [
        np.bincount(np.arange(k) * d % s, minlength=s) for k, s, d in zip(g.kernel, g.stride, g.dilation, strict=True)
    ]
    if any(along.min() < along.max() for along in phases):
        least, most = (int(np.prod([bound(along) for along in phases])) for bound in (np.min, np.max))
        told.append(
            f"Even far from the border a cell of the output sums {least} to {most} products by turns, since the kernel "
            "does not cover the stride evenly: in images that shows as a checkerboard."
        )
    if max(g.stride) > 1:
        low, high = (
            each(lambda h, s, p, k, d, o=o: max((h - 1) * s - 2 * p + d * (k - 1) + 1 + (s - 1) * o, 1),
                  g.input, g.stride, g.padding, g.kernel, g.dilation)
            for o in (0, 1)
        )  # fmt: skip
        told.append(
            f"Back: the convolution of this kernel, stride and padding makes {extent(g.input)} of every size from "
            f"{extent(low)} to {extent(high)}; output padding says which of them is meant."
        )
    return told


def _panels(
    g: Geometry, done: Steps, weights: Array, cell: Pair, terms: list[tuple[Pair, Pair]], note: str
) -> tuple[list[Panel], list[Panel]]:
    """What is drawn: the way to the stretched input in a first row, and from there to the output in a second."""
    stretched = np.full(done.stretched.shape, Role.ZERO)
    stretched[:: g.stride[0], :: g.stride[1]] = Role.VALUE
    (o0, o1), growth = g.output_padding, each(lambda k, d: d * (k - 1), g.kernel, g.dilation)
    extended = np.pad(stretched, ((0, o0), (0, o1)), constant_values=Role.ADDED)
    bordered = np.pad(extended, [(r, r) for r in growth], constant_values=Role.BORDER)
    reached = follow(np.ones_like(done.input), np.ones_like(weights), g)
    grown = np.where(reached.grown > 0, Role.RESULT, Role.ZERO)
    cut = np.ones(grown.shape, bool)
    at = (cell[0] + g.padding[0], cell[1] + g.padding[1])
    cut[g.padding[0] : grown.shape[0] - g.padding[0], g.padding[1] : grown.shape[1] - g.padding[1]] = False
    inputs = [i for i, _ in terms]
    places = [(i * g.stride[0], j * g.stride[1]) for i, j in inputs]
    taps = [(i + growth[0], j + growth[1]) for i, j in places]
    turned = np.zeros((growth[0] + 1, growth[1] + 1), int)
    turned[:: g.dilation[0], :: g.dilation[1]] = weights[::-1, ::-1]
    size = lambda name: extent(getattr(done, name).shape)
    first = [
        Panel(f"1 input  {size('input')}", "H", done.input, np.full(done.input.shape, Role.VALUE), inputs),
        Panel(f"2 stretched  {size('stretched')}", "(H − 1)·S + 1", done.stretched, stretched, places),
        Panel(f"3 output padding  {size('extended')}", "+ O, below and right", done.extended, extended, places),
        Panel(f"kernel  {extent(weights.shape)}", _spread(g), weights, np.full(weights.shape, Role.KERNEL),
              [k for _, k in terms]),
    ]  # fmt: skip
    second = [
        Panel(f"4 border  {size('bordered')}", "the turned kernel slides over it", done.bordered, bordered, taps,
              Frame(*at, turned)),
        Panel(f"4 grown  {size('grown')}", "+ D·(K − 1)", done.grown, grown, [at], cut=cut),
        Panel(f"5 output  {size('output')}", "− 2·P", done.output,
              np.where(reached.output > 0, Role.RESULT, Role.ZERO), [cell], note=note),
    ]  # fmt: skip
    return first, second


def _title(g: Geometry) -> str:
    more = f", dilation {setting(g.dilation)}" if max(g.dilation) > 1 else ""
    return (
        f"Transposed convolution: kernel {setting(g.kernel)}, stride {setting(g.stride)}, "
        f"padding {setting(g.padding)}, output padding {setting(g.output_padding)}{more}"
    )


def _spread(g: Geometry) -> str:
    return f"its cells {setting(g.dilation)} apart" if max(g.dilation) > 1 else "turned by 180° to slide"


def _worked(form: str, result: Pair, *pairs: Pair) -> str:
    """The formula with its numbers and what comes of it, along both sides where they differ."""
    each = [f"{form.format(*(pair[a] for pair in pairs))} = {result[a]}" for a in (0, 1)]
    return each[0] if each[0] == each[1] else f"{each[0]} high and {each[1]} wide"
