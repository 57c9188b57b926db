"""The members of a plan: each a resolved configuration, known by its hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import Any

import tomli_w

from zatlas.config import Config
from zatlas.config.words import configuration, places
from zatlas.errors import UsageError
from zatlas.studies.plan import Plan, named
from zatlas.studies.spaces import Choices, Range, drawn

KEY = 16  # hexadecimal digits: of 100,000 members two are alike once in 10^9 studies
_NAME = 56  # characters of the readable part of a folder's name


@dataclass(frozen=True)
class Member:
    """One model of a study.

    Attributes:
        key: hash of the resolved configuration.
        words: what varies, and its values here, the seed among them.
        config: the resolved configuration, nested as in TOML; empty where it cannot be.
        refused: why there is no such configuration; empty where there is.
        group: hash of the configuration without its seed: members that differ by their seed alone.
        bracket: hash of what a loss is about; only members of one bracket are compared as they train.
        trial: of a search or a draw; None in a plain grid.
    """

    key: str
    words: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    group: str = ""
    bracket: str = ""
    trial: int | None = None

    @property
    def folder(self) -> str:
        """The name of its run folder: what varies, for people, and the key.

        >>> Member("0123456789abcdef", {"latent_dim": 2, "network": "mlp"}).folder
        'latent_dim-2-network-mlp-0123456789abcdef'
        """
        words = "-".join(f"{word}-{value}" for word, value in self.words.items())
        readable = re.sub(r"[^A-Za-z0-9._]+", "-", words).strip("-._")[:_NAME].rstrip("-._")
        return f"{readable}-{self.key}" if readable else self.key

    def told(self) -> str:
        """What varies, in words.

        >>> Member("0", {"beta": 4.0, "seed": 1}).told()
        'beta 4, seed 1'
        """
        return ", ".join(f"{word} {shown(value)}" for word, value in self.words.items()) or "the one member"


def shown(value: Any) -> str:
    """A value for people.

    >>> shown(4.0), shown(0.00025), shown("mlp"), shown(None)
    ('4', '0.00025', 'mlp', 'none')
    """
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def digest(record: Any) -> str:
    """A hash of plain values, the same on every machine."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY]


def resolved(plan: Plan, point: Mapping[str, Any], who: str) -> Config:
    """The configuration at one point of the plan.

    Raises:
        UsageError: there is none.
    """
    said = {word: value for word, value in point.items() if value is not None and "." not in word}
    keys = {word: word if "." in word else ".".join(places()[word]) for word in point if word not in said}
    more = [f"{key}={'none' if point[word] is None else _toml(point[word])}" for word, key in keys.items()]
    words = {**plan.words, "source": plan.source, **said}
    return configuration(words, who=who, preset_name=plan.preset, assignments=(*plan.assignments, *more))


def _toml(value: Any) -> str:
    return tomli_w.dumps({"v": value}).partition("=")[2].strip()


def member_at(plan: Plan, point: Mapping[str, Any], *, seed: int | None = None, trial: int | None = None) -> Member:
    """The member at one point of the plan.

    Args:
        plan: the plan.
        point: the values of what varies.
        seed: how far the seed is from that of the plan; None: the plan has one seed, which is not named.
        trial: its number in a search or draw.
    """
    who = ", ".join(f"{word} {shown(value)}" for word, value in point.items()) or "the study"
    try:
        config = resolved(plan, point, who)
        if seed:
            config.training.seed = config.training.seed + seed
    except UsageError as error:
        words = {**point, **({} if seed is None else {"seed": seed})}
        written = {word: list(value) if isinstance(value, tuple) else value for word, value in words.items()}
        return Member(digest(["refused", plan.written(), written]), words, refused=str(error), trial=trial)
    record = config.model_dump(mode="json", exclude_none=True)
    training: dict[str, Any] = record.get("training", {})
    alike = {**record, "training": {**training, "seed": None}}
    bracket = [record.get("data"), record.get("objective"), record.get("likelihood")]
    words = {**point, **({} if seed is None else {"seed": config.training.seed})}
    return Member(digest(record), words, record, "", digest(alike), digest(bracket), trial)


def points(plan: Plan) -> Iterator[tuple[dict[str, Any], int | None]]:
    """Every combination of the grid, with every draw; and the number of the draw."""
    for values in product(*plan.grid.values()):
        point = dict(zip(plan.grid, values, strict=True))
        if not plan.draws:
            yield point, None
        for trial in range(plan.trials if plan.draws else 0):
            yield {**point, **drawn(plan.draws, trial, plan.draw_seed)}, trial


def seeds(plan: Plan) -> Sequence[int | None]:
    return range(plan.seeds) if plan.seeds > 1 else (None,)


def members(plan: Plan) -> list[Member]:
    """Every member of a plan that is not a search, seed by seed, so that a study that is stopped has all of one seed.

    Raises:
        UsageError: a value with which no combination can be, as one of the wrong kind.
    """
    every = list(points(plan))
    found = [member_at(plan, point, seed=seed, trial=trial) for seed in seeds(plan) for point, trial in every]
    check_values_can_be(found)
    return list({member.key: member for member in found}.values())  # two ways to say one configuration are one member


def check_values_can_be(found: Sequence[Member]) -> None:
    """Refuses a value that stands in no sound member; a combination that cannot be is a failing member and no more.

    Raises:
        UsageError: what the first such member says.
    """
    sound = {(word, repr(value)) for member in found if not member.refused for word, value in member.words.items()}
    for member in found:
        if member.refused and any((word, repr(value)) not in sound for word, value in member.words.items()):
            raise UsageError(member.refused)


def check_search(plan: Plan) -> None:
    """Refuses a search none of whose ends can be.

    Raises:
        UsageError: what the first such end says.
    """
    ends: list[dict[str, Any]] = []
    spaces = {**{word: Choices(values) for word, values in plan.grid.items()}, **plan.draws}
    middle = {word: _ends(space)[0] for word, space in spaces.items()}
    for word, space in spaces.items():
        ends += [{**middle, word: value} for value in _ends(space)]
    check_values_can_be([member_at(plan, point) for point in ends])


def _ends(space: Choices | Range) -> tuple[Any, ...]:
    if isinstance(space, Choices):
        return space.values
    return (int(space.low), int(space.high)) if space.whole else (space.low, space.high)


def fixed_parts(before: Plan, now: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two plans fix, resolved at one point of all that either of them varies; plans of one study agree in it.

    At one point, since a kind of model or objective that varies brings values of its own.

    Raises:
        UsageError: there is no point at which both can be.
    """
    spaces: dict[str, tuple[Any, ...]] = {}
    for plan in (before, now):
        for word, space in {**{w: Choices(v) for w, v in plan.grid.items()}, **plan.draws}.items():
            spaces.setdefault(word, _ends(space))
    bare = [_without(plan, spaces) for plan in (before, now)]
    refused = UsageError("")
    for values in islice(product(*spaces.values()), 1000):
        point = dict(zip(spaces, values, strict=True))
        try:
            made = [resolved(plan, point, "the plan") for plan in bare]
        except UsageError as error:
            refused = error
            continue
        first, second = (config.model_dump(mode="json", exclude_none=True) for config in made)
        for record in (first, second):
            record["training"]["seed"] = None
        return first, second
    raise refused


def _without(plan: Plan, words: Mapping[str, Any]) -> Plan:
    """The plan without what it says of some words."""
    kept = {word: value for word, value in plan.words.items() if word not in words and word != "seed"}
    said = tuple(text for text in plan.assignments if named(text) not in words)
    return replace(plan, words=kept, assignments=said, grid={}, draws={}, trials=0, search=False, goals=(), seeds=2)
