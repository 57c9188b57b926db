"""The whole configuration of a run: one validated record, one TOML file, ``--set section.key=value``.

A part of the run (its model, network, likelihood, prior, posterior, objective) has a section of its own: ``kind`` names
the part, and the other keys are that part's settings, as it declares them (:mod:`zatlas.parts`).
``zatlas train --config FILE`` on the file that a run saved repeats the run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, SerializeAsAny, ValidationError

from zatlas.config.former import FLOW, SCHEMA, as_written, modern
from zatlas.config.rules import check, lacks
from zatlas.config.sections import DataConfig, TrainingConfig
from zatlas.errors import UsageError, listed, nearest, shown
from zatlas.parts import SORTS, ModelSettings, Part, Section, Settings
from zatlas.trust import trusting

PARTS = ("model", "network", "likelihood", "prior", "posterior", "objective")  # in the order of a file
KINDS = {"network": "auto", "likelihood": "auto", "prior": "normal", "posterior": "diagonal"}  # where nothing is said


CLOSED: dict[str, type[Section]] = {"data": DataConfig, "training": TrainingConfig}  # of no part


class Config(Section):
    """All of it. A section that the model does not have is None."""

    data: DataConfig = Field(default_factory=DataConfig)
    model: SerializeAsAny[ModelSettings]
    network: SerializeAsAny[Settings] | None = None
    likelihood: SerializeAsAny[Settings] | None = None
    prior: SerializeAsAny[Settings] | None = None
    posterior: SerializeAsAny[Settings] | None = None
    objective: SerializeAsAny[Settings]
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    def part(self, section: str) -> Part:
        """The declaration of the part of a section.

        Raises:
            UsageError: it would have to be imported, and cannot be.
        """
        role = self.kind.facts["network"] if section == "network" else ""
        return SORTS[section].get(getattr(self, section).kind, role)

    @property
    def kind(self) -> Part:
        """The declaration of the model."""
        return SORTS["model"].get(self.model.kind)

    @property
    def beta(self) -> float:
        """The weight of the rate; 1 for an objective without one."""
        return float(getattr(self.objective, "beta", 1.0))

    @property
    def is_weighted_elbo(self) -> bool:
        """Whether the loss is distortion + beta rate and nothing else."""
        return bool(getattr(self.objective, "is_weighted_elbo", False))

    @property
    def network_kind(self) -> str:
        """The name of the network; ``"none"`` for a model without one."""
        return "none" if self.network is None else self.network.kind

    def to_toml(self) -> str:
        return tomli_w.dumps({"schema": SCHEMA, **self.model_dump(exclude_none=True)})


class _Refused(Exception):
    """A sentence, and whether a later layer may correct it."""

    def __init__(self, sentence: str, *, together: bool = False) -> None:
        super().__init__(sentence)
        self.together = together


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _kind_of(values: Mapping[str, Any], section: str, default: str) -> str:
    held = values.get(section, {})
    named = held.get("kind", default) if isinstance(held, Mapping) else default
    if not isinstance(named, str):
        raise _Refused(f"{section}.kind cannot be {shown(named)}; {nearest(shown(named), SORTS[section].names())}")
    return named


def _part(values: Mapping[str, Any], section: str, default: str, role: str = "") -> Part:
    try:
        return SORTS[section].get(_kind_of(values, section, default), role)
    except UsageError as error:
        raise _Refused(str(error)) from None


def _build(values: Mapping[str, Any]) -> Config:
    """The record of nested values.

    Raises:
        _Refused: a key, a value or a combination that cannot be.
    """
    for section in values:
        if section not in (*Config.model_fields, FLOW):
            raise _Refused(f"there is no {section}; {nearest(section, Config.model_fields)}")
    model = _part(values, "model", "vae")
    objective = _part(values, "objective", model.facts["objective"])
    wanted: dict[str, Any] = {}
    for layer in (model.defaults, objective.defaults, values):
        _merge(wanted, layer)
    later = [sentence] if (sentence := lacks(model, objective)) else []
    if flow := wanted.pop(FLOW, {}):
        _lay_flow(flow, wanted, later)
    made: dict[str, Any] = dict.fromkeys(Config.model_fields)
    for section in Config.model_fields:
        held = wanted.get(section, {})
        if not isinstance(held, Mapping):
            raise _Refused(f"{section}: Input should be a table of keys (given: {shown(held)})")
        if section not in PARTS:
            made[section] = _record(CLOSED[section], section, held, later)
            continue
        part = {"model": model, "objective": objective}.get(section) or _chosen(values, section, model)
        if part is not None:
            made[section] = _record(part.settings, section, _own(part, section, held, later), later)
        elif held:
            goes = " or ".join(repr(kind.name) for kind in SORTS["model"].parts() if _has(kind, section))
            later.append(
                f"{section}.{next(iter(held))} belongs to model.kind = {goes}, not to {model.name!r}, which has no "
                f"{section} to choose"
            )
    if later:
        raise _Refused(later[0], together=True)
    config = Config.model_construct(**made)
    try:
        check(config)
    except ValueError as error:
        raise _Refused(str(error), together=True) from None
    return config


def _has(model: Part, section: str) -> bool:
    return bool(model.networks) if section == "network" else section in model.sections


def _chosen(values: Mapping[str, Any], section: str, model: Part) -> Part | None:
    """The part of a section that a model may have or not."""
    if not _has(model, section):
        return None
    return _network(values, model) if section == "network" else _part(values, section, KINDS[section])


def _record(record: type[Section], section: str, held: Mapping[str, Any], later: list[str]) -> Section | None:
    try:
        return record.model_validate(held)
    except ValidationError as error:
        _say(error, section, record, later)
    return None


def _lay_flow(flow: Mapping[str, Any], wanted: dict[str, Any], later: list[str]) -> None:
    """The former keys of flows, in the prior and the posterior that are one."""
    flows = [name for name in ("prior", "posterior") if wanted.get(name, {}).get("kind") == "flow"]
    if not flows:
        later.append(f"model.flow_{next(iter(flow))} belongs to prior.kind = 'flow' or posterior.kind = 'flow'")
    for section in flows:
        own = SORTS[section].get("flow").keys
        wanted[section] = {**{key: value for key, value in flow.items() if key in own}, **wanted[section]}


def _network(values: Mapping[str, Any], model: Part) -> Part:
    role, kind = model.facts["network"], _kind_of(values, "network", KINDS["network"])
    sort = SORTS["network"]
    if ":" not in kind and kind in sort.names() and kind not in sort.names(role):
        goes = " or ".join(repr(name) for name in sort.names(role) if name != "auto")
        raise _Refused(f"model.kind = '{model.name}' is built of network {goes}, not of '{kind}'", together=True)
    return _part(values, "network", KINDS["network"], role)


def _own(part: Part, section: str, held: Mapping[str, Any], later: list[str]) -> dict[str, Any]:
    """The settings of a part; of a key that is another part's, the sentence that says whose is kept for later."""
    own = {"kind": part.name}
    for key, value in held.items():
        if key == "kind":
            continue
        if key in part.keys:
            own[key] = value
            continue
        owners = SORTS[section].holding(key)
        if not owners:
            raise _Refused(f"there is no {section}.{key}; {_nearest(section, key, part.keys or ['kind'])}")
        goes = " or ".join(map(repr, owners))
        later.append(f"{section}.{key} belongs to {section}.kind = {goes}, not to {part.name!r}")
    return own


def _nearest(section: str, key: str, known: list[str]) -> str:
    """The clause that names the closest keys of a section, by the keys alone."""
    close = nearest(key, known)
    if close.startswith("did you mean "):
        return f"did you mean {section}.{close.removeprefix('did you mean ')}"
    return f"known are {listed(f'{section}.{name}' for name in known)}."


def _say(error: ValidationError, section: str, record: type[Section], later: list[str]) -> None:
    """The first error of a section, raised at once, or kept where it is about several keys together.

    Raises:
        _Refused: an unknown key, or a value that cannot be.
    """
    first = error.errors()[0]
    if not first["loc"]:
        later.append(first["msg"].removeprefix("Value error, "))
        return
    key = f"{section}.{str(first['loc'][0])[:80]}"
    if first["type"] == "extra_forbidden":
        raise _Refused(f"there is no {key}; {_nearest(section, str(first['loc'][0]), list(record.model_fields))}")
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        known = [word.strip("' ") for word in first["ctx"]["expected"].replace(" or ", ", ").split(",")]
        raise _Refused(f"{key} cannot be {shown(first['input'])}; {nearest(first['input'], known)}")
    message = first["msg"].removeprefix("Value error, ")
    raise _Refused(f"{key}: {message} (given: {shown(first['input'])})")


def make_config(*layers: tuple[str, Mapping[str, Any]], trust: bool = False) -> Config:
    """The configuration from layers of nested values, later ones over earlier ones.

    Args:
        layers: pairs of a name for error messages and ``{section: {key: value}}``. Each layer's values are checked by
            themselves, their combination only when all layers are there.
        trust: whether parts named by their place, ``package.module:Class``, may be imported.

    Raises:
        UsageError: an unknown key (the nearest known one is named) or a value that cannot be.

    >>> make_config(("here", {"model": {"latent_dim": 8}})).model.latent_dim
    8
    """
    merged: dict[str, Any] = {}
    config: Config | None = None
    with trusting(trust):
        for number, (where, values) in enumerate(layers or (("the defaults", {}),), 1):
            _merge(merged, modern(values))
            try:
                config = _build(merged)
            except _Refused as refused:
                if number >= len(layers) or not refused.together:
                    sentence = str(refused)
                    raise UsageError(f"{where}: {sentence}{'' if sentence[-1] in '.?' else '.'}") from None
    assert config is not None
    return config


def known_keys() -> list[str]:
    """Every ``section.key``."""
    found = []
    for section, record in (("data", DataConfig), *((name, None) for name in PARTS), ("training", TrainingConfig)):
        if record is not None:
            keys = list(record.model_fields)
        else:
            keys = [
                "kind",
                *dict.fromkeys(key for part in SORTS[section].all() if ":" not in part.name for key in part.keys),
            ]
        found += [f"{section}.{key}" for key in keys]
    return found


def parse_set(assignments: Sequence[str]) -> dict[str, Any]:
    """``["training.learning_rate=1e-3"]`` as nested values; each value is read as TOML, else as a plain word."""
    nested: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and name):
            raise UsageError(
                f"--set wants section.key=value, and {shown(assignment)} is not that; {nearest(key, known_keys())}"
            )
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = None if text.strip() == "none" and name != "binarise" else text.strip()
        except (ValueError, RecursionError):  # thousands of digits, or of brackets
            raise UsageError(f"--set {key.strip()}: its value is too long or too deep to be one.") from None
        nested.setdefault(section, {})[name] = value
    return nested


def square(resize: int | tuple[int, int] | None, crop: int | tuple[int, int] | None) -> dict[str, Any]:
    """The sizes that a person means: one number alone makes the square at the centre of every image.

    >>> square(64, None)
    {'resize': 64, 'crop': 64}
    >>> square((64, 48), None)
    {'resize': (64, 48), 'crop': None}
    """
    return {"resize": resize, "crop": resize if isinstance(resize, int) and crop is None else crop}


def read_toml(path: Path) -> dict[str, Any]:
    """The nested values of a configuration in a TOML file, in today's words.

    Raises:
        UsageError: the file cannot be read or is no TOML.
    """
    return as_written(load_toml(path))


def load_toml(path: Path) -> dict[str, Any]:
    """The nested values of any TOML file, as they are.

    Raises:
        UsageError: the file cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"the configuration {path} is not valid TOML: {error}.") from None
    except RecursionError:
        raise UsageError(f"the configuration {path} is not valid TOML: its values are nested too deeply.") from None


def _preset_files() -> dict[str, Traversable]:
    files = resources.files("zatlas.config").joinpath("presets").iterdir()
    return {f.name.removesuffix(".toml"): f for f in sorted(files, key=lambda f: f.name) if f.name.endswith(".toml")}


def presets() -> dict[str, dict[str, Any]]:
    """The named bundles of values that come with zatlas."""
    return {name: tomllib.loads(file.read_text(encoding="utf-8")) for name, file in _preset_files().items()}


def preset(name: str) -> dict[str, Any]:
    """One preset's values.

    Raises:
        UsageError: there is no preset of that name.
    """
    files = _preset_files()
    if name not in files:
        raise UsageError(f"there is no preset {name!r}; {nearest(name, files)}")
    return tomllib.loads(files[name].read_text(encoding="utf-8"))
