"""The configuration of a run: its records, what goes together, and the words that name it."""

from zatlas.config.schema import (
    Config,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    TrainingConfig,
    as_written,
    known_keys,
    make_config,
    parse_set,
    preset,
    presets,
    read_toml,
    square,
)

__all__ = [
    "Config",
    "DataConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "TrainingConfig",
    "as_written",
    "known_keys",
    "make_config",
    "parse_set",
    "preset",
    "presets",
    "read_toml",
    "square",
]
