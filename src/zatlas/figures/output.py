"""A Figure leaves: as a file, or as an inline SVG that takes its colours and its font from the page."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import IO, Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from zatlas.errors import UsageError
from zatlas.figures.style import INK, LINE, MUTED, PAPER, PX

_THEME = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper"}
_SETTINGS: Any = {"svg.hashsalt": "zatlas", "svg.fonttype": "none", "svg.image_inline": True}
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_USE = re.compile(r'(?:xlink:href="#|url\(#)([^")]+)')


def save(figure: Figure, path: str | Path, *, background: str | None = None, pixels_per_inch: float = 2 * PX) -> Path:
    """Write the figure as .png, .svg or .pdf; equal figures give equal bytes.

    Args:
        figure: what to write.
        path: where; its suffix chooses the format.
        background: colour behind it; None leaves SVG and PDF transparent and PNG white, since its ink is dark.
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
    face = background or ("white" if kind == "png" else "none")
    with matplotlib.rc_context(_SETTINGS):
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
        with matplotlib.rc_context(_SETTINGS):
            metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(buffer, format="svg", dpi=1.5 * PX, facecolor="none", metadata=metadata)
    finally:
        for text, effects, gid in halos.values():
            text.set_path_effects(effects)
            text.set_gid(gid)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.S)
    for gid, (text, _, _) in halos.items():
        svg = _halo(svg, gid, text)
    svg = _own_ids(svg, prefix)
    for colour, name in _THEME.items():
        svg = re.sub(re.escape(colour), f"var(--{name}, {colour.upper()})", svg, flags=re.I)
    svg = re.sub(
        r"(font: (?:[\w.]+ )*[\d.]+px |font-family: )[^;\"]+", r"\1var(--font, 'DejaVu Sans', sans-serif)", svg
    )
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    return re.sub(r"<svg[^>]*>", lambda _: _opening(figure, alt), svg, count=1)


def _opening(figure: Figure, alt: str) -> str:
    """The root element: sized by the page, but never so small that it cannot be read; the page scrolls it then.

    Wide figures keep two thirds of their width; those that are nearly square fit a phone and are read whole.
    """
    from xml.sax.saxutils import quoteattr

    width, height = figure.get_size_inches()
    least = 0.45 if width < 1.4 * height else 0.66
    spoken = f'role="img" aria-label={quoteattr(alt)}' if alt else 'aria-hidden="true"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {spoken} '
        f'viewBox="0 0 {width * 72:g} {height * 72:g}" style="display:block;width:100%;height:auto;'
        f"min-width:{least * width * PX:.0f}px;max-width:{width * PX:.0f}px;"
        'stroke-linejoin:round;stroke-linecap:butt">'
    )


def _take_halos(figure: Figure) -> dict[str, tuple[Text, Any, str | None]]:
    """Take the halos off, since matplotlib would draw a text with one as outlines; each text is marked with an id."""
    found = {}
    texts = [a for a in figure.findobj(Text) if any(isinstance(e, withStroke) for e in a.get_path_effects() or ())]
    for i, text in enumerate(texts):
        found[f"zatlas-halo-{i}"] = (text, text.get_path_effects(), text.get_gid())
        text.set_path_effects([])
        text.set_gid(f"zatlas-halo-{i}")
    return found


def _halo(svg: str, gid: str, text: Text) -> str:
    size = 3 if float(text.get_fontsize()) >= 9 else 2
    style = f"paint-order:stroke;stroke:{PAPER};stroke-width:{size}px;stroke-linejoin:round"
    return svg.replace(f'<g id="{gid}">', f'<g style="{style}">')


def _own_ids(svg: str, prefix: str | None) -> str:
    used = set(_USE.findall(svg))
    prefix = "z" + hashlib.sha256(svg.encode()).hexdigest()[:8] if prefix is None else prefix
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'xlink:href="#', f'xlink:href="#{prefix}-', svg)
    return svg.replace("url(#", f"url(#{prefix}-")
