"""The one look of every figure: colours, sizes, and the lines that are left out.

Four of the colours stand for a part of the page instead of a datum: ``INK``, ``MUTED``, ``LINE`` and ``PAPER``. They
are near-neutral values that no palette holds, so that `zatlas.figures.themed_svg` can swap them for CSS variables and
the same Figure serves a white PNG, a PDF and a page that goes dark. Drawing a second set of figures for the dark theme
was the alternative: twice the bytes, and a page that cannot follow its reader.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from math import ceil
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedFormatter, FuncFormatter

from zatlas.errors import printable
from zatlas.figures.look import INK, LINE, MUTED, NORMAL, PAPER, current, dress

P = ParamSpec("P")
R = TypeVar("R")


# Ten classes, found by search from a hand-picked start: the smallest OKLab distance of any two colours is 0.14 to
# normal sight, 0.08 under full deuteranopia and protanopia and 0.06 under tritanopia (Machado et al. 2009), where the
# start had 0.03 at most. Each keeps its contrast on white (1.9 or more) and on a near-black page (3.2 or more).
PALETTE = (
    "#5395f2", "#f25414", "#1b9f63", "#e556c3", "#a4c51b",
    "#8843e1", "#22d0d2", "#4a6c87", "#f1a991", "#a55129",
)  # fmt: skip
ACCENT = PALETTE[0]
SECOND = PALETTE[1]

__all__ = [
    "ACCENT",
    "INK",
    "LINE",
    "MUTED",
    "NORMAL",
    "PALETTE",
    "PAPER",
    "PX",
    "SECOND",
    "SMALL",
    "TITLE",
    "boxes_for_missing_glyphs",
    "canvas",
    "class_colours",
    "name_axes",
    "place",
    "sequential",
    "short",
    "styled",
    "text_width",
]

PX = 96.0  # figure pixels per inch: one figure pixel is one CSS pixel
SMALL, TITLE = 7.5, 10.0  # points

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": NORMAL,
    "text.usetex": False,
    "text.parse_math": False,  # a name of a class may hold dollar signs; our own labels are written in Unicode
    "text.color": INK,
    "axes.unicode_minus": True,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": NORMAL,
    "axes.titlesize": TITLE,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "legend.frameon": False,
    "legend.fontsize": NORMAL,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}


_drawing: ContextVar[bool] = ContextVar("drawing", default=False)  # a figure that another one draws is dressed once


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run ``draw`` under zatlas's settings, and leave those of the caller as they were.

    Every text of the figure passes here, so it is here that names from the data are made fit to be shown.
    """

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        outermost = not _drawing.get()
        token = _drawing.set(True)
        try:
            with matplotlib.rc_context(_RC):
                drawn = draw(*args, **kwargs)
                if outermost and isinstance(drawn, Figure):
                    dress(drawn, current())
        finally:
            _drawing.reset(token)
        with matplotlib.rc_context(_RC):
            if isinstance(drawn, Figure):
                for text in texts(drawn):
                    if not (words := text.get_text()).isprintable():
                        text.set_text(printable(words))
                for axis in (axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)):
                    if isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):  # names were given
                        _make_fit(axis)
            return drawn

    return inside


def _make_fit(axis: Axis) -> None:
    """Names at ticks, which the formatter says anew whenever they are drawn."""
    names = [text.get_text() for text in axis.get_ticklabels()]
    if not all(name.isprintable() for name in names):
        axis.set_ticks(axis.get_ticklocs(), [printable(name) for name in names])


def texts(artist: Artist) -> Iterator[Text]:
    """Every text of a figure but those at its ticks, which findobj would make for all axes, also those not shown."""
    if isinstance(artist, Text):
        yield artist
    children = artist.get_children()
    if isinstance(artist, Axes):
        children = [child for child in children if not isinstance(child, Axis)]
        children += [artist.xaxis.label, artist.yaxis.label]
    for child in children:
        yield from texts(child)


@contextmanager
def boxes_for_missing_glyphs() -> Iterator[None]:
    """A character that the font lacks, as an emoji, is drawn as a box, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty, transparent Figure of ``width`` x ``height`` pixels, in whole ones."""
    return Figure(figsize=(ceil(width) / PX, ceil(height) / PX), dpi=PX, facecolor="none", edgecolor="none")


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at exact pixels, measured from the top left corner of the figure."""
    across, down = figure.get_size_inches() * PX
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def name_axes(axes: Axes, labels: tuple[str, str]) -> None:
    """Names of the two axes; a short vertical one, as z₂, stands upright."""
    axes.set_xlabel(labels[0], color=INK)
    upright = len(labels[1]) <= 3
    axes.set_ylabel(labels[1], color=INK, labelpad=8 if upright else 3, rotation=0 if upright else 90)
    axes.yaxis.label.set_verticalalignment("center" if upright else "bottom")


def text_width(text: str, size: float = NORMAL, weight: str = "normal") -> float:
    """Width in pixels of one line of text of ``size`` points."""
    from matplotlib.font_manager import FontProperties

    if not text.strip():
        return 0.0
    prop = FontProperties(family="DejaVu Sans", weight=weight)
    with boxes_for_missing_glyphs():
        vertices, codes = text_to_path.get_text_path(prop, printable(text), ismath=False)
    if not len(vertices):
        return 0.0
    drawn = np.asarray(vertices)[np.asarray(codes) != Path.CLOSEPOLY, 0]  # where that is, nothing is said by the vertex
    return float(np.ptp(drawn)) * size / text_to_path.FONT_SCALE * PX / 72


def short(name: str, most: int = 32) -> str:
    """The beginning of a name that would take the room of the picture."""
    return name if len(name) <= most else name[: most - 1] + "…"


def class_colours(count: int) -> list[Any]:
    """One colour per class: the palette up to 10, the palette and its lighter half up to 20, a colour wheel beyond.

    >>> class_colours(2) == list(PALETTE[:2])
    True
    >>> len(class_colours(137))
    137
    """
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    if count <= 2 * len(PALETTE):
        rgb = matplotlib.colors.to_rgba_array(PALETTE)[:, :3]
        return [*PALETTE, *(0.6 * rgb + 0.4)][:count]
    return list(matplotlib.colormaps["turbo"](np.linspace(0.06, 0.94, count))[:, :3])


def sequential() -> ListedColormap:
    """The look's colour map; viridis without its darkest end, unseen on a dark page, where it names none."""
    if (name := current().colour_map) is not None:
        return ListedColormap(matplotlib.colormaps[name](np.linspace(0, 1, 256)), name=name)
    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.14, 0.97, 256)), name="zatlas")
