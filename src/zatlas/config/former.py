"""Former names of keys, and files of earlier versions in today's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zatlas.parts import SORTS

SCHEMA = 2  # of config.toml; the first had no number, and one section [model] for the model and all its parts

FLOW = "flow_"  # keys that are those of whichever of prior and posterior is a flow

FORMER: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("model", "network"): (("network", "kind"),),
    ("model", "size"): (("network", "size"),),
    ("model", "encoder_graph"): (("network", "encoder_graph"),),
    ("model", "decoder_graph"): (("network", "decoder_graph"),),
    ("model", "likelihood"): (("likelihood", "kind"),),
    ("model", "sigma"): (("likelihood", "sigma"),),
    ("model", "prior"): (("prior", "kind"),),
    ("model", "prior_components"): (("prior", "components"),),
    ("model", "posterior"): (("posterior", "kind"),),
    ("model", "start_log_variance"): (("posterior", "start_log_variance"),),
    ("model", "flow_layers"): ((FLOW, "layers"),),
    ("model", "flow_depth"): ((FLOW, "depth"),),
    ("model", "flow_width"): ((FLOW, "width"),),
    ("objective", "factor_gamma"): (("objective", "gamma"),),
    ("objective", "dip_kind"): (("objective", "variant"),),
    ("objective", "dip_off"): (("objective", "off"),),
    ("objective", "dip_on"): (("objective", "on"),),
    ("objective", "mmd_alpha"): (("objective", "alpha"),),
    ("objective", "mmd_weight"): (("objective", "weight"),),
}
# What a file of the first schema said of keys that its parts did not have: it named every key there was.
UNSAID: Mapping[str, Mapping[str, Any]] = {
    "network": {"size": "s"},
    "likelihood": {"kind": "auto", "sigma": 1.0},
    "prior": {"kind": "normal", "components": 100},
    "posterior": {"kind": "diagonal"},
    FLOW: {"layers": 8, "depth": 2, "width": 256},
    "model": {"levels": 3, "codebook": "ema", "codebook_size": 256, "code_dim": 16},
    "objective": {
        "beta": 1.0,
        "capacity_steps": 10_000,
        "gamma": 30.0,
        "free_bits_nats": 0.0,
        "sticking_the_landing": False,
        "samples": 5,
        "doubly_reparameterised": False,
        "estimator": "stratified",
        "variant": "ii",
        "off": 10.0,
        "on": 10.0,
        "alpha": 0.0,
        "weight": 100.0,
        "constrain": "distortion",
        "groups": 1,
        "rate": "auto",
        "commitment": 0.25,
        "penalty": 1.0,
        "penalty_every": 0,
        "penalty_steps": 0,
        "critic_steps": 5,
        "spectral_norm": False,
    },
}
SECTIONS = ("network", "likelihood", "prior", "posterior")  # which a model may have or not
_SAVED_BY_0_1 = {"source", "binarise", "validation", "test", "split_seed"}  # a run writes down every key with a value


def _with_its_labels(values: dict[str, Any]) -> dict[str, Any]:
    """The values with what a folder of images was to a run of their time: at first the whole path of an image was its
    label, and for longer folders called train and test were labels like any other."""
    data = values.get("data")
    if not isinstance(data, dict) or not data.keys() >= _SAVED_BY_0_1:
        return values
    return {**values, "data": {"label_level": "path", "split_folders": False, **data}}


def _of_its_age(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a config.toml in today's words, so that a run of any version is read as what it was.

    At first a GAN's penalty was charged at every step, and its residual network was called conv. A file that zatlas
    wrote names every key of its time, which tells its age.
    """
    model, objective = values.get("model"), values.get("objective")
    if not isinstance(model, dict) or not isinstance(objective, dict):
        return values  # which is refused by name, or names too little to be a run's
    if "spectral_norm" not in objective or "penalty_every" in objective or model.get("kind") not in ("gan", "cgan"):
        return values
    network = "resnet" if model.get("network") == "conv" else model.get("network", "mlp")
    charged = {} if objective.get("kind") == "gan" else {"penalty_every": 1}
    return {**values, "model": {**model, "network": network}, "objective": {**objective, **charged}}


def modern(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values under today's names; a part that is named by a word has that for its kind.

    >>> modern({"model": {"kind": "vae", "prior": "mixture", "prior_components": 5}})
    {'model': {'kind': 'vae'}, 'prior': {'kind': 'mixture', 'components': 5}}
    """
    found: dict[str, Any] = {}
    for section, held in values.items():
        if isinstance(held, str) and section in SORTS:
            found.setdefault(section, {})["kind"] = held
        elif not isinstance(held, Mapping):
            found[section] = held
        else:
            both = section == "objective" and {"gamma", "factor_gamma"} <= held.keys()
            unused = ("gamma" if held.get("kind") == "factor" else "factor_gamma") if both else None
            for key, value in held.items():
                for place, name in FORMER.get((section, key), ((section, key),)) if key != unused else ():
                    record = found.setdefault(place, {})
                    if isinstance(record, dict):  # else it is refused by name
                        record[name] = value
    return found


def as_written(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a config.toml in today's words, so that a run of any version is read as what it was."""
    values = _with_its_labels(values)
    if "schema" in values:
        return {section: held for section, held in values.items() if section != "schema"}
    found = modern(_of_its_age(values))
    of = lambda section: held if isinstance(held := found.get(section, {}), dict) else {}  # else it is refused by name
    kind = of("model").get("kind", "vae")
    model = SORTS["model"].find(kind)
    if model is None:
        return found  # which is refused by name
    if not model.networks and of("network").get("kind") in ("auto", "mlp"):
        found.pop("network", None)
    if of("likelihood").get("kind", "") == model.facts.get("gaussian"):
        found.pop("likelihood", None)
    default = {"objective": model.facts["objective"], "prior": "normal", "posterior": "diagonal"}
    for section in ("model", *SECTIONS, FLOW, "objective"):
        held = found.get(section)
        if not isinstance(held, dict):
            continue
        keys = ["kind", *model.keys] if section == "model" else []
        if section in (*model.sections, "objective") or (section == "network" and model.networks):
            role = model.facts["network"] if section == "network" else ""
            part = SORTS[section].find(held.get("kind", default.get(section, "auto")), role)
            keys = ["kind", *(part.keys if part else held)]
        unsaid = UNSAID.get(section, {})
        found[section] = {key: value for key, value in held.items() if key in keys or unsaid.get(key, ...) != value}
        if not found[section]:
            del found[section]
    return found
