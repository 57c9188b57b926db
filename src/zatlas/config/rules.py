"""What goes together in a configuration: each part asks it of the others, in the words of its own declaration."""

from __future__ import annotations

from typing import Any

from zatlas.parts import SORTS


def _quoted(names: list[str] | tuple[str, ...]) -> str:
    return " or ".join(map(repr, names))


def check(config: Any) -> None:
    """Refuses what cannot be.

    Raises:
        ValueError: a combination that makes no sense; the sentence names what goes together.
    """
    model, objective = SORTS["model"].get(config.model.kind), SORTS["objective"].get(config.objective.kind)
    if not objective.needs <= model.traits:
        others = [kind.name for kind in SORTS["model"].parts() if objective.needs <= kind.traits]
        raise ValueError(
            f"objective.kind = '{objective.name}' does not go with model.kind = '{model.name}', which takes "
            f"{_quoted(model.objectives)}; {objective.name} goes with {_quoted(others)}"
        )
    for section in ("model", "network", "likelihood", "prior", "posterior", "objective"):
        if getattr(config, section) is not None:
            config.part(section).check(config)
    t = config.training
    if not model.infers and (t.patience is not None or t.target_loss is not None):
        raise ValueError(
            "training.patience and training.target_loss watch a loss that falls, and that of a game says nothing of "
            "its samples: give epochs, steps or seconds"
        )
