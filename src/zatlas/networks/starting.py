"""Where an untrained posterior starts."""

from __future__ import annotations

from zatlas.parts import Context

START_LOG_VARIANCE = -4.0  # see WARMUP_STEPS in objectives/variational.py


def start_log_variance(context: Context) -> float:
    """The start asked for; else narrow, but for the course's networks, which start as the course has them."""
    asked = getattr(context.config.posterior, "start_log_variance", None)
    if asked is not None:
        return float(asked)
    return 0.0 if as_published(context) else START_LOG_VARIANCE


def as_published(context: Context) -> bool:
    """Whether the network takes x as it is and learns the mean image itself, as published or foreign networks do."""
    return bool(context.network.facts.get("as_published")) or bool(getattr(context.config.network, "neutral", False))
