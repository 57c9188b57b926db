"""Examples by what people call them: classes, known factors, real labels, or rows chosen by hand.

``3,8``                  the classes 3 and 8
``shape=heart``          a known factor, or a real label column, with =, !=, <, <=, > or >=
``rows:12,15``           these rows of the data; ``rows:FILE`` reads them from a text file or an .npy
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.data import Rows, evenly_spaced
from zatlas.data.npy import read_npy
from zatlas.errors import UsageError, ZatlasError, nearest
from zatlas.files import regular
from zatlas.runs.opened import Run

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, eq=False)
class Group:
    """Some examples.

    Attributes:
        words: what it was called.
        holds: which of some rows belong, ``[N]`` bool.
        chosen: the rows themselves, where they were chosen by hand.
    """

    words: str
    holds: Callable[[Rows], Array]
    chosen: Rows | None = None

    def among(self, rows: Rows) -> Rows:
        """Those of the rows that belong; the chosen ones whatever the rows are."""
        return rows[self.holds(rows)] if self.chosen is None else self.chosen

    def others(self) -> Group:
        """All examples that do not belong."""
        return Group("others", lambda rows: ~self.holds(rows))


def group(run: Run, words: str) -> Group:
    """The examples that words stand for.

    Raises:
        UsageError: a class, a factor, a value or a row that is not there; the nearest known name is given.
    """
    labels = run.source.spec.labels if run.source.spec.label_kind == "class" else ()
    names = listed(words, labels)
    classes = all(name in labels for name in names)  # which may be called rows:3, or one=1
    if not classes and words.startswith("rows:"):
        chosen = np.unique(run.numbered(_row_numbers(words.removeprefix("rows:"))))
        return Group(f"{len(chosen)} chosen", lambda rows: np.isin(rows, chosen), chosen)
    if not classes and (found := re.fullmatch(r"(.+?)\s*(>=|<=|!=|=|<|>)\s*(.+)", words)):
        name, sign, value = found.groups()
        values, level = column(run, name), _level(run, name, value)
        return Group(words, lambda rows: COMPARISONS[sign](values(rows), level))
    for name in names:
        if name not in labels:
            raise UsageError(f"{run.source.name} has no {_called(run, name)}")
    numbers = [labels.index(name) for name in names]
    return Group(",".join(names), lambda rows: np.isin(_labels(run, rows), numbers))


def listed(words: str, known: Sequence[str]) -> list[str]:
    """The names in a list with commas; a known name may hold some itself, and the longest that is known wins.

    >>> listed("red, green,blue", ["red", "green,blue"])
    ['red', 'green,blue']
    """
    parts, names = words.split(","), []
    while parts:
        for count in range(len(parts), 0, -1):
            text = ",".join(parts[:count])
            name = text if text in known else text.strip()
            if name in known or count == 1:
                names.append(name)
                parts = parts[count:]
                break
    return names


def column(run: Run, name: str) -> Callable[[Rows], Array]:
    """The values ``[N]`` of a real label column or a known factor, given rows.

    Raises:
        UsageError: there is none of that name.
    """
    source = run.source
    if source.spec.label_kind == "real" and name in source.spec.labels:
        number = source.spec.labels.index(name)
        return lambda rows: _labels(run, rows)[:, number].astype(np.float64)
    factors = source.factors
    if factors is not None and name in source.factor_names:
        at = source.factor_names.index(name)
        return lambda rows: factors[rows, at].astype(np.float64)
    raise UsageError(f"{source.name} has no {_called(run, name, columns_only=True)}")


def columns(run: Run) -> tuple[str, ...]:
    """Names of the real label columns and of the known factors."""
    source = run.source
    real = source.spec.labels if source.spec.label_kind == "real" else ()
    return (*real, *(source.factor_names if source.factors is not None else ()))


def members(run: Run, group: Group, split: str, most: int) -> Rows:
    """At most so many rows of a group, spread evenly over those of a split.

    Raises:
        UsageError: there are none.
    """
    rows = group.among(run.rows(split))
    if not len(rows):
        raise UsageError(f"no {split} row of {run.source.name} is in the group {group.words!r}: name another.")
    return evenly_spaced(rows, most)


@dataclass(frozen=True, eq=False)
class Attribute:
    """What two groups of examples differ in, or a real value that examples have.

    Attributes:
        without: the group that does not have it; of a real value its lower half.
        with_: the group that has it; of a real value its upper half.
        values: the real values ``[N]``, given rows; None: there are two groups.
    """

    without: Group
    with_: Group
    values: Callable[[Rows], Array] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Of the groups without and with."""
        first, second = self.without.words, self.with_.words
        return (first, second) if first != second else (f"{first} without", f"{second} with")  # as many by hand

    @property
    def by_hand(self) -> bool:
        """Whether rows were chosen, so that no split has a say in which they are."""
        return self.without.chosen is not None or self.with_.chosen is not None

    def rows(self, run: Run, split: str, most: int) -> tuple[Rows, Rows]:
        """Rows without and with it, at most ``most`` altogether.

        Raises:
            UsageError: a group is empty, or a row is in both.
        """
        without, with_ = (members(run, side, split, most // 2) for side in (self.without, self.with_))
        if len(both := np.intersect1d(without, with_)):
            names = " and ".join(repr(name) for name in self.names[::-1])
            raise UsageError(f"row {both[0]} is in both groups, {names}: groups must not overlap.")
        return without, with_

    def y(self, rows: tuple[Rows, Rows]) -> Array:
        """``[N]`` of all these rows: bool for groups, float for a real value."""
        every = np.concatenate(rows)
        return np.arange(len(every)) >= len(rows[0]) if self.values is None else self.values(every)


def attribute(run: Run, with_: str, without: str | None = None) -> Attribute:
    """What words for the examples with it and without it stand for; ``without`` None: all others.

    The bare name of a known factor or a real label column is a real attribute.

    Raises:
        UsageError: a name that is not there.
    """
    if without is None and with_ in columns(run):
        values = column(run, with_)
        return Attribute(*_halves(with_, values, run.rows("train")), values)
    inside = group(run, with_)
    return Attribute(inside.others() if without is None else group(run, without), inside)


def _halves(name: str, values: Callable[[Rows], Array], rows: Rows) -> tuple[Group, Group]:
    """Examples on either side of the middle of a real attribute's values."""
    known = np.unique(values(rows))
    median = float(np.median(values(rows)))
    last = int((known <= median).sum()) - 1  # the largest value that belongs to the lower half
    middle = float(known[max(0, min(last, len(known) - 2))])
    return (
        Group(f"{name} ≤ {middle:g}", lambda rows: values(rows) <= middle),
        Group(f"{name} > {middle:g}", lambda rows: values(rows) > middle),
    )


def _labels(run: Run, rows: Rows) -> Array:
    labels = run.source.read_labels(rows)
    assert labels is not None  # asked for only where the specification has names for them
    return labels


def _called(run: Run, name: str, *, columns_only: bool = False) -> str:
    """The end of the sentence that says what is not there, and what is."""
    spec, known = run.source.spec, list(columns(run))
    classes = list(spec.labels) if spec.label_kind == "class" and not columns_only else []
    if not classes and not known:
        what = "factors or real labels" if columns_only else "labels and no known factors"
        return f"{what}, so {name!r} names nothing: choose examples by hand, as rows:3,7,12."
    if not classes and not columns_only:
        return f"classes, so {name!r} is none: compare one of {', '.join(known)}, as {known[0]}>0."
    what = "class or factor" if classes and known else "class" if classes else "factor or real label"
    return f"{what} {name!r}; {nearest(name, [*classes, *known])}"


def _level(run: Run, name: str, value: str) -> float:
    """A number, or the number of a class where the factor is what the classes are.

    Raises:
        UsageError: neither.
    """
    try:
        return float(value)
    except ValueError:
        pass
    spec = run.source.spec
    if spec.label_kind == "class":
        some = run.spread("all", 1000)
        if np.array_equal(column(run, name)(some), _labels(run, some)):
            if value in spec.labels:
                return float(spec.labels.index(value))
            raise UsageError(f"the factor {name} is never {value!r}; {nearest(value, spec.labels)}")
    raise UsageError(f"{name} is compared with a number, and {value!r} is none.")


def _row_numbers(words: str) -> list[int]:
    """Whole numbers, as written or from a file.

    Raises:
        UsageError: no file and no whole numbers.
    """
    numbers = _whole(words)
    if numbers is None:
        numbers = _whole(_read(words))
    if numbers is None:
        raise UsageError(f"the file {words} does not hold row numbers alone: write whole numbers, one a line.")
    return numbers


def _whole(text: str) -> list[int] | None:
    parts = text.replace(",", " ").split()
    return [int(part) for part in parts] if all(re.fullmatch("[0-9]{1,18}", part) for part in parts) else None


def _read(name: str) -> str:
    try:
        path = regular(name)
        if path.suffix == ".npy":
            return " ".join(map(str, read_npy(path, name).reshape(-1).tolist()))
        return path.read_text(encoding="utf-8")
    except (ZatlasError, OSError, ValueError):
        raise UsageError(
            f"rows:{name} is neither row numbers, as rows:12,15,18, nor a file of them that can be read."
        ) from None
