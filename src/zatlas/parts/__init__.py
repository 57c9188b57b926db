"""Parts: what the family is made of, each declared once, beside the class or function that makes it.

A part (a model, objective, network, prior, posterior, likelihood, metric, walk, importer or data format) has a name,
the sentence that says when to use it, its own settings, and what it needs of others. The configuration, the command
line, the estimators, ``zatlas models`` and all error messages read that declaration; no other list of names exists.

Parts of zatlas are found in their room, parts of installed packages by their entry points (``zatlas.objectives``, ...),
and any other by its place, ``package.module:Class``, which is imported only where a person asks for it
(:func:`trusting`).
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from zatlas.errors import UsageError, nearest
from zatlas.parts.context import Context
from zatlas.parts.making import NOTHING, Remembers, maker, read_settings
from zatlas.parts.settings import ModelSettings, Section, Settings
from zatlas.trust import PLACE, imported, is_module, place_of, trusted

__all__ = [
    "BROKEN",
    "SORTS",
    "Context",
    "Defaults",
    "ModelSettings",
    "Part",
    "Remembers",
    "Section",
    "Settings",
    "Sort",
    "data_format",
    "importer",
    "installed",
    "likelihood",
    "metric",
    "missing",
    "model",
    "network",
    "objective",
    "posterior",
    "prior",
    "walk",
]

Defaults = Mapping[str, Mapping[str, Any]]
Declared = TypeVar("Declared")


@dataclass(frozen=True)
class Part:
    """A declaration.

    Attributes:
        sort: ``"objective"``, ``"network"``, ...
        name: how it is called, within its sort (and its role).
        when: when to use it, one clause.
        make: gives the part, called with its settings first; see the sort's own documentation.
        settings: the record of its own settings.
        source: paper and equation.
        title: its full name.
        order: where it stands in lists.
        traits: what it is, in words that other parts may need.
        needs: traits that the model must have.
        role: of a network, which kind of model it is built for.
        defaults: values of other sections that it wants where a person says nothing.
        facts: what else the parts around it ask of it.
        target: the class or function that was declared.
    """

    sort: str
    name: str
    when: str
    make: Callable[..., Any]
    settings: type[Settings]
    target: Any
    source: str = ""
    title: str = ""
    order: int = 100
    traits: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    role: str = ""
    defaults: Defaults = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def has(self, *traits: str) -> bool:
        """Whether it has all of these traits."""
        return self.traits.issuperset(traits)

    @property
    def keys(self) -> list[str]:
        """The names of its settings."""
        return [key for key in self.settings.model_fields if key != "kind"]

    @property
    def is_foreign(self) -> bool:
        """Whether it is made by code that does not come with zatlas."""
        return str(self.target.__module__).split(".")[0] != "zatlas"

    def check(self, config: Any) -> None:
        """Asks the part, by its class's ``check(config)``, whether it goes with the rest of the configuration.

        Raises:
            ValueError: it does not; the sentence says what does.
        """
        if asked := getattr(self.target, "check", None) or self.facts.get("check"):
            asked(config)

    # what is asked of models alone --------------------------------------------------------------------------------

    @property
    def infers(self) -> bool:
        """Whether it says which z made an x, so that it encodes, reconstructs and has a likelihood or its bound."""
        return "infers" in self.traits

    @property
    def closed(self) -> bool:
        """Whether it is fitted in closed form or by EM, before the first step, of which there is none."""
        return "closed" in self.traits

    @property
    def axes(self) -> bool:
        """Whether the units of a code are axes that can be walked along, with a rate each."""
        return "codebook" not in self.traits

    @property
    def point(self) -> bool:
        """Whether a code has no distribution, so that there is no rate and no prior to sample from."""
        return "point" in self.traits

    @property
    def conditional(self) -> bool:
        """Whether y is part of it."""
        return "conditional" in self.traits

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives that go with this model, its default first."""
        found = [part.name for part in SORTS["objective"].parts() if part.needs <= self.traits]
        return tuple(sorted(found, key=lambda name: name != self.facts["objective"]))

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that this model can be built of."""
        return tuple(name for name in SORTS["network"].names(self.facts["network"]) if name != "auto")

    @property
    def sections(self) -> tuple[str, ...]:
        """Which sections of the configuration it has beside model, network and objective."""
        return tuple(self.facts.get("sections", ()))


@cache
def installed() -> Any:
    """The entry points of all installed packages, looked up once: to read them takes 20 ms."""
    return entry_points()


class Sort:
    """All parts of one sort; as a decorator it declares one.

    Args:
        name: of the sort.
        room: the package of zatlas whose modules hold them.
        base: of the settings.
        needs: what a part needs of the model where it does not say.
    """

    def __init__(self, name: str, room: str, base: type[Settings] = Settings, needs: str = "") -> None:
        self.name, self.room, self.base, self.needs = name, room, base, needs
        self._known: dict[tuple[str, str], Part] = {}
        self._installed: set[tuple[str, str]] = set()  # those of other packages that declare an entry point
        self._loaded = False

    def __call__(
        self,
        name: str,
        *,
        when: str,
        source: str = "",
        title: str = "",
        order: int = 100,
        traits: str = "",
        needs: str = "",
        role: str = "",
        settings: type[Settings] | None = None,
        defaults: Defaults = NOTHING,
        **facts: Any,
    ) -> Callable[[Declared], Declared]:
        """Declares the class or function below under a name; see :class:`Part`. Traits are words with spaces between.

        A class is made by its ``of(settings, context)``, or called with its settings as keywords; its settings are its
        class ``Settings``, or are read from its constructor. A function is called as it is, settings first.
        """

        def declare(target: Declared) -> Declared:
            words = {"source": source, "title": title, "order": order, "role": role, "defaults": defaults}
            part = self._made(name, when, target, settings, traits, needs, facts, words)
            self._known[role, name] = part
            return target

        return declare

    def _made(
        self,
        name: str,
        when: str,
        target: Any,
        settings: type[Settings] | None,
        traits: str,
        needs: str,
        facts: Mapping[str, Any],
        words: Mapping[str, Any],
    ) -> Part:
        parent = self._parent(target)
        own = settings or getattr(target, "Settings", None) or (parent.settings if parent else None)
        own = own or read_settings(target, self.base)
        asked = needs or getattr(target, "needs", "") or (" ".join(parent.needs) if parent else self.needs)
        has, wants = frozenset(traits.split()), frozenset(asked.split())
        return Part(
            self.name, name, when, maker(target), own, target, facts=dict(facts), traits=has, needs=wants, **words
        )

    def _parent(self, target: Any) -> Part | None:
        """The declared class that a class derives from, unless that has a constructor of its own to be called by."""
        if not isinstance(target, type) or ("__init__" in vars(target) and not hasattr(target, "of")):
            return None
        known = {part.target: part for part in self._known.values() if isinstance(part.target, type)}
        return next((known[base] for base in target.__mro__[1:] if base in known), None)

    def parts(self, role: str | None = None) -> list[Part]:
        """Those that zatlas and the installed packages declare, in their order; of one role, or of each name one."""
        self._load()
        found = [part for (of, _), part in self._known.items() if role is None or of == role]
        once = {
            part.name: part for part in sorted(found, key=lambda part: (part.order, part.name)) if ":" not in part.name
        }
        return list(once.values())

    def all(self) -> list[Part]:
        """Every declaration, of every role."""
        self._load()
        return list(self._known.values())

    def find(self, name: Any, role: str = "") -> Part | None:
        """The part of that name among those that are declared."""
        self._load()
        return self._known.get((role, name)) if isinstance(name, str) else None

    def names(self, role: str | None = None) -> list[str]:
        """Their names."""
        return [part.name for part in self.parts(role)]

    def get(self, name: str, role: str = "") -> Part:
        """The part of that name, or at that place ``package.module:Class``.

        Raises:
            UsageError: there is none; it cannot be imported; or it would have to be imported, and it is not trusted.
        """
        self._load()
        if found := self._known.get((role, name)):
            return self._findable(found, role)
        if not PLACE.fullmatch(name):
            known = self.names(role) or self.names()
            raise UsageError(f"{self.name}.kind cannot be {name!r}; {nearest(name, known)}")
        return self._at(name, role)

    def adopt(self, target: Any, role: str = "") -> Part:
        """The part of a class or function that was given as an object, under its place."""
        self._load()
        place = place_of(target)
        for (of, _), part in self._known.items():
            if part.target is target and of == role:
                return self._findable(part, role)
        when = (inspect.getdoc(target) or "").split("\n")[0].rstrip(".")
        part = self._made(place, when, target, None, "", "", {}, {"role": role})
        self._known[role, place] = part
        return part

    def _findable(self, part: Part, role: str) -> Part:
        """The part under a name by which another process finds it: a module that declares one without an entry point
        has to be imported first, so its place is the name."""
        if not part.is_foreign or (role, part.name) in self._installed or ":" in part.name:
            return part
        return replace(part, name=place_of(part.target))

    def holding(self, key: str, role: str | None = None) -> list[str]:
        """The names of the parts that have a setting of that name."""
        found = [part for part in self.all() if (role is None or part.role == role) and key in part.keys]
        return list(dict.fromkeys(part.name for part in sorted(found, key=lambda part: (part.order, part.name))))

    def _at(self, place: str, role: str) -> Part:
        target = imported(place, f"{self.name}.kind = {place!r}")
        for (of, _), part in list(self._known.items()):  # importing it may have declared it
            if part.target is target and of in (role, ""):
                self._known[role, place] = found = self._findable(part, of)
                return found
        if not trusted() and not is_module(target):
            raise UsageError(
                f"{self.name}.kind = {place!r} is no declared part and no torch module, and would be called: if you "
                "trust it, say so with --trust on the command line or trust=True in Python."
            )
        if not callable(target):
            raise UsageError(f"{self.name}.kind = {place!r} is a {type(target).__name__}: name a class or a function.")
        part = self._made(place, "", target, None, "", "", {}, {"role": role})
        self._known[role, place] = part
        return part

    def _load(self) -> None:
        """Imports the modules of the room, and the entry points of installed packages."""
        if self._loaded:
            return
        self._loaded = True
        room = import_module(self.room)
        for module in pkgutil.iter_modules(room.__path__):
            import_module(f"{self.room}.{module.name}")
        for point in installed().select(group=self.group):
            self._enter(point)

    @property
    def group(self) -> str:
        """The name of its entry points."""
        return f"zatlas.{self.name}s" if not self.name.endswith("y") else f"zatlas.{self.name[:-1]}ies"

    def _enter(self, point: EntryPoint) -> None:
        try:
            target = point.load()
        except Exception as error:  # another package's fault must not keep zatlas from its work
            BROKEN[f"{self.group}: {point.name} = {point.value}"] = f"{type(error).__name__}: {error}"
            return
        declared = [key for key, part in self._known.items() if part.target is target]
        self._installed |= {*declared}
        if not declared:
            when = (inspect.getdoc(target) or "").split("\n")[0].rstrip(".")
            role = self.facts_role(target)
            self._installed.add((role, point.name))
            self._known[role, point.name] = self._made(point.name, when, target, None, "", "", {}, {"role": role})

    def facts_role(self, target: Any) -> str:
        """The role of a part that does not say it: a network is built for models with an encoder."""
        return str(getattr(target, "role", "autoencoder" if self.name == "network" else ""))


SORTS: dict[str, Sort] = {
    sort.name: sort
    for sort in (
        Sort("model", "zatlas.models", ModelSettings),
        Sort("objective", "zatlas.objectives", needs="infers continuous"),
        Sort("network", "zatlas.networks"),
        Sort("prior", "zatlas.networks"),
        Sort("posterior", "zatlas.networks"),
        Sort("likelihood", "zatlas.networks"),
        Sort("metric", "zatlas.measure"),
        Sort("walk", "zatlas.walks"),
        Sort("importer", "zatlas.importers"),
        Sort("format", "zatlas.data"),
    )
}
BROKEN: dict[str, str] = {}  # entry points that could not be loaded, and why
model, objective, network = SORTS["model"], SORTS["objective"], SORTS["network"]
prior, posterior, likelihood = SORTS["prior"], SORTS["posterior"], SORTS["likelihood"]
metric, walk, importer, data_format = SORTS["metric"], SORTS["walk"], SORTS["importer"], SORTS["format"]


def missing(kept: Mapping[str, Any]) -> str | None:
    """A sentence where a part that :func:`origin` kept has a name that no installed package declares. Data are looked
    for when they are read: a run can do without them."""
    sort, kind = SORTS.get(str(kept.get("sort"))), str(kept.get("kind", ":"))
    if sort is None or sort.name == "format" or ":" in kind or any(part.name == kind for part in sort.all()):
        return None
    package = f"the package {kept['package']} {kept.get('version')}" if kept.get("package") else kept.get("place")
    return f"{sort.name}.kind = {kind!r} is of {package}, which is not installed here: install it."
