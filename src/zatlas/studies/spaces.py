"""What a word of the configuration may be in a study: listed values, or a range from which values are drawn."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zatlas.config import known_keys
from zatlas.config.former import FORMER
from zatlas.config.words import places
from zatlas.errors import UsageError, nearest, shown

MOST = 100_000  # values of a grid, or members of a study: more is a slip of the keyboard


@dataclass(frozen=True)
class Choices:
    """A value out of a list, each as likely as the others."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def written(self) -> str:
        return "|".join(map(_text, self.values))


@dataclass(frozen=True)
class Range:
    """A number between two bounds, both included; evenly, or evenly in its logarithm.

    Args:
        low: the smallest.
        high: the largest.
        log: whether the logarithm is uniform.
        whole: whether only whole numbers are drawn.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> Any:
        # half a unit on both sides, so that the ends of a whole range are as likely as what lies between
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            low = max(low, 0.5) if self.whole else low
            value = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            value = rng.uniform(low, high)
        if self.whole:
            return int(min(max(round(value), self.low), self.high))
        return float(f"{min(max(value, self.low), self.high):.6g}")  # as many digits as a person would type again

    def written(self) -> str:
        return f"{_text(self.low)}..{_text(self.high)}{':log' if self.log else ''}"


Space = Choices | Range


def check_word(word: str, option: str) -> str:
    """The word, where it is one of the configuration.

    Args:
        word: ``latent_dim``, or with its section ``model.latent_dim``.
        option: what a message calls the place where it was said.

    Raises:
        UsageError: there is no such key; the nearest one is named.

    >>> check_word("betta", "--grid")
    Traceback (most recent call last):
      ...
    zatlas.errors.UsageError: --grid: there is no key betta; did you mean beta?
    """
    known: Sequence[str] = known_keys() if "." in word else [*places(), *(key for _, key in FORMER)]
    if word not in known:
        raise UsageError(f"{option}: there is no key {word[:80]}; {nearest(word, known)}")
    # one key has one name, so that two ways to say it are not two parameters
    place = tuple(word.split(".", 1)) if "." in word else places().get(word)
    word = min((short for short, there in places().items() if there == place), key=len, default=word)
    if word == "source":
        raise UsageError(f"{option}: a study is of one data set, so source cannot vary: make a study for each.")
    return word


def split_word(text: str, option: str) -> tuple[str, str]:
    """``key=values`` as its two parts.

    Raises:
        UsageError: it is not of that form, or the key is unknown.
    """
    word, equals, values = text.partition("=")
    if not equals or not word.strip():
        raise UsageError(f"{option} wants key=values, as latent_dim=2,10,25, and {shown(text)} is not that.")
    return check_word(word.strip(), option), values.strip()


def read_grid(text: str) -> tuple[str, tuple[Any, ...]]:
    """What ``--grid key=value,value`` says.

    Raises:
        UsageError: an unknown key, or no value.

    >>> read_grid("beta=1,5,10,40"), read_grid("network=mlp,conv")
    (('beta', (1, 5, 10, 40)), ('network', ('mlp', 'conv')))
    """
    word, values = split_word(text, "--grid")
    return word, check_values(word, read_values(values), f"--grid {word}")


def read_values(text: str) -> list[Any]:
    """Values with commas between them, each as TOML writes it or as a plain word; ``none`` is None.

    >>> read_values("1, 2.5, none, true, [3, 4]"), read_values("mlp,conv"), read_values(",")
    ([1, 2.5, None, True, [3, 4]], ['mlp', 'conv'], [])
    """
    parts, depth, part, quote = [], 0, "", ""
    for c in text:
        if c == "," and not depth and not quote:
            parts.append(part)
            part = ""
            continue
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        depth += (c in "[{") - (c in "]}")
        part += c
    return [_value(one.strip()) for one in [*parts, part] if one.strip()]


def _value(text: str) -> Any:
    if text == "none":
        return None
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except (ValueError, RecursionError):
        return text


def check_values(word: str, values: Any, where: str) -> tuple[Any, ...]:
    """The values of a grid, each once.

    Raises:
        UsageError: there is none, or they are no list.
    """
    if not isinstance(values, list | tuple):
        raise UsageError(f"{where}: a grid is a list of values, and {shown(values)} is none.")
    if not values:
        raise UsageError(f"{where}: the grid is empty: give at least one value, as {word}=2,10.")
    found: list[Any] = []
    for value in values:
        value = tuple(value) if isinstance(value, list) else value
        if not any(value == other and type(value) is type(other) for other in found):
            found.append(value)
    return tuple(found)


def read_draw(text: str) -> tuple[str, Space]:
    """What ``--draw key=low..high[:log]`` or ``--draw key=a|b|c`` says.

    Raises:
        UsageError: an unknown key, or something that is neither a range nor a choice.

    >>> read_draw("learning_rate=1e-4..1e-2:log")
    ('learning_rate', Range(low=0.0001, high=0.01, log=True, whole=False))
    >>> read_draw("latent_dim=2..64")[1].whole, read_draw("network=mlp|conv")[1]
    (True, Choices(values=('mlp', 'conv')))
    """
    word, values = split_word(text, "--draw")
    return word, read_space(word, values, "--draw")


def read_space(word: str, written: Any, option: str) -> Space:
    """A range or a choice, as a person wrote it; a list is a choice.

    Raises:
        UsageError: it is neither, or the bounds are no bounds.
    """
    where = f"{option} {word}"
    if isinstance(written, list | tuple):
        return Choices(check_values(word, written, where))
    text = str(written)
    if ".." not in text:
        if "|" not in text:
            raise UsageError(
                f"{where} wants a range, as 1e-4..1e-2:log, or choices, as mlp|conv, and {shown(text)} is neither."
            )
        return Choices(check_values(word, [_value(part.strip()) for part in text.split("|") if part.strip()], where))
    bounds, _, scale = text.partition(":")
    if scale not in ("", "log"):
        raise UsageError(f"{where}: a range can be :log and nothing else, and {shown(scale)} is said.")
    low, high = (_value(part.strip()) for part in bounds.split("..", 1))
    numbers = [value for value in (low, high) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)) or not low < high:
        raise UsageError(f"{where}: {shown(bounds)} is no range: give a smaller and a larger number, as 1e-4..1e-2.")
    if scale == "log" and low <= 0:
        raise UsageError(f"{where}: a range in the logarithm begins above 0, and this one at {low}.")
    return Range(float(low), float(high), scale == "log", isinstance(low, int) and isinstance(high, int))


def drawn(spaces: Mapping[str, Space], trial: int, seed: int) -> dict[str, Any]:
    """The values of one trial; a function of the word, the trial's number and the seed alone.

    More trials or another word therefore change nothing about those that were drawn before.

    >>> drawn({"beta": Range(1, 4)}, 3, 0) == drawn({"beta": Range(1, 4), "size": Choices(("s", "m"))}, 3, 0) | {}
    False
    >>> drawn({"beta": Range(1, 4)}, 3, 0)["beta"] == drawn({"beta": Range(1, 4), "size": Choices("sm")}, 3, 0)["beta"]
    True
    """
    return {word: space.draw(_rng(word, trial, seed)) for word, space in spaces.items()}


def _rng(word: str, trial: int, seed: int) -> np.random.Generator:
    name = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, trial, name])


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
