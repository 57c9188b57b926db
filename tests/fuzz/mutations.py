"""Seeded damage to bytes and to values, and what counts as a proper answer to it.

``ZATLAS_FUZZ_CASES=10000 pytest tests/fuzz`` runs so many cases of every fuzzer; without it a short part is run. A case
is made from its fuzzer's name and its number alone, so that a reported one is run again by those.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Any

from zatlas.errors import ZatlasError

SECONDS = 20  # for one case, most of which take milliseconds

EXTREMES: list[Any] = [
    *(None, True, False, 0, 1, -1, 3, 10**26, -(10**26), 0.5, -0.5, 1e308, 1e-308),
    *("", "x", "none", "../..", "\0", "é\u2028", "x" * 5000, "1e999"),
    *([], [[]], {}, {"a": 1}, [1, 2, 3], [None], ["x"], [[1] * 3] * 2),
]


def each_case(name: str, few: int, case: Callable[[random.Random], Callable[[], object]]) -> None:
    """Runs the cases of one fuzzer; each is made by ``case`` and may end well or in one sentence of zatlas."""
    found = []
    count = int(os.environ.get("ZATLAS_FUZZ_CASES", few))
    for number in range(count):
        act = case(random.Random(f"{name}-{number}"))
        if wrong := _wrong(act):
            found.append(f"{name} {number}: {wrong}")
    assert not found, f"{len(found)} of {count} cases\n" + "\n".join(found[:40])


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"it took more than {SECONDS} s")


def _wrong(act: Callable[[], object]) -> str | None:
    before = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        act()
    except ZatlasError as refused:
        text = str(refused)
        if "\n" in text or text[-1:] not in ".?)" or len(text) > 3000:
            return f"no sentence: {text[:200]!r}"
    except Exception as error:  # the one thing that is looked for
        at = error.__traceback__
        while at and at.tb_next:
            at = at.tb_next
        where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else "?"
        return f"{type(error).__name__}: {str(error)[:120]} at {where}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None


def damaged(rng: random.Random, content: bytes) -> bytes:
    """The bytes with one flipped, cut off, repeated, inserted, blanked or replaced."""
    if not content:
        return b"\xff"
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.choice((1, 2, 8, 100, 10_000)))
    way = rng.randrange(8)
    if way < 3:
        return content[:start] + bytes([content[start] ^ 1 << rng.randrange(8)]) + content[start + 1 :]
    made = {
        3: content[:start],
        4: content[:end] + content[start:],
        5: content[:start] + rng.randbytes(end - start) + content[end:],
        6: content[:start] + bytes(end - start) + content[end:],
        7: content[:start] + rng.choice((b"[" * 10**5, b"\xff\xfe", b"{", b'"', b"9" * 5000)) + content[start:],
    }
    return made[way]


def altered(rng: random.Random, value: Any) -> Any:
    """The value with one entry somewhere in it replaced by an extreme, taken out, or given another's value."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: altered(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], altered(rng, value[place]), *value[place + 1 :]]
    return rng.choice(EXTREMES)
