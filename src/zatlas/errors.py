"""The two errors that zatlas raises. Each message is one sentence: what is wrong, where, and what mends it."""

from __future__ import annotations

import difflib
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# How libraries say that there is no memory, in errors of other kinds: torch, numpy, the loader, oneDNN, C++.
NO_MEMORY = (
    *("out of memory", "can't allocate memory", "Cannot allocate memory", "Storage size calculation overflowed"),
    *("Maximum allowed size exceeded", "array is too big", "failed to map segment", "could not create a primitive"),
    *("can't start new thread", "bad_alloc"),
)
LONGEST = 2000  # characters of a message: file names and key names in it may be of any length
_MOST_NAMED = 20
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


def one_line(text: str) -> str:
    """A message as one line that any terminal shows; of one that is too long the middle is left out.

    >>> one_line("two\\nlines")
    'two\\\\nlines'
    """
    line = printable(text).replace("\n", "\\n").replace("\t", "\\t")
    # the mend is at the end
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 4 :]}"


class ZatlasError(Exception):
    """The work failed: data, a file, a run or the numbers are not what they should be (exit status 1)."""

    exit_status = 1

    def __init__(self, sentence: str = "") -> None:
        super().__init__(one_line(sentence))  # names of files and of what is in them may hold anything


class UsageError(ZatlasError, ValueError):
    """The words are wrong: an option, a name or a combination that cannot be (exit status 2)."""

    exit_status = 2


def shown(value: Any) -> str:
    """A value as Python writes it, cut where it is long or deep.

    >>> shown("abc"), len(shown("x" * 5000))
    ("'abc'", 80)
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    try:
        return short.repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"


def nearest(word: str, known: Iterable[str]) -> str:
    """The clause that names the closest known words.

    >>> nearest("betta", ["beta", "gamma"])
    'did you mean beta?'
    >>> nearest("xyz", ["beta", "gamma"])
    'known are beta, gamma.'
    """
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known are {listed(known)}."


def listed(words: Iterable[str]) -> str:
    """Words with commas between them; of more than 20, the first and how many follow.

    >>> listed([])
    'nothing'
    """
    words = list(words)
    more = [f"and {len(words) - _MOST_NAMED} more"] if len(words) > _MOST_NAMED else []
    return ", ".join([*words[:_MOST_NAMED], *more]) or "nothing"


def says_no_memory(error: BaseException) -> bool:
    """Whether an error, of whatever kind, says that memory has run out.

    >>> says_no_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")), says_no_memory(OSError())
    (True, False)
    """
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


@contextmanager
def reading(what: str, mend: str) -> Iterator[None]:
    """Turns whatever a library raises on bytes that are damaged or false into one sentence.

    Every kind of exception is meant: the list of those that zipfile, lzma, gzip, ast, numpy, PIL and datasets raise on
    damage was tried first, and each run of the fuzzer found another.

    Raises:
        ZatlasError: ``what`` cannot be read, the reason, and the mend.
    """
    try:
        yield
    except (ZatlasError, MemoryError):
        raise
    except Exception as error:
        lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
        reason = lines[0].rstrip(".")[:200] if lines else type(error).__name__
        raise ZatlasError(f"{what} cannot be read ({reason}): {mend}.") from error
