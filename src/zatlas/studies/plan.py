"""The plan of a study: what is fixed, what varies, how often, what is measured; one record, one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w

from zatlas.errors import UsageError, nearest, shown
from zatlas.studies.spaces import MOST, Choices, Space, check_values, check_word, read_space

METRICS = ("bound", "reconstruction", "game")  # cheap, and of every kind of model one applies
# Of these figures less is better; of all others more.
LESS = (
    *("loss", "distortion", "rate", "rmse", "kl", "frechet_distance", "kernel_distance", "calibration_error"),
    *("bits_per_dimension", "gap", "total_correlation", "train_seconds", "log_loss", "amortisation_gap"),
)


@dataclass(frozen=True)
class Goal:
    """A figure that is to become large, or small.

    >>> Goal.read("elbo"), Goal.read("reconstruction.rmse"), Goal.read("rate:max").less
    (Goal(figure='elbo', less=False), Goal(figure='reconstruction.rmse', less=True), False)
    """

    figure: str
    less: bool

    @classmethod
    def read(cls, text: str) -> Goal:
        """``figure``, ``figure:min`` or ``figure:max``.

        Raises:
            UsageError: another direction.
        """
        figure, colon, way = text.strip().partition(":")
        if not figure or (colon and way not in ("min", "max")):
            raise UsageError(f"a goal is a figure, as elbo, elbo:max or rate:min, and {shown(text)} is none.")
        return cls(figure, figure.rpartition(".")[2] in LESS if not colon else way == "min")

    def written(self) -> str:
        return f"{self.figure}:{'min' if self.less else 'max'}"


@dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving (Li et al. 2020, algorithm 2, with stopping in place of promotion).

    Args:
        factor: of those that reached a rung the best 1 in so many go on.
        first: the share of its training after which a member is first compared; each later rung is ``factor`` further.
    """

    factor: int = 3
    first: float = 1 / 9

    def __post_init__(self) -> None:
        if not (isinstance(self.factor, int) and self.factor >= 2 and 0 < self.first < 1):
            raise UsageError("early stopping wants a factor of 2 or more and a first rung between 0 and 1.")

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of the training, rising.

        >>> [round(rung, 3) for rung in Halving(3, 1 / 9).rungs]
        [0.111, 0.333]
        """
        found, share = [], self.first
        while share < 1 - 1e-9:
            found.append(share)
            share *= self.factor
        return tuple(found)


@dataclass(frozen=True)
class Plan:
    """A study that is yet to be run.

    Args:
        source: the data, by name or path.
        words: what is the same in all members, as :func:`zatlas.config.words.configuration` takes it.
        preset: a named configuration under the words.
        assignments: ``section.key=value`` each, over the words.
        grid: values of words; all combinations are trained.
        draws: ranges of words; every combination of the grid is trained with each of ``trials`` draws.
        trials: how many draws, or how many trials of the search.
        seeds: every combination is trained so often, from seeds that count up.
        search: whether Optuna chooses the values that ``draws`` and ``grid`` allow, in place of random draws.
        goals: of the search.
        halving: stops hopeless members early; None: all are trained to their end.
        metrics: as ``zatlas evaluate --metric`` knows them.
        split: rows that are measured; None: validation rows in a search, else test rows.
        best: by which figure members are ranked; None: the first goal, else the ELBO, else what there is.
        draw_seed: of the draws and of the search.
        about: a sentence for the report.
    """

    source: str
    words: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    assignments: tuple[str, ...] = ()
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    draws: Mapping[str, Space] = field(default_factory=dict)
    trials: int = 0
    seeds: int = 1
    search: bool = False
    goals: tuple[Goal, ...] = ()
    halving: Halving | None = None
    metrics: tuple[str, ...] = METRICS
    split: str | None = None
    best: Goal | None = None
    draw_seed: int = 0
    about: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def varied(self) -> tuple[str, ...]:
        """The words that differ between members, the seed last."""
        seeds = ("seed",) if self.seeds > 1 and "seed" not in self.grid else ()
        return (*self.grid, *self.draws, *seeds)

    @property
    def measured_split(self) -> str | None:
        """The rows that are measured; what is chosen by figures is not chosen by those of the test rows."""
        return self.split or ("validation" if self.search else None)

    def written(self) -> dict[str, Any]:
        """As TOML and JSON hold it; :func:`from_record` reads it back."""
        record: dict[str, Any] = {
            "about": self.about,
            "source": self.source,
            "preset": self.preset,
            "set": list(self.assignments),
            "seeds": self.seeds,
            "trials": self.trials,
            "search": self.search,
            "goals": [goal.written() for goal in self.goals],
            "metrics": list(self.metrics),
            "split": self.split,
            "best": self.best and self.best.written(),
            "draw_seed": self.draw_seed,
            "words": {word: _plain(value) for word, value in self.words.items() if value is not None},
            "grid": {word: [_plain(value) for value in values] for word, values in self.grid.items()},
            "draw": {
                word: [_plain(v) for v in space.values] if isinstance(space, Choices) else space.written()
                for word, space in self.draws.items()
            },
        }
        if self.halving:
            record["halving"] = {"factor": self.halving.factor, "first": self.halving.first}
        return {key: value for key, value in record.items() if value not in (None, "", [], {}, 0, False)}

    def to_toml(self) -> str:
        return tomli_w.dumps(_toml(self.written()))


def _toml(value: Any) -> Any:
    """With ``none`` where TOML, which knows no None, has a None."""
    if isinstance(value, dict):
        return {key: _toml(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_toml(item) for item in value]
    return "none" if value is None else value


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _check(plan: Plan) -> None:
    if not plan.source:
        raise UsageError("say what the study is of: zatlas study digits, or a folder of images, an .npz, ….")
    if not any(isinstance(value, str) and ":" in value for value in plan.words.values()):  # a part of somebody's own
        for word in plan.words:
            check_word(word, "the words of the study")
    for word in plan.grid:
        if word in plan.draws:
            raise UsageError(f"{word} has a grid and is drawn: choose one.")
    for word in (*plan.grid, *plan.draws):
        if plan.words.get(word) is not None:
            raise UsageError(f"{word} is fixed at {shown(plan.words[word])} and varies: leave one of the two out.")
        fixed = next((text for text in plan.assignments if named(text) == word), None)
        if fixed is not None:
            raise UsageError(f"{word} is fixed by --set {fixed[:80]} and varies: leave one of the two out.")
    _check_counts(plan)
    _check_search(plan)


def _check_counts(plan: Plan) -> None:
    if not isinstance(plan.seeds, int) or not 1 <= plan.seeds <= MOST:
        raise UsageError(f"seeds are counted, from 1 on, and {shown(plan.seeds)} is not such a number.")
    if plan.seeds > 1 and "seed" in (*plan.grid, *plan.draws):
        raise UsageError("seeds are both counted and listed: give --seeds or a grid of seed.")
    if (plan.draws or plan.search) and not (isinstance(plan.trials, int) and 1 <= plan.trials <= MOST):
        raise UsageError(f"how often is to be {'searched' if plan.search else 'drawn'}? Give --trials N.")
    if plan.trials and not (plan.draws or plan.search):
        raise UsageError("--trials counts draws, and nothing is drawn: give --draw, or --search over a grid.")
    combinations = plan.seeds * (plan.trials if plan.draws or plan.search else 1)
    for values in plan.grid.values() if not plan.search else ():
        combinations *= len(values)
    if combinations > MOST:
        raise UsageError(
            f"this plan has {combinations:,} members, and a study at most {MOST:,}: make the grid smaller."
        )


def _check_search(plan: Plan) -> None:
    if plan.search and not (plan.draws or plan.grid):
        raise UsageError("there is nothing to search: give --draw with a range, or --grid with choices.")
    if plan.goals and not plan.search:
        raise UsageError("a goal is for a search: give --search too, or --best to rank what is trained.")
    if not (plan.grid or plan.draws or plan.seeds > 1):
        raise UsageError("a study varies something: give --grid, --draw or --seeds; one model is for zatlas train.")


def named(assignment: str) -> str:
    """The word that a ``section.key=value`` is about."""
    from zatlas.config.words import places

    section, _, key = assignment.partition("=")[0].strip().partition(".")
    found = [word for word, place in places().items() if place == (section, key)]
    return min(found, key=len, default=f"{section}.{key}")


_TOP = {
    "about": str, "source": str, "preset": str, "set": list, "seeds": int, "trials": int, "search": bool,
    "goals": list, "metrics": list, "split": str, "best": str, "draw_seed": int, "words": dict, "grid": dict,
    "draw": dict, "halving": dict,
}  # fmt: skip


def from_record(record: Mapping[str, Any], where: str) -> Plan:
    """The plan that a TOML file says.

    Args:
        record: its nested values.
        where: what error messages call it.

    Raises:
        UsageError: an unknown key, a value of the wrong kind, or a plan that cannot be.

    >>> from_record({"source": "digits", "grid": {"beta": [1, 4]}}, "here").grid
    {'beta': (1, 4)}
    """
    for key, value in record.items():
        if key not in _TOP:
            raise UsageError(f"{where}: there is no {key}; {nearest(key, _TOP)}")
        if not isinstance(value, _TOP[key]) or (_TOP[key] is int and isinstance(value, bool)):
            raise UsageError(f"{where}: {key} wants {_KINDS[_TOP[key]]}, and {shown(value)} is none.")
    grid = {}
    for word, values in record.get("grid", {}).items():
        word = check_word(word, f"{where}, grid")
        values = (
            [None if value == "none" and word != "binarise" else value for value in values]
            if isinstance(values, list)
            else values
        )
        grid[word] = check_values(word, values, f"{where}, grid {word}")
    draws = {}
    for word, space in record.get("draw", {}).items():
        word = check_word(word, f"{where}, draw")
        draws[word] = read_space(word, space, f"{where}, draw")
    halving = record.get("halving")
    if halving is not None and (unknown := set(halving) - {f.name for f in fields(Halving)}):
        raise UsageError(f"{where}: there is no halving.{min(unknown)}; known are factor and first.")
    return Plan(
        source=record.get("source", ""),
        words=dict(record.get("words", {})),
        preset=record.get("preset"),
        assignments=tuple(map(str, record.get("set", ()))),
        grid=grid,
        draws=draws,
        trials=record.get("trials", 0),
        seeds=record.get("seeds", 1),
        search=record.get("search", False),
        goals=tuple(Goal.read(str(goal)) for goal in record.get("goals", ())),
        halving=None if halving is None else Halving(**halving),
        metrics=tuple(map(str, record.get("metrics", METRICS))),
        split=record.get("split"),
        best=None if record.get("best") is None else Goal.read(record["best"]),
        draw_seed=record.get("draw_seed", 0),
        about=record.get("about", ""),
    )


_KINDS = {str: "a text", list: "a list", int: "a whole number", bool: "true or false", dict: "a table"}


def read_plan(name: str, changes: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a TOML file, or one that comes with zatlas.

    Args:
        name: the path of a file, or the name of a plan of :func:`plans`.
        changes: values that replace the file's, table by table: a grid of the same word is replaced whole.

    Raises:
        UsageError: there is neither, or the file is no plan.
    """
    record = plan_record(name)
    for key, value in (changes or {}).items():
        record[key] = {**record.get(key, {}), **value} if isinstance(value, Mapping) else value
    return from_record(record, name)


def plan_record(name: str) -> dict[str, Any]:
    """The nested values of a plan, as :func:`read_plan` finds it."""
    known = plans()
    path = Path(name)
    if name in known and not path.is_file():
        return tomllib.loads(known[name])
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no plan {name}, neither a file nor one of zatlas; {nearest(name, known)}") from None
    except OSError as error:
        raise UsageError(f"the plan {name} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the plan {name} is not valid TOML: {error}.") from None


def plans() -> dict[str, str]:
    """The plans that come with zatlas, as TOML."""
    folder = resources.files("zatlas.studies").joinpath("plans")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text(encoding="utf-8") for f in files}


def with_source(plan: Plan, source: str | None) -> Plan:
    """The plan on other data."""
    return plan if source is None else replace(plan, source=source)


def names(words: Sequence[str]) -> str:
    """Words in a sentence.

    >>> names(["latent_dim", "beta"])
    'latent_dim and beta'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))
