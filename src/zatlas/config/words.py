"""The one translation of words into a configuration, for the command line, ``zatlas.train`` and the estimators.

A word is a key of the configuration without its section, as ``latent_dim``; ``model`` and ``objective`` are the kinds.
What is said later replaces what was said before: a preset, then a file, then words, then ``--set``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from zatlas.config import Config, known_keys, make_config, parse_set, preset, read_toml, square
from zatlas.errors import UsageError, nearest

Nested = Mapping[str, Mapping[str, Any]]

LIMITS = ("epochs", "steps", "seconds")


@cache
def places() -> Mapping[str, tuple[str, str]]:
    """Every word, and the section and key that it stands for.

    >>> places()["latent_dim"], places()["objective"]
    (('model', 'latent_dim'), ('objective', 'kind'))
    """
    keys = [tuple(key.split(".")) for key in known_keys()]
    home = {key: (section, key) for section, key in keys if key != "kind"}
    return home | {section: (section, key) for section, key in keys if key == "kind"}


def in_sections(words: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Words in the sections of the configuration; a word whose value is None is not said.

    Raises:
        UsageError: an unknown word; the nearest known one is named.

    >>> in_sections({"model": "vae", "beta": 4.0, "epochs": None})
    {'model': {'kind': 'vae'}, 'objective': {'beta': 4.0}}
    """
    nested: dict[str, dict[str, Any]] = {}
    for word, value in words.items():
        if word not in places():
            raise UsageError(f"there is no key {word}; {nearest(word, places())}")
        if value is not None:
            section, key = places()[word]
            nested.setdefault(section, {})[key] = value
    return nested


def configuration(
    words: Mapping[str, Any],
    *,
    who: str = "the options",
    preset_name: str | None = None,
    file: Path | None = None,
    assignments: Sequence[str] = (),
) -> Config:
    """The configuration that a person named.

    A limit of training (epochs, steps, seconds) replaces every limit of the preset and the file: ``--seconds 5`` over a
    preset of ten epochs means five seconds. Limits that are said together, as words and by ``--set``, all hold.

    Args:
        words: as :func:`in_sections` takes them; one number as ``resize`` makes squares.
        who: what error messages call the words.
        preset_name: a named bundle of values, under all else.
        file: a TOML file, over the preset.
        assignments: ``section.key=value`` each, over all else.

    Raises:
        UsageError: an unknown word or preset, a file that is none, a value or a combination that cannot be.
    """
    base: list[tuple[str, Nested]] = []
    if preset_name is not None:
        base.append((f"preset {preset_name}", preset(preset_name)))
    if file is not None:
        base.append((str(file), read_toml(file)))
    sizes = square(words.get("resize"), words.get("crop"))
    said: list[tuple[str, Nested]] = [(who, in_sections({**words, **sizes}))]
    said += [(f"--set {assignment[:80]}", parse_set([assignment])) for assignment in assignments]
    kept: list[tuple[str, Nested]] = []
    for where, values in base:
        kept = [*(_unlimited(kept) if _limited(values) else kept), (where, values)]
    if any(_limited(values) for _, values in said):
        kept = _unlimited(kept)
    return make_config(*kept, *said)


def _limited(values: Nested) -> bool:
    training = values.get("training")
    return isinstance(training, Mapping) and any(limit in training for limit in LIMITS)


def _unlimited(layers: Sequence[tuple[str, Nested]]) -> list[tuple[str, Nested]]:
    """The layers without their limits."""
    return [
        (where, {**values, "training": {k: v for k, v in values["training"].items() if k not in LIMITS}})
        if _limited(values)
        else (where, values)
        for where, values in layers
    ]
