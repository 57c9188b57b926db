"""From an estimator's parameters to a configuration, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from zatlas.config.kinds import MODELS, OBJECTIVE_DEFAULTS
from zatlas.config.schema import SEED, Config, known_keys, make_config
from zatlas.config.words import places
from zatlas.errors import UsageError, nearest
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
    values: dict[str, dict[str, Any]] = {"data": {"test": 0}, "model": {"kind": kind}, "objective": {}, "training": {}}
    own = {".".join(place): name for name, place in places().items() if name in params}
    for name in own.values():
        if params[name] is not None or name not in AUTOMATIC:
            section, key = places()[name]
            values[section][key] = params[name]
    if params.get("validation") is None:
        values["data"]["validation"] = 0 if params.get("patience") is None else AUTO_VALIDATION
    values["training"]["seed"] = seed_of(params["random_state"])
    others: dict[str, dict[str, Any]] = {}
    if not isinstance(params["settings"] or {}, Mapping):
        raise UsageError(f"{who}: settings wants {{'section.key': value}}, not {params['settings']!r}.")
    for key, value in (params["settings"] or {}).items():
        section, dot, name = str(key).partition(".")
        if not dot or key in DECIDED or key in own:
            free = [known for known in known_keys() if known not in DECIDED]
            why = "is a parameter of its own" if key in own else "cannot be set here"
            raise UsageError(f"{who}: settings: {key} {why if dot else f'is no section.key; {nearest(key, free)}'}.")
        others.setdefault(section, {})[name] = value
    return make_config((who, values), (f"{who}: settings", others))


def for_data(config: Config, params: Mapping[str, Any], spec: DataSpec, rows: int) -> Config:
    """The configuration where ``network="auto"`` meets real columns: a table, trained as suits one.

    Args:
        config: that of :func:`configure`.
        params: the estimator's.
        spec: of the data.
        rows: how many there are.
    """
    real = spec.values == "real" and not spec.is_image
    likely = config.model.likelihood in ("auto", "gaussian-learned") and config.model.sigma == 1
    if config.model.network != "auto" or config.model.kind not in ("vae", "cvae") or not (real and likely):
        return config
    limited = any(params[name] is not None for name in ("epochs", "steps", "seconds"))
    wanted = {name: value for name, value in TABLE.items() if not (limited and name == "steps")}
    if not limited and rows >= FEWEST_CHECKED and params["validation"] is None and params["patience"] is None:
        wanted |= TABLE_CHECKED
    values = config.model_dump(exclude_unset=True)
    values["model"]["network"] = "table"
    for name, value in wanted.items():
        section, key = places()[name]
        if params[name] is None:
            values[section][key] = value
    return make_config(("the table", values))


def parameters(config: Config, names: set[str]) -> dict[str, Any]:
    """The parameters, out of ``names``, that a configuration stands for: the inverse of :func:`configure`."""
    values, default = config.model_dump(), Config().model_dump()
    for wanted in (MODELS[config.model.kind].defaults, OBJECTIVE_DEFAULTS.get(config.objective.kind, {})):
        for section, keys in wanted.items():
            default[section] |= keys
    known = {name: values[section][key] for name, (section, key) in places().items() if name in names}
    own = {".".join(places()[name]) for name in known} | {"objective.kind"}
    others = {
        f"{section}.{key}": value
        for section, keys in values.items()
        for key, value in keys.items()
        if value != default[section][key] and f"{section}.{key}" not in own | DECIDED
    }
    given = {**known, "random_state": config.training.seed, "settings": others or None}
    return {name: value for name, value in given.items() if name in names}
