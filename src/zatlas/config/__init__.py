"""The configuration of a run: its records, what goes together, and the words that name it."""

from zatlas.config.former import as_written, modern
from zatlas.config.schema import (
    PARTS,
    Config,
    known_keys,
    make_config,
    parse_set,
    preset,
    presets,
    read_toml,
    square,
)
from zatlas.config.sections import DataConfig, TrainingConfig

__all__ = [
    "PARTS",
    "Config",
    "DataConfig",
    "TrainingConfig",
    "as_written",
    "known_keys",
    "make_config",
    "modern",
    "parse_set",
    "preset",
    "presets",
    "read_toml",
    "square",
]
