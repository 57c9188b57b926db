"""The two ways in which zatlas says no. Each message is one sentence: what is wrong, where, and what mends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZatlasError(Exception):
    """The work failed: data, a file, a run or the numbers are not what they should be (exit status 1)."""

    exit_status = 1


class UsageError(ZatlasError, ValueError):
    """The words are wrong: an option, a name or a combination that cannot be (exit status 2)."""

    exit_status = 2


def nearest(word: str, known: Iterable[str]) -> str:
    """The clause that names the closest known words.

    >>> nearest("betta", ["beta", "gamma"])
    'did you mean beta?'
    >>> nearest("xyz", ["beta", "gamma"])
    'known are beta, gamma.'
    """
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."
