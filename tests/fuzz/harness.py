"""A small fuzzer: seeded cases of what a person might give, each of which must be used or refused in one sentence.

A maker draws what is tried from a seeded generator and writes it into a folder of its own; a door is what a person
would call on it. A case passes if the door returns, or raises ``ZatlasError`` with one printable sentence of bounded
length that names what was given. A traceback, a warning, a hang or more memory than was allowed is a failure, which
names the seed and the number of the case: ``ZATLAS_FUZZ_CASE=n`` runs that one alone, ``ZATLAS_FUZZ_CASES=1000`` so
many of each kind.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zatlas.errors import ZatlasError, printable

Chance = np.random.Generator
Maker = Callable[[Chance, Path], Any]  # writes a case into the folder and gives what the door is called with
Door = Callable[[Any], object]

SECONDS = 10.0  # a case takes milliseconds; a hang takes for ever
SPARE_BYTES = 1 << 30  # of address space beyond what the process holds when a case begins


class Hang(Exception):
    """Raised in a case that takes too long."""


def cases(default: int) -> range:
    """The numbers of the cases to run, by the environment."""
    if one := os.environ.get("ZATLAS_FUZZ_CASE"):
        return range(int(one), int(one) + 1)
    return range(int(os.environ.get("ZATLAS_FUZZ_CASES", default)))


@contextmanager
def limited(seconds: float = SECONDS, spare_bytes: int = SPARE_BYTES) -> Iterator[None]:
    """Limits on time and, on Linux, on memory."""

    def stop(*_: object) -> None:
        raise Hang(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux":
        held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + spare_bytes, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def fault(door: Door, given: Any, *named: str) -> tuple[str | None, str]:
    """What is wrong with how the door takes what it is given, or None; and whether it was used or refused."""
    try:
        with warnings.catch_warnings(), limited():
            warnings.simplefilter("error")
            door(given)
    except ZatlasError as error:
        return unclear(str(error), *named), "refused"
    except Exception:
        return traceback.format_exc(), "failed"
    return None, "used"


def unclear(sentence: str, *named: str) -> str | None:
    """What keeps an error from being one sentence that names what was given, or None."""
    if printable(sentence) != sentence:
        return f"it does not print, or is too long: {sentence!r}"
    if sentence[-1:] not in (".", "?"):
        return f"it is no sentence: {sentence!r}"
    known = not named or any(word in sentence for word in named)
    return None if known else f"it names none of {', '.join(named)}: {sentence!r}"


def run(
    maker: Maker, door: Door, *, seed: int, default: int, named: Callable[[Any], tuple[str, ...]] = lambda given: ()
) -> Counter[str]:
    """Runs the cases and gives how many were used and refused.

    Args:
        maker: makes a case.
        door: what is called on it.
        seed: of all cases; case n depends on the seed and n alone.
        default: how many cases, where the environment does not say.
        named: words of which a refusal has to name one, by what was given.

    Raises:
        AssertionError: the first ten cases that failed, and how to repeat them.
    """
    counts: Counter[str] = Counter()
    failures = []
    for number in cases(default):
        with tempfile.TemporaryDirectory(prefix="zatlas-fuzz-") as folder:
            given = maker(np.random.default_rng([seed, number]), Path(folder))
            wrong, how = fault(door, given, *named(given))
        counts[how] += 1
        if wrong is not None:
            failures.append(f"ZATLAS_FUZZ_CASE={number} (seed {seed}): {given!r}\n{wrong}")
    assert not failures, f"{len(failures)} of {sum(counts.values())} cases failed:\n\n" + "\n\n".join(failures[:10])
    return counts


def choose(chance: Chance, things: Any) -> Any:
    """One of them, as it is: ``Generator.choice`` would make an array of them."""
    return things[int(chance.integers(len(things)))]


ODD = (0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 10**18, 10**26)


def mutate(chance: Chance, content: bytes) -> bytes:
    """The bytes with some of: a bit turned, a cut, an insertion, a number that lies, parts moved or repeated."""
    out = bytearray(content)
    for _ in range(choose(chance, (1, 1, 2, 3))):
        if not out:
            break
        at = int(chance.integers(len(out))) if chance.random() < 0.5 else int(chance.integers(min(len(out), 128)))
        far = int(chance.integers(at, len(out) + 1))
        match int(chance.integers(7)):
            case 0:
                out[at] ^= 1 << int(chance.integers(8))
            case 1:
                del out[at:]
            case 2:
                out[at:at] = chance.bytes(int(chance.integers(1, 40)))
            case 3:
                width = choose(chance, (1, 2, 4, 8))
                number = choose(chance, ODD) % 256**width
                out[at : at + width] = number.to_bytes(width, choose(chance, ("little", "big")))
            case 4:
                out[at:] = out[far:] + out[at:far]
            case 5:
                out[at:at] = out[at : at + 200]
            case 6:
                del out[at : at + int(chance.integers(1, 64))]
    return bytes(out)
