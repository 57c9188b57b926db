"""A Figure leaves: as a file, or as an inline SVG that takes its colours and its font from the page."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from zatlas.errors import UsageError, printable
from zatlas.figures.style import INK, LINE, MUTED, PAPER, PX, boxes_for_missing_glyphs, texts

_THEME = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper"}
_SETTINGS: Any = {"svg.hashsalt": "zatlas", "svg.fonttype": "none", "svg.image_inline": True}
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_SVG, _HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_LEVEL = re.compile(r"rotate\(-?0 ")
ElementTree.register_namespace("", _SVG[1:-1])
ElementTree.register_namespace("xlink", _HREF[1:-5])


def save(figure: Figure, path: str | Path, *, background: str | None = None, pixels_per_inch: float = 2 * PX) -> Path:
    """Write the figure as .png, .svg or .pdf; equal figures give equal bytes.

    Args:
        figure: what to write.
        path: where; its suffix chooses the format.
        background: colour behind it where its look has none; None leaves SVG and PDF transparent and PNG white,
            since its ink is dark.
        pixels_per_inch: of a PNG and of points inside a vector file; whole multiples of 96 keep image pixels exact.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        raise UsageError(f"a figure cannot be saved as {path.name!r}: its name must end in .png, .svg or .pdf.")
    save_to(figure, path, kind, background=background, pixels_per_inch=pixels_per_inch)
    return path


def save_to(
    figure: Figure, file: str | Path | IO[bytes], kind: str, *, background: str | None, pixels_per_inch: float = 2 * PX
) -> None:
    """As :func:`save`, to a file that need not have a name."""
    own: Any = figure.get_facecolor()
    face = own if own[3] else background or ("white" if kind == "png" else "none")
    with matplotlib.rc_context(_SETTINGS), boxes_for_missing_glyphs():
        figure.savefig(file, format=kind, dpi=pixels_per_inch, facecolor=face, metadata=_METADATA[kind])


def themed_svg(figure: Figure, *, alt: str = "", prefix: str | None = None) -> str:
    """The figure as inline SVG whose text, axes and faint lines follow the page.

    The page sets ``--ink``, ``--muted``, ``--line``, ``--paper`` and ``--font``; without them the figure looks as it
    does on paper. Text stays text; clouds of points are pixels, three for two of the page. Nothing leaks into the page:
    matplotlib's global style rule becomes an attribute, ids that nothing refers to go, and the others carry a prefix
    made from the content.

    Args:
        figure: what to draw.
        alt: what a reader who cannot see it is told.
        prefix: of every id, in place of the one made from the content.
    """
    halos = _take_halos(figure)
    buffer = io.StringIO()
    try:
        with matplotlib.rc_context(_SETTINGS), boxes_for_missing_glyphs():
            metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(buffer, format="svg", dpi=1.5 * PX, facecolor="none", metadata=metadata)
    finally:
        for text, effects, gid in halos.values():
            text.set_path_effects(effects)
            text.set_gid(gid)
    root = ElementTree.fromstring(buffer.getvalue())  # our own file, no stranger's
    for parent in [element for element in root.iter() if element.tag in (_SVG + "svg", _SVG + "defs")]:
        for child in [child for child in parent if child.tag in (_SVG + "metadata", _SVG + "style")]:
            parent.remove(child)
    for element in root.iter():
        if element.get("id") in halos:
            element.set("style", _halo(halos[element.attrib.pop("id")][0]))
    _own_ids(root, prefix)
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, _themed(value))
        if _LEVEL.match(element.get("transform", "")):
            del element.attrib["transform"]
    _open(root, figure, alt)
    return ElementTree.tostring(root, encoding="unicode").strip()


def _themed(value: str) -> str:
    """An attribute with the page's colours and font in place of the figure's."""
    for colour, name in _THEME.items():
        value = re.sub(re.escape(colour), f"var(--{name}, {colour.upper()})", value, flags=re.I)
    return re.sub(
        r"(font: (?:[\w.]+ )*[\d.]+px |font-family: )[^;\"]+", r"\1var(--font, 'DejaVu Sans', sans-serif)", value
    )


def _open(root: Element, figure: Figure, alt: str) -> None:
    """The root element: sized by the page, but never so small that it cannot be read; the page scrolls it then.

    Wide figures keep two thirds of their width; those that are nearly square fit a phone and are read whole.
    """
    width, height = figure.get_size_inches()
    least = 0.45 if width < 1.4 * height else 0.66
    root.attrib.clear()
    root.attrib |= {"role": "img", "aria-label": printable(alt)} if alt else {"aria-hidden": "true"}
    root.set("viewBox", f"0 0 {width * 72:g} {height * 72:g}")
    root.set(
        "style",
        f"display:block;width:100%;height:auto;min-width:{least * width * PX:.0f}px;max-width:{width * PX:.0f}px;"
        "stroke-linejoin:round;stroke-linecap:butt",
    )


def _take_halos(figure: Figure) -> dict[str, tuple[Text, Any, str | None]]:
    """Take the halos off, since matplotlib would draw a text with one as outlines; each text is marked with an id."""
    found = {}
    marked = [a for a in texts(figure) if any(isinstance(e, withStroke) for e in a.get_path_effects() or ())]
    for i, text in enumerate(marked):
        found[f"zatlas-halo-{i}"] = (text, text.get_path_effects(), text.get_gid())
        text.set_path_effects([])
        text.set_gid(f"zatlas-halo-{i}")
    return found


def _halo(text: Text) -> str:
    size = 3 if float(text.get_fontsize()) >= 9 else 2
    return f"paint-order:stroke;stroke:{PAPER};stroke-width:{size}px;stroke-linejoin:round"


def _own_ids(root: Element, prefix: str | None) -> None:
    """Ids that something refers to get a prefix, the others go."""
    if prefix is None:
        prefix = "z" + hashlib.sha256(ElementTree.tostring(root)).hexdigest()[:8]
    refers = re.compile(r"url\(#([^)]+)\)")
    links = {element.get(_HREF, "")[1:] for element in root.iter()}
    used = links.union(*(refers.findall(value) for element in root.iter() for value in element.attrib.values()))
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{prefix}-{own}")
        for name, value in element.attrib.items():
            if name == _HREF and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
            else:
                element.set(name, refers.sub(rf"url(#{prefix}-\1)", value))
