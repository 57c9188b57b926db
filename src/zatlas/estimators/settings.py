"""From an estimator's parameters to a configuration, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from zatlas.config.former import FORMER
from zatlas.config.schema import PARTS, Config, known_keys, make_config
from zatlas.config.sections import SEED
from zatlas.config.words import places
from zatlas.errors import UsageError, nearest
from zatlas.parts import SORTS, ModelSettings
from zatlas.types import DataSpec

AUTOMATIC = {"batch_size", "learning_rate"}  # None: what suits the kind of model
# What suits a table, where nothing else is said: a second of training from a start that is good already. The best state
# is kept, by rows held out where there are enough of them.
TABLE = {"steps": 200, "learning_rate": 2e-3}
TABLE_CHECKED = {"validation": 0.1, "patience": 20}
FEWEST_CHECKED = 30
# What arrays in memory, the class or random_state decide.
DECIDED = {
    *("data.source", "data.labels", "data.resize", "data.crop", "data.channels", "data.test", "model.kind"),
    "training.seed",
}
AUTO_VALIDATION = 0.1


def seed_of(random_state: Any) -> int:
    """A seed: the whole number itself, one drawn from a RandomState, or a fresh one for None.

    None does not touch numpy's global state, as scikit-learn's ``check_random_state(None)`` would.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, int | np.integer):
        if random_state > SEED:
            raise UsageError(f"random_state: {random_state} is too large for a seed, which ends at {SEED}.")
        return int(random_state)
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise UsageError(f"random_state: {error}") from None


def configure(who: str, kind: str, params: Mapping[str, Any]) -> Config:
    """The configuration that an estimator's parameters name.

    Raises:
        UsageError: an unknown setting or a value that cannot be.
    """
    values: dict[str, dict[str, Any]] = {"data": {"test": 0}, "model": {"kind": kind}, "training": {}}
    own = {".".join(place): name for name, place in places().items() if name in params}
    for name in own.values():
        if params[name] is not None or name not in AUTOMATIC:
            section, key = places()[name]
            if not _idle(section, key, params[name], params):
                values.setdefault(section, {})[key] = params[name]
    if params.get("validation") is None:
        values["data"]["validation"] = 0 if params.get("patience") is None else AUTO_VALIDATION
    values["training"]["seed"] = seed_of(params["random_state"])
    others: dict[str, dict[str, Any]] = {}
    if not isinstance(params["settings"] or {}, Mapping):
        raise UsageError(f"{who}: settings wants {{'section.key': value}}, not {params['settings']!r}.")
    for key, value in (params["settings"] or {}).items():
        section, dot, name = str(key).partition(".")
        section, name = FORMER.get((section, name), ((section, name),))[0]
        if not dot or f"{section}.{name}" in DECIDED or f"{section}.{name}" in own:
            free = [known for known in known_keys() if known not in DECIDED]
            why = "is a parameter of its own" if f"{section}.{name}" in own else "cannot be set here"
            raise UsageError(f"{who}: settings: {key} {why if dot else f'is no section.key; {nearest(key, free)}'}.")
        others.setdefault(section, {})[name] = value
    return make_config((who, values), (f"{who}: settings", others))


def _idle(section: str, key: str, value: Any, params: Mapping[str, Any]) -> bool:
    """Whether a parameter was left at its default and is none of the part that is chosen, as beta for IWAE."""
    if (section, key) == ("model", "latent_dim"):  # a map of codes has as many units as its network makes
        network = SORTS["network"].find(params.get("network"), "autoencoder")
        own = ModelSettings.model_fields[key].default
        return network is not None and "code_shape" in network.facts and value == own
    if section not in PARTS or section not in params or key == "kind":
        return False
    owners = [part for part in SORTS[section].all() if key in part.keys]
    if any(part.name == params[section] for part in owners):
        return False
    return value in [part.settings.model_fields[key].default for part in owners]


def for_data(config: Config, params: Mapping[str, Any], spec: DataSpec, rows: int) -> Config:
    """The configuration where ``network="auto"`` meets real columns: a table, trained as suits one.

    Args:
        config: that of :func:`configure`.
        params: the estimator's.
        spec: of the data.
        rows: how many there are.
    """
    real = spec.values == "real" and not spec.is_image
    likely = config.likelihood is not None and config.likelihood.kind in ("auto", "gaussian-learned")
    wide = getattr(config.likelihood, "sigma", 1.0) != 1
    if config.network_kind != "auto" or not config.kind.has("one_level", "rate") or not real or not likely or wide:
        return config
    limited = any(params[name] is not None for name in ("epochs", "steps", "seconds"))
    wanted = {name: value for name, value in TABLE.items() if not (limited and name == "steps")}
    if not limited and rows >= FEWEST_CHECKED and params["validation"] is None and params["patience"] is None:
        wanted |= TABLE_CHECKED
    values = config.model_dump(exclude_unset=True)
    values["network"] = {"kind": "table", "size": config.network.size}  # type: ignore[union-attr]
    for name, value in wanted.items():
        section, key = places()[name]
        if params[name] is None:
            values[section][key] = value
    return make_config(("the table", values))


def parameters(config: Config, names: set[str]) -> dict[str, Any]:
    """The parameters, out of ``names``, that a configuration stands for: the inverse of :func:`configure`."""
    values = {section: keys for section, keys in config.model_dump().items() if keys is not None}
    kinds = {section: {"kind": keys["kind"]} for section, keys in values.items() if "kind" in keys}
    kinds["objective"] |= {key: values["objective"][key] for key in ("target_nats",) if key in values["objective"]}
    default = make_config(("the defaults", kinds)).model_dump()
    known = {
        name: values[section][key]
        for name, (section, key) in places().items()
        if name in names and key in values.get(section, {})
    }
    own = {".".join(places()[name]) for name in known} | {"objective.kind"}
    others = {
        f"{section}.{key}": value
        for section, keys in values.items()
        for key, value in keys.items()
        if value != default[section][key] and f"{section}.{key}" not in own | DECIDED
    }
    given = {**known, "random_state": config.training.seed, "settings": others or None}
    return {name: value for name, value in given.items() if name in names}
