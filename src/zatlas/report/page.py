"""The report of a run: what it holds, and its rendering as one HTML file that needs nothing else.

Content is plain: text, numbers, and pictures as inline SVG (`zatlas.figures.themed_svg`) or ``data:`` URIs
(`zatlas.figures.png_uri`). The page loads nothing, runs no script (its content security policy forbids both), follows
the reader's light or dark theme, and prints.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any
from xml.etree import ElementTree

from zatlas.errors import UsageError, printable
from zatlas.figures.look import LIGHT, NORMAL, Look
from zatlas.measure.numbers import exact, plain, size, with_error

_DATA_URI = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
_ACTIVE = {"script", "foreignobject", "iframe", "a", "style", "animate", "set"}
_LOADS = re.compile(r"javascript:|url\(\s*[\"']?(?!#)", re.I)
_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_WIDEST = 760  # CSS pixels that a small picture is enlarged to at most


@dataclass(frozen=True)
class Headline:
    """A figure at the top of the page.

    Args:
        name: what it is, ``test loss``.
        value: the number, or a text that is shown as it is.
        unit: ``nats``, ``images/s``.
        standard_error: of ``value``; chooses the digits of both.
        estimator: how it was estimated, ``ELBO, 1 sample, 10,000 images``.
        note: anything that a reader must know beside it.
    """

    name: str
    value: float | int | str
    unit: str = ""
    standard_error: float | None = None
    estimator: str = ""
    note: str = ""

    @property
    def shown(self) -> tuple[str, str]:
        """Value and standard error as text; the error empty without one."""
        if self.standard_error is None or isinstance(self.value, str):
            return plain(self.value), ""
        return with_error(self.value, self.standard_error)


@dataclass(frozen=True)
class Table:
    """Columns and rows; numbers stand at the right under each other, None is left empty."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """An inline SVG or a ``data:image/...;base64,`` URI, with what a reader who cannot see it is told.

    Args:
        content: from `zatlas.figures.themed_svg` or `png_uri`; anything that could load or run is refused.
        alt: what it shows, in one sentence.
        caption: written below.
        title: written above, small.
        scale: CSS pixels per image pixel of a PNG, shown unsmoothed; a whole number is chosen when None.
    """

    content: str
    alt: str
    caption: str = ""
    title: str = ""
    scale: int | None = None

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise UsageError("a picture of a report has no alt text: say in one sentence what it shows.")
        if self.is_svg:
            if found := _unsafe(self.content):
                raise UsageError(f"the SVG of {self.alt!r} holds {found!r}: give one of themed_svg.")
        elif not _DATA_URI.fullmatch(self.content):
            raise UsageError(f"the picture of {self.alt!r} is neither inline SVG nor a base64 data:image URI.")

    @property
    def is_svg(self) -> bool:
        return self.content.startswith("<svg") and self.content.endswith("</svg>")

    @property
    def natural(self) -> tuple[int, int]:
        """Width and height in CSS pixels; zeros where they are not known."""
        if self.is_svg:
            box = _VIEW_BOX.search(self.content)
            return (round(float(box[1]) * 4 / 3), round(float(box[2]) * 4 / 3)) if box else (0, 0)
        if not self.content.startswith("data:image/png"):
            return 0, 0
        head = base64.b64decode(self.content.partition(",")[2][:64])
        if len(head) < 24:
            raise UsageError(f"the PNG of {self.alt!r} is cut short: make it with png_uri.")
        width, height = struct.unpack(">II", head[16:24])
        scale = max(1, min(6, _WIDEST // max(width, 1))) if self.scale is None else self.scale
        return width * scale, height * scale


def _unsafe(svg: str) -> str | None:
    """What an SVG holds that could load or run; text in it may say what it likes.

    It is checked as a parsed tree: a pattern over the source took a class called ``turn one=1`` for a handler.
    """
    if found := re.search(r"<[!?]", svg):  # comments and the like, which HTML reads otherwise than XML
        return found[0]
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        return str(error)
    for element in root.iter():
        tag = element.tag.rpartition("}")[2].lower()
        if tag in _ACTIVE:
            return f"<{tag}>"
        for key, value in element.attrib.items():
            name = key.rpartition("}")[2].lower()
            leads = name in ("href", "src") and not value.startswith(("#", "data:image/"))
            if name.startswith("on") or leads or (name != "aria-label" and _LOADS.search(value)):
                return f"{name}={value[:40]}"
    return None


@dataclass(frozen=True)
class Section:
    """A heading with text, pictures and tables, in that order; ``text`` may hold several paragraphs."""

    title: str
    text: str | Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()

    @property
    def paragraphs(self) -> list[str]:
        return [self.text] if isinstance(self.text, str) and self.text else list(self.text)


@dataclass(frozen=True)
class File:
    """A file of the run: its path inside the run folder, its size, and what it holds."""

    path: str
    size_bytes: int | None = None
    what: str = ""


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Args:
        title: of the page.
        summary: one sentence: what was trained on what, and how good it is.
        headlines: the figures at the top, the most important first.
        sections: pictures and tables, in order.
        configuration: the resolved configuration, nested by table.
        data: facts of the data: name, shape, counts, checksum.
        provenance: versions, command, seeds, device, times, fingerprint.
        files: what the run folder holds.
        eyebrow: the small line above the title.
        lang: language of the text.
    """

    title: str
    summary: str = ""
    headlines: Sequence[Headline] = ()
    sections: Sequence[Section] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    files: Sequence[File] = ()
    eyebrow: str = "zatlas report"
    lang: str = "en"


def render(report: Report, look: Look = LIGHT) -> str:
    """The page as one HTML string; the same report gives the same string.

    Args:
        report: what it holds, its figures drawn inside :func:`zatlas.figures.on_page`.
        look: of the page; by default it follows the reader's light or dark theme.

    >>> page = render(Report(title="A <b>run", headlines=[Headline("test loss", 135.2371, "nats", 0.31)]))
    >>> "A &lt;b&gt;run" in page, "135.2" in page
    (True, True)
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    shown = lambda value: printable(value) if type(value) is str else value  # not Markup, which has passed already
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown
    )
    environment.filters.update(plain=plain, exact=exact, bytes=size)
    environment.tests["number"] = lambda v: isinstance(v, int | float) and not isinstance(v, bool)
    template = environment.from_string(_resource("template.html.j2"))
    return template.render(
        report=report,
        groups=groups(report.configuration),
        facts=[("data", "Data", flat(report.data)), ("provenance", "Provenance", flat(report.provenance))],
        css=Markup(_resource("style.css")),  # our own file
        look=Markup(_of_look(look)),
        safe=Markup,  # only of SVG that Picture has checked
    )


def _of_look(look: Look) -> str:
    """The rules of a page in a look, after those of the style sheet; empty for one that follows its reader."""
    if look == LIGHT:
        return ""
    rules, dark = [], _is_dark(look.paper)
    if replace(look, font_size=None, colour_map=None, size=None) != LIGHT:
        accent = "#7fb0f7" if dark else "#2d6cc9"
        family = re.sub(r"[^\w -]", "", look.font or "")
        font = f"--font: '{family}', sans-serif; " if family else ""
        colours = " ".join(f"--{name}: {getattr(look, name)};" for name in ("ink", "muted", "line", "paper"))
        wash = "color-mix(in srgb, var(--paper) 95%, var(--ink))"
        scheme = "dark" if dark else "light"
        root = f":root {{ color-scheme: {scheme}; {font}{colours} --wash: {wash}; --accent: {accent} }}"
        rules.append(f"@media screen {{ {root} }}" if dark else root)  # on paper a dark page is light
    if look.font_size:
        scale = look.font_size / NORMAL
        rules.append(f"html {{ font-size: {100 * scale:.4g}% }} body {{ font-size: 1rem }}")
        facts = f".facts dl, .facts table {{ max-width: {760 * scale:.0f}px }}"
        heads = f".headlines {{ grid-template-columns: repeat(auto-fill, minmax({178 * scale:.0f}px, 1fr)) }}"
        rules.append(f".page {{ max-width: {1240 * scale:.0f}px }} {facts} {heads}")
    return "\n".join(rules)


def _is_dark(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 128


def groups(configuration: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """The configuration as named lists: what stands at its top, then a list for each table.

    >>> groups({"seed": 0, "model": {"kind": "vae", "prior": {"kind": "normal"}}})
    [('', [('seed', 0)]), ('model', [('kind', 'vae'), ('prior.kind', 'normal')])]
    """
    top = [(str(k), v) for k, v in configuration.items() if not isinstance(v, Mapping)]
    tables = [(str(k), flat(v)) for k, v in configuration.items() if isinstance(v, Mapping)]
    return [(name, rows) for name, rows in [("", top), *tables] if rows]


def flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """A nested record as dotted names and values."""
    rows: list[tuple[str, Any]] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _resource(name: str) -> str:
    return resources.files("zatlas.report").joinpath(name).read_text(encoding="utf-8")
