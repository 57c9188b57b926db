"""Docstrings as the source has them, in the Markdown that the site is made of: roles become links, maths becomes MathML."""

import re
import textwrap
from html import escape

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`~?([\w.]+)`")
INLINE = re.compile(r":math:`([^`]+)`")
BLOCK = re.compile(r"^([ \t]*)\.\. math::[ \t]*(.*(?:\n(?:\1[ \t]+\S.*|[ \t]*(?=\n\1[ \t]+\S)))*)", re.M)
DOCTEST = re.compile(r"^([ \t]*)>>> .*\n?(?:\1\S.*\n?)*", re.M)
LITERAL = re.compile(r"``([^`]+)``")


def mathml(text: str, display: str) -> str:
    from latex2mathml.converter import convert

    spaced = re.sub(r"\\log(?=\s*[A-Za-z])", r"\\log\\,", " ".join(text.split()))  # the converter sets no space there
    return convert(spaced, display=display)


def _linked(found: re.Match[str]) -> str:
    place = found[1]
    return f'<autoref identifier="{place}" optional><code>{escape(place.rpartition(".")[2])}</code></autoref>'


def _block(found: re.Match[str]) -> str:
    return f"{found[1]}{mathml(textwrap.dedent(found[2]), 'block')}\n"


def _prose(text: str) -> str:
    text = BLOCK.sub(_block, text)
    text = INLINE.sub(lambda found: mathml(found[1], "inline"), text)
    return LITERAL.sub(r"`\1`", ROLE.sub(_linked, text))


def markdown(text: str) -> str:
    """All of it: doctests become blocks of code, and the rest is prose."""
    done, after = [], 0
    for found in DOCTEST.finditer(text):
        margin = found[1]
        done += [_prose(text[after : found.start()]), f"{margin}```pycon\n{found[0].rstrip()}\n{margin}```\n"]
        after = found.end()
    return "".join([*done, _prose(text[after:])])


class Markdown(griffe.Extension):
    """Applied to every object that has a docstring."""

    def on_object(self, *, obj: griffe.Object, **named: object) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
