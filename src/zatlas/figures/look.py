"""How figures look beside the data: theme, font size, colour map, size; asked for once, and every figure follows.

Figures are drawn in one look, at exact pixels, and changed when they are done: four near-neutral colours stand for
the parts of the page (:mod:`zatlas.figures.style`), so that a theme is four others, and a figure that is stretched
keeps the proportions of text and picture that it was laid out with. To lay each figure out anew for every font size
was the alternative: forty layouts, each to be right at every size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.collections import Collection, PathCollection, QuadMesh
from matplotlib.colors import to_hex, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Annotation, Text

from zatlas.errors import UsageError, nearest

INK, MUTED, LINE, PAPER = "#1a1d21", "#697079", "#d6dae0", "#fefefd"
NORMAL = 8.5  # points
LEAST = 0.6  # axes may shrink to this part of what they are beside their text; below it titles run into one another


@dataclass(frozen=True)
class Look:
    """What a figure's page is like.

    Attributes:
        ink, muted, line, paper: colours of text, axes, grids, and of what stands behind a text.
        background: of the page; None: white in a PNG, none in SVG and PDF.
        font: the family; None: the one that is always there.
        font_size: points of ordinary text; None: 8.5, or what the size makes of it.
        colour_map: a name that matplotlib knows; None: viridis without its darkest end.
        size: width and height in inches; None: what the content wants.
    """

    ink: str = INK
    muted: str = MUTED
    line: str = LINE
    paper: str = PAPER
    background: str | None = None
    font: str | None = None
    font_size: float | None = None
    colour_map: str | None = None
    size: tuple[float, float] | None = None


LIGHT = Look()
THEMES = {
    "light": replace(LIGHT, background="white"),
    "dark": Look("#f1f3f5", "#aab1b9", "#3b424a", "#14171a", "#14171a"),
    "print": Look("#000000", "#333333", "#bdbdbd", "#ffffff", "#ffffff"),
}
_LOOK: ContextVar[Look] = ContextVar("look", default=LIGHT)


def current() -> Look:
    """The look in force."""
    return _LOOK.get()


def make_look(
    theme: str | None = None,
    *,
    font_size: float | None = None,
    colour_map: str | None = None,
    size: tuple[float, float] | None = None,
) -> Look:
    """A look by its words.

    Args:
        theme: light, dark, print; ``"rc"``: matplotlib's rcParams as they are; or a style sheet of matplotlib's, by its
            name or path. Of rcParams these count: text.color, axes.labelcolor, grid.color, figure.facecolor,
            font.family, font.size, image.cmap.
        font_size: points of ordinary text.
        colour_map: a name that matplotlib knows.
        size: width and height in inches.

    Raises:
        UsageError: no such theme or colour map, or a size that cannot be.
    """
    look = THEMES["light"] if theme is None else THEMES.get(theme) or _of_style(theme)
    if colour_map is not None and colour_map not in matplotlib.colormaps:
        raise UsageError(f"there is no colour map {colour_map!r}; {nearest(colour_map, list(matplotlib.colormaps))}")
    if font_size is not None and not 2 <= font_size <= 200:
        raise UsageError(f"a font of {font_size:g} points cannot be read: give 2 to 200.")
    if size is not None and not all(0.5 <= side <= 100 for side in size):
        raise UsageError(f"a figure of {size[0]:g}x{size[1]:g} inches cannot be drawn: give 0.5 to 100 for each side.")
    asked: dict[str, Any] = {"font_size": font_size, "colour_map": colour_map, "size": size}
    return replace(look, **{name: value for name, value in asked.items() if value is not None})


def _of_style(name: str) -> Look:
    """The look of matplotlib's rcParams, under a style sheet where one is named."""
    import matplotlib.style

    try:
        with matplotlib.style.context([] if name == "rc" else name):
            rc: dict[Any, Any] = dict(matplotlib.rcParams)
    except (OSError, ValueError):
        known = [*THEMES, "rc", *matplotlib.style.available]
        raise UsageError(f"there is no theme {name!r}; {nearest(name, known)}") from None
    plain: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    colour = lambda key: to_hex(rc[key]) if isinstance(rc[key], str) and rc[key] not in ("auto", "inherit") else None
    ink, page = colour("text.color") or INK, colour("figure.facecolor") or "#ffffff"
    line = colour("grid.color") or LINE
    if line == page:  # a grid for axes of another colour
        line = colour("axes.facecolor") or LINE
    family = rc["font.family"][0]
    family = rc[f"font.{family}"][0] if f"font.{family}" in rc else family
    return Look(
        ink,
        colour("axes.labelcolor") or ink,
        line,
        page,
        page,
        family if family != plain["font.sans-serif"][0] else None,
        float(rc["font.size"]) if rc["font.size"] != plain["font.size"] else None,
        rc["image.cmap"] if rc["image.cmap"] != plain["image.cmap"] else None,
        tuple(rc["figure.figsize"]) if list(rc["figure.figsize"]) != list(plain["figure.figsize"]) else None,
    )


@contextmanager
def look(
    theme: str | None = None,
    *,
    font_size: float | None = None,
    colour_map: str | None = None,
    size: tuple[float, float] | None = None,
) -> Iterator[Look]:
    """Figures drawn inside look so; arguments as of :func:`make_look`.

    >>> with look("dark", font_size=14) as asked:
    ...     current().font_size
    14
    """
    asked = make_look(theme, font_size=font_size, colour_map=colour_map, size=size)
    token = _LOOK.set(asked)
    try:
        yield asked
    finally:
        _LOOK.reset(token)


@contextmanager
def on_page() -> Iterator[Look]:
    """Inside, figures keep the four colours that stand for parts of a page, and take all else from the look in force,
    which is given: the page puts its colours and its font in (:func:`zatlas.figures.themed_svg`).

    >>> with look("dark", font_size=14), on_page() as asked:
    ...     asked.ink == current().ink, current().font_size
    (False, 14)
    """
    asked = current()
    plain = {name: getattr(LIGHT, name) for name in ("ink", "muted", "line", "paper", "background", "font")}
    token = _LOOK.set(replace(asked, **plain))
    try:
        yield asked
    finally:
        _LOOK.reset(token)


def dress(figure: Figure, look: Look) -> None:
    """Gives a finished figure a look, in place.

    Raises:
        UsageError: text of that size leaves no room for the picture.
    """
    if look == LIGHT:
        return
    figure.draw_without_rendering()  # ticks are made when they are first drawn
    if look.background:
        figure.set_facecolor(look.background)
    scale = _lay_out(figure, look)
    swap = _swapping(look)
    ticks: set[int] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for tick in axis.findobj(Tick):
                ticks |= {id(part) for part in tick.findobj()}
            if some := axis.get_major_ticks(1)[:1]:
                _dress_ticks(axes, axis.axis_name, some[0], swap, scale, look)
            axis.labelpad *= scale
    for artist in figure.findobj():
        if id(artist) not in ticks:
            _dress(artist, swap, scale, look)


def _swapping(look: Look) -> Callable[[Any], Any]:
    """Puts the look's colours in the place of the page's; other colours stay."""
    pairs = ((INK, look.ink), (MUTED, look.muted), (LINE, look.line), (PAPER, look.paper))
    known = {old: to_rgba(new)[:3] for old, new in pairs}

    def swap(colour: Any) -> Any:
        if colour is None or (isinstance(colour, str) and colour in ("none", "auto", "")):
            return colour
        rgba = to_rgba(colour)
        return (*known.get(to_hex(rgba), rgba[:3]), rgba[3])

    return swap


def _dress_ticks(axes: Axes, which: Any, tick: Tick, swap: Callable[[Any], Any], scale: float, look: Look) -> None:
    label, mark, grid = tick.label1, tick.tick1line, tick.gridline
    pad: Any = tick.get_pad()  # type: ignore[func-returns-value]  # as matplotlib's stubs have it
    axes.tick_params(
        axis=which, which="major", labelsize=float(label.get_fontsize()) * scale, labelcolor=swap(label.get_color()),
        length=mark.get_markersize() * scale, width=mark.get_markeredgewidth() * scale, pad=pad * scale,
        color=swap(mark.get_color()), grid_color=swap(grid.get_color()), grid_linewidth=grid.get_linewidth() * scale,
        **({"labelfontfamily": look.font} if look.font else {}),
    )  # fmt: skip


def _dress(artist: Any, swap: Callable[[Any], Any], scale: float, look: Look) -> None:
    for effect in artist.get_path_effects() or ():
        if (drawn := getattr(effect, "_gc", None)) and "foreground" in drawn:
            effect._gc = {**drawn, "foreground": swap(drawn["foreground"])}
            if "linewidth" in drawn:
                effect._gc["linewidth"] = drawn["linewidth"] * scale
    match artist:
        case Text():
            _dress_text(artist, swap, scale, look)
        case Line2D():
            for part in ("color", "markerfacecolor", "markeredgecolor"):
                getattr(artist, f"set_{part}")(swap(getattr(artist, f"get_{part}")()))
            for part in ("linewidth", "markersize", "markeredgewidth"):
                getattr(artist, f"set_{part}")(getattr(artist, f"get_{part}")() * scale)
        case Patch():
            if id(artist) != id(getattr(artist.figure, "patch", None)):
                _recolour(artist, swap)
                artist.set_linewidth(artist.get_linewidth() * scale)
        case Collection():
            _dress_collection(artist, swap, scale)


def _recolour(patch: Patch, swap: Callable[[Any], Any]) -> None:
    """Sets what changes alone: a patch of some transparency would give it to an edge that is not there."""
    for name in ("facecolor", "edgecolor"):
        colour = getattr(patch, f"get_{name}")()
        if swap(colour) != colour:
            getattr(patch, f"set_{name}")(swap(colour))


def _dress_text(artist: Text, swap: Callable[[Any], Any], scale: float, look: Look) -> None:
    artist.set_color(swap(artist.get_color()))
    artist.set_fontsize(float(artist.get_fontsize()) * scale)
    if look.font:
        artist.set_fontfamily(look.font)
    if (box := artist.get_bbox_patch()) is not None:
        _recolour(box, swap)
    if isinstance(artist, Annotation):
        if artist.anncoords == "offset points":
            artist.xyann = (scale * artist.xyann[0], scale * artist.xyann[1])
        if artist.arrow_patch is not None:
            _dress(artist.arrow_patch, swap, scale, look)


def _dress_collection(artist: Collection, swap: Callable[[Any], Any], scale: float) -> None:
    if artist.get_array() is None:
        artist.set_facecolor([swap(colour) for colour in to_rgba_array(artist.get_facecolor())])
    edges = to_rgba_array(artist.get_edgecolor())
    if len(edges) and (artist.get_array() is None or isinstance(artist, QuadMesh)):
        artist.set_edgecolor([swap(colour) for colour in edges])
    artist.set_linewidth([width * scale for width in np.atleast_1d(artist.get_linewidth())])
    if isinstance(artist, PathCollection):
        artist.set_sizes(np.asarray(artist.get_sizes()) * scale**2)


# room ------------------------------------------------------------------------------------------------------------


def _lay_out(figure: Figure, look: Look) -> float:
    """Moves everything to where the look's size has room for it; gives the factor of text and lines."""
    wide, high = (float(side) for side in figure.get_size_inches())
    asked = None if look.font_size is None else look.font_size / NORMAL
    if look.size is None:
        scale = asked or 1.0
        figure.set_size_inches(wide * scale, high * scale)
        return scale
    width, height = look.size
    if asked is None:
        asked = grown = min(width / wide, height / high)
        across = _stretched([], wide, width, grown, grown)
        down = _stretched([], high, height, grown, grown)
    else:
        spans = [axes.get_position(original=True) for axes in figure.axes]
        x = _union([(box.x0 * wide, box.x1 * wide) for box in spans]) or [(0.0, wide)]
        y = _union([(box.y0 * high, box.y1 * high) for box in spans]) or [(0.0, high)]
        kx, ky = _left(x, wide, width, asked), _left(y, high, height, asked)
        if min(kx, ky) < LEAST * asked:
            needs = [_room(x, wide), _room(y, high)]
            most = NORMAL * min(width / needs[0], height / needs[1])
            raise UsageError(
                f"text of {look.font_size:g} points leaves no room for the picture in {width:g}x{height:g} inches: "
                f"give a font size of at most {int(10 * most) / 10:g}, or a size of at least "
                f"{ceil(10 * asked * needs[0]) / 10:g}x{ceil(10 * asked * needs[1]) / 10:g}."
            )
        if any(axes.images or axes.get_aspect() != "auto" for axes in figure.axes):  # what is square stays so
            kx = ky = min(kx, ky)
        across, down = _stretched(x, wide, width, asked, kx), _stretched(y, high, height, asked, ky)
    _move(figure, (wide, high), (width, height), across, down)
    return asked


def _union(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def _left(spans: list[tuple[float, float]], old: float, new: float, text: float) -> float:
    """The factor of the axes that makes them and the room for text between them fill the page."""
    inside = sum(high - low for low, high in spans)
    return (new - text * (old - inside)) / inside


def _room(spans: list[tuple[float, float]], old: float) -> float:
    """Inches that it needs at the least, with text of ordinary size."""
    inside = sum(high - low for low, high in spans)
    return old - inside + LEAST * inside


def _stretched(
    spans: list[tuple[float, float]], old: float, new: float, text: float, inner: float
) -> Callable[[float], float]:
    """Old inches to new ones: by ``inner`` within the spans, by ``text`` between them, and the whole in the middle."""
    edges = sorted({0.0, old, *(edge for span in spans for edge in span)})
    within = lambda at: any(low <= at <= high for low, high in spans)
    steps = [(b - a) * (inner if within((a + b) / 2) else text) for a, b in pairwise(edges)]
    places = np.cumsum([0.0, *steps])
    offset = (new - places[-1]) / 2
    return lambda at: float(np.interp(at, edges, places)) + offset


def _move(
    figure: Figure,
    old: tuple[float, float],
    new: tuple[float, float],
    across: Callable[[float], float],
    down: Callable[[float], float],
) -> None:
    x = lambda at: across(at * old[0]) / new[0]
    y = lambda at: down(at * old[1]) / new[1]
    for axes in figure.axes:
        box = axes.get_position(original=True)
        left, bottom = x(box.x0), y(box.y0)
        axes.set_position((left, bottom, x(box.x1) - left, y(box.y1) - bottom))
    figure.set_size_inches(*new)
    for text in figure.texts:
        text.set_position((x(text.get_position()[0]), y(text.get_position()[1])))
    for line in figure.lines:
        points: Sequence[Sequence[float]] = line.get_xydata()  # type: ignore[assignment]
        line.set_data([x(point[0]) for point in points], [y(point[1]) for point in points])
    for patch in figure.patches:
        if isinstance(patch, Rectangle):
            left, bottom = x(patch.get_x()), y(patch.get_y())
            patch.set_bounds(
                left,
                bottom,
                x(patch.get_x() + patch.get_width()) - left,
                y(patch.get_y() + patch.get_height()) - bottom,
            )
