"""The one translation of words into a configuration, for the command line, ``zatlas.train`` and the estimators.

A word is a key of the configuration without its section, as ``latent_dim``; the name of a section that holds a part,
as ``model`` or ``prior``, is that part's kind; and ``prior_components`` is the key ``components`` of the section
``prior``, for keys that several sections have. What is said later replaces what was said before: a preset, then a file,
then words, then ``--set``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from zatlas.config.former import FORMER
from zatlas.config.schema import PARTS, Config, known_keys, make_config, parse_set, preset, read_toml, square
from zatlas.errors import UsageError, nearest
from zatlas.parts import SORTS
from zatlas.trust import PLACE, trusting

Nested = Mapping[str, Mapping[str, Any]]

LIMITS = ("epochs", "steps", "seconds")


@cache
def places() -> Mapping[str, tuple[str, str]]:
    """Every word that stands for one key whatever the parts are, and the section and key that it stands for.

    >>> places()["latent_dim"], places()["objective"], places()["prior_components"]
    (('model', 'latent_dim'), ('objective', 'kind'), ('prior', 'components'))
    """
    keys = [(section, key) for section, _, key in (known.partition(".") for known in known_keys())]
    named = {section: (section, "kind") for section in PARTS}
    bare: dict[str, tuple[str, str]] = {}
    several: set[str] = set()
    for section, key in keys:
        if key != "kind":
            several |= {key} & bare.keys()
            bare[key] = (section, key)
    long = {f"{section}_{key}": (section, key) for section, key in keys if section in PARTS and key != "kind"}
    return long | {word: place for word, place in bare.items() if word not in several} | named


def _former() -> dict[str, tuple[str, str]]:
    """Words of earlier versions, with the place they had then."""
    return {key: (section, key) for section, key in FORMER}


def in_sections(words: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Words in the sections of the configuration; a word whose value is None is not said.

    A key of a part that the words name is a word as well, whichever package declares it.

    Raises:
        UsageError: an unknown word; the nearest known one is named.

    >>> in_sections({"model": "vae", "beta": 4.0, "epochs": None})
    {'model': {'kind': 'vae'}, 'objective': {'beta': 4.0}}
    """
    own = _own_keys(words)
    nested: dict[str, dict[str, Any]] = {}
    known = {**_former(), **places(), **own}
    for word, value in words.items():
        if word not in known:
            raise UsageError(f"there is no key {word}; {nearest(word, known)}")
        if value is not None:
            section, key = known[word]
            if isinstance(value, Mapping) and key == "kind":
                nested.setdefault(section, {}).update(value)  # a part with its settings
            else:
                nested.setdefault(section, {})[key] = value
    return nested


def _own_keys(words: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The keys of the parts that the words name."""
    found: dict[str, tuple[str, str]] = {}
    for section in PARTS:
        said = words.get(section)
        named = said.get("kind") if isinstance(said, Mapping) else said
        if isinstance(named, str):
            parts = [part for part in SORTS[section].all() if part.name == named]
            if not parts and ":" in named:
                parts = [SORTS[section].get(named, "autoencoder" if section == "network" else "")]
            for part in parts:
                found |= {key: (section, key) for key in part.keys}
    return found


def configuration(
    words: Mapping[str, Any],
    *,
    who: str = "the options",
    preset_name: str | None = None,
    file: Path | None = None,
    assignments: Sequence[str] = (),
    trust: bool = True,
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
        trust: whether code that the words name by its place, ``package.module:Class``, may be imported: a person who
            writes the place asks for it. A file that lies in a run folder may come from somebody else, and is trusted
            only if a word of ``trust`` says so (:func:`zatlas.trust.trusting`).

    Raises:
        UsageError: an unknown word or preset, a file that is none, a value or a combination that cannot be.
    """
    base: list[tuple[str, Nested]] = []
    if preset_name is not None:
        base.append((f"preset {preset_name}", preset(preset_name)))
    if file is not None:
        base.append((str(file), read_toml(file)))
        trust = trust and not (file.parent / "run.json").exists()
    sizes = square(words.get("resize"), words.get("crop"))
    with trusting(trust):
        said: list[tuple[str, Nested]] = [(who, in_sections({**words, **sizes}))]
    said += [(f"--set {assignment[:80]}", parse_set([assignment])) for assignment in assignments]
    kept: list[tuple[str, Nested]] = []
    for where, values in base:
        kept = [*(_unlimited(kept) if _limited(values) else kept), (where, values)]
    if any(_limited(values) for _, values in said):
        kept = _unlimited(kept)
    config = make_config(*kept, *said, trust=trust)
    if PLACE.fullmatch(config.data.source or ""):
        with trusting(trust):
            SORTS["format"].get(config.data.source or "")
    return config


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
