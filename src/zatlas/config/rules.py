"""What goes together in a configuration: each part asks it of the others, in the words of its own declaration."""

from __future__ import annotations

from typing import Any

from zatlas.parts import SORTS, Part


def _quoted(names: list[str] | tuple[str, ...]) -> str:
    return " or ".join(map(repr, names))


def lacks(model: Part, objective: Part) -> str | None:
    """The sentence that says why an objective does not go with a model; None where it does."""
    if objective.needs <= model.traits:
        return None
    others = [kind.name for kind in SORTS["model"].parts() if objective.needs <= kind.traits]
    return (
        f"objective.kind = '{objective.name}' does not go with model.kind = '{model.name}', which takes "
        f"{_quoted(model.objectives)}; {objective.name} goes with {_quoted(others)}"
    )


def check(config: Any) -> None:
    """Refuses what cannot be, as each part says it.

    Raises:
        ValueError: a combination that makes no sense; the sentence names what goes together.
    """
    model = SORTS["model"].get(config.model.kind)
    for section in ("model", "network", "likelihood", "prior", "posterior", "objective"):
        if getattr(config, section) is not None:
            config.part(section).check(config)
    t = config.training
    if not model.infers and (t.patience is not None or t.target_loss is not None):
        raise ValueError(
            "training.patience and training.target_loss watch a loss that falls, and that of a game says nothing of "
            "its samples: give epochs, steps or seconds"
        )
