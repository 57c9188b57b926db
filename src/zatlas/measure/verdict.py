"""Whether the codes say anything of the examples, in words, from the bound alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zatlas.runs.opened import Run

IDLE_NATS = 0.01  # a unit below it is at its prior for every example
COLLAPSED_NATS = 0.1  # a seventh of a bit for the whole code

REMEDY = "train longer, at a lower learning rate, or with a smaller decoder"


def verdict(rate: float, unit_rates: Sequence[float], latent_dims: Sequence[int] = (), remedy: str = REMEDY) -> str:
    """A sentence or two on posterior collapse: which units left their prior.

    The information between x and z is at most the rate (Hoffman & Johnson 2016), so that a rate near zero leaves the
    decoder nothing to learn from z, however good its bound is.

    Args:
        rate: mean KL(q(z|x) || p(z)), nats.
        unit_rates: the share of each unit ``[D]``, nats.
        latent_dims: units of each level, top first; empty: one level.
        remedy: what to do about a collapse.

    >>> verdict(3.58, [1.49, 2.10])
    '2 of 2 units carry 0.01 nats or more: none has collapsed.'
    """
    if not math.isfinite(rate):
        return "The rate is not finite: the model is broken."
    used = np.asarray(unit_rates, float) >= IDLE_NATS
    units, busy = len(used), int(used.sum())
    if not busy or rate < COLLAPSED_NATS:
        return (
            f"The posterior has collapsed: the rate is {rate:.2f} nats, so z can tell no more than that of x, and the "
            f"decoder ignores it. To mend it, {remedy}."
        )
    carry = f"{busy} of {units} units {'carries' if busy == 1 else 'carry'} {IDLE_NATS} nats or more"
    if busy == units:
        return f"{carry}: none has collapsed."
    levels = np.split(used, np.cumsum(latent_dims)[:-1]) if latent_dims else [used]
    idle = [str(number) for number, level in enumerate(levels, 1) if not level.any()]
    whole = f" Of the {len(levels)} levels, top first, {', '.join(idle)} carr{'y' if idle[1:] else 'ies'} nothing."
    stay = "the other one stays" if units - busy == 1 else f"the other {units - busy} stay"
    return f"{carry}; {stay} at the prior and could be spared.{whole if idle else ''}"


def verdict_of(run: Run, record: dict[str, Any]) -> str | None:
    """The verdict on a measured run; None where it has no rate by unit."""
    if run.kind.point or "unit_rates" not in record or "rate" not in record["figures"]:
        return None
    o = run.config.objective
    remedy = (
        run.config.part("objective").facts.get("remedy", REMEDY)
        if getattr(o, "capacity_nats", None) is None
        else "raise capacity_nats"
    )
    return verdict(record["figures"]["rate"]["value"], record["unit_rates"], run.model.latent_dims, remedy)
