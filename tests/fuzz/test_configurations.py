"""Configurations, mappings of importers, options and parameters of estimators with values that cannot be."""

import tomli_w

from zatlas import VAE
from zatlas.config import known_keys, make_config, parse_set, read_toml
from zatlas.config.words import in_sections
from zatlas.estimators.settings import configure
from zatlas.importers.declared import read_mapping

from .mutations import EXTREMES, altered, damaged, each_case

MAPPING = {
    "model": {"network": "mlp", "latent_dim": 2},
    "data": {"shape": [1, 8, 8], "values": "unit"},
    "tensors": {"encoder.net.*": "enc.*", "encoder.net.out.*": ["a.*", "b.*"]},
    "interleaved": [],
    "ignore": ["x"],
    "state": "net",
}


def written(rng, values):
    try:
        text = tomli_w.dumps(values).encode()
    except (TypeError, ValueError, AttributeError):  # TOML has no None, and no lone surrogates
        text = repr(values).encode(errors="replace")
    return damaged(rng, text) if rng.random() < 0.4 else text


def test_configurations(tmp_path):
    file, keys = tmp_path / "c.toml", known_keys()
    plain = make_config().model_dump(exclude_none=True)

    def case(rng):
        way = rng.randrange(4)
        key, value = rng.choice([*keys, "x", "data.x", "é.x"]), rng.choice(EXTREMES)
        if way == 0:
            text = rng.choice((f"{value}", f"{value!r}", "[" * rng.choice((3, 10**5)), "9" * 5000, "0x" + "f" * 9000))
            return lambda: make_config(("--set", parse_set([rng.choice((f"{key}={text}", text, f"{key}{text}"))])))
        if way == 1:
            return lambda: make_config(("the arguments", in_sections({key.partition(".")[2]: value})))
        if way == 2:
            names = VAE().get_params()
            name = rng.choice([n for n in names if n != "random_state"])
            wrong = {**names, name: value, "settings": {key: value}}
            return lambda: configure("VAE", "vae", {**wrong, "random_state": rng.choice((1, 10**26))})
        file.write_bytes(written(rng, altered(rng, altered(rng, plain))))
        return lambda: make_config((str(file), read_toml(file))).to_toml()

    each_case("configurations", 200, case)


def test_mappings(tmp_path):
    file = tmp_path / "m.toml"

    def case(rng):
        file.write_bytes(written(rng, altered(rng, MAPPING)))
        return lambda: read_mapping(file)

    each_case("mappings", 300, case)
