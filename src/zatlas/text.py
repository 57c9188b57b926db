"""Text that comes from data, as names of classes, files and columns, made fit to be shown."""

from __future__ import annotations

import unicodedata

_LAYOUT = "\n\t"
_JOINERS = "\u200c\u200d"  # Persian and emoji are spelled with them


def printable(text: str) -> str:
    r"""The text with its invisible characters written out, as Python writes them.

    Control characters can drive a terminal and make XML invalid, marks of direction can turn the words after them
    around, and the lone surrogates that stand for bytes of a file name that are no UTF-8 cannot be encoded.

    >>> printable("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    if text.isprintable():
        return text
    return "".join(c if _visible(c) else c.encode("unicode_escape").decode() for c in text)


def _visible(c: str) -> bool:
    return c in _LAYOUT or c in _JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
