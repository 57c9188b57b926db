"""What the units do, and directions between groups of examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from zatlas.arrays import Array
from zatlas.data import evenly_spaced
from zatlas.errors import UsageError, printable
from zatlas.explorer import forms
from zatlas.explorer.explored import Explored
from zatlas.explorer.questions import Answer, question
from zatlas.latent import Direction
from zatlas.latent.directions import check_name
from zatlas.latent.separating import fit_direction
from zatlas.training.checkpoint import name_of as checkpoint_name
from zatlas.walks import describe as described
from zatlas.walks.directions import saved

DIRECTION_ROWS = 20_000


@question(forms.Nothing, slow=True)
def describe(explored: Explored, _: forms.Nothing) -> Answer:
    """What each unit does, by falling rate."""
    import matplotlib.pyplot as plt

    view = described(explored.run, bases=32, steps=5)
    if view.figure is not None:
        plt.close(view.figure)
    units = [
        {key: unit.get(key) for key in ("name", "unit", "rate_nats", "dead", "effect_share", "where")}
        | {"says": _says(unit)}
        for unit in view.facts["units"]
    ]
    return {"units": units, "sentences": list(view.sentences)}, {}


@question(forms.Direct, slow=True)
def direction(explored: Explored, asked: forms.Direct) -> Answer:
    """The direction from one group of rows to another, with its uncertainty; kept with the run if asked."""
    run = explored.run
    if (sentence := explored.abilities.get("directions")) is not None:
        raise UsageError(sentence)
    name = check_name(asked.name)
    groups = [_thinned(run.numbered(rows), DIRECTION_ROWS // 2) for rows in (asked.without, asked.with_)]
    if len(both := np.intersect1d(groups[0], groups[1])):
        raise UsageError(f"row {both[0]} is in both groups: groups must not overlap.")
    found = run.encode(np.concatenate(groups))
    y = np.arange(len(found.mean)) >= len(groups[0])
    direction = fit_direction(found.mean, y, std=found.std, method=asked.method, name=name)
    words = [f"{len(rows)} chosen" for rows in groups]
    about = {"with": words[1], "without": words[0], "orthogonal_to": [], "data": run.source.name}
    direction = replace(direction, facts={**direction.facts, **about, "checkpoint": checkpoint_name(run.step)})
    facts = _direction(direction)
    if asked.save:
        run.folder.check_place()
        facts["saved"] = printable(str(direction.save(run.folder.path / "directions")))
    return facts, {"vector": direction.vector}


@question(forms.Nothing)
def directions(explored: Explored, _: forms.Nothing) -> Answer:
    """Directions saved with the run that fit its weights."""
    wanted = checkpoint_name(explored.run.step)
    found = [d for d in saved(explored.run.folder.path) if d.facts.get("checkpoint") == wanted]
    found = [d for d in found if len(d.vector) == explored.run.latent_dim]
    vectors = np.stack([d.vector for d in found]) if found else np.zeros((0, explored.run.latent_dim))
    return {"directions": [_direction(d) for d in found]}, {"vectors": vectors}


def _says(unit: dict[str, Any]) -> str:
    """The property that a unit has learned or moves most, in a word or two; empty where there is none."""
    links = unit.get("properties") or []
    first = next((link for link in links if link["learned"] or link["correlation"] ** 2 >= 0.5), None)
    return str(first["name"]) if first and not unit["dead"] else ""


def _direction(direction: Direction) -> dict[str, Any]:
    record = {key: value for key, value in direction.to_json().items() if key != "vector"}
    return {**record, "name": printable(direction.name), "sentence": direction.describe()}


def _thinned(rows: Array, most: int) -> Array:
    return evenly_spaced(np.unique(rows), most)
